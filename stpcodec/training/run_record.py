"""run.json of a run: what it learned from and how, for `export`, the model card and whoever finds the folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpcodec.errors import InputError

if TYPE_CHECKING:
    from stpcodec.training.options import TrainOptions

NAME = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """videos, validation: folders and files, absolute; files: how many of them could be used.

    settings: by their names in TrainOptions, of the last time the run was started; stages: one line each, with theirs.
    """

    videos: tuple[str, ...]
    validation: tuple[str, ...]
    cache: str
    start: str
    recipe: str = ""
    stages: tuple[str, ...] = ()
    files: int = 0
    validation_files: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def joined(self, earlier: RunRecord | None) -> RunRecord:
        """A continued run has learned from what it was given then, too; what it started from is not news."""
        if earlier is None:
            return self
        videos = tuple(dict.fromkeys((*earlier.videos, *self.videos)))
        return RunRecord(**{**asdict(self), "videos": videos, "start": earlier.start})


def record_of(
    options: TrainOptions, videos: list[Path], validation: list[Path], files: int, validation_files: int
) -> RunRecord:
    """What the run's folder says about it."""
    stages = options.recipe.stages if options.recipe else ()
    apart = {"run", "cache", "device", "recipe", "start"}
    if stages:  # what every stage sets for itself is no setting of the run
        apart |= set.intersection(*(set(stage.options) for stage in stages))
    return RunRecord(
        videos=_absolute(videos), validation=_absolute(validation), cache=str(options.cache.absolute()),
        start=options.start, recipe=options.recipe.identity if options.recipe else "",
        stages=tuple(str(stage) for stage in stages), files=files, validation_files=validation_files,
        settings={key: value for key, value in asdict(options).items() if key not in apart},
    )  # fmt: skip


def _absolute(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(Path(path).absolute()) for path in paths)


def write_record(run: Path, record: RunRecord) -> None:
    temporary = run / f"{NAME}.tmp"
    temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    temporary.rename(run / NAME)


def read_record(run: Path) -> RunRecord | None:
    """None when the run has none (it is older, or no run). Raises InputError when it cannot be read."""
    path = run / NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        for key in ("videos", "validation", "stages"):
            fields[key] = tuple(map(str, fields[key]))
        return RunRecord(**fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it, or move it away") from error
