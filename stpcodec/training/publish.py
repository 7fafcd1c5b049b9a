"""A checkpoint becomes a model that others can use: weights with counted tables, and a model card beside them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stpcodec.errors import InputError, OutputError, UsageError
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint
from stpcodec.training.fit import longest_fit
from stpcodec.training.model_card import CardFacts, write_card
from stpcodec.training.options import TrainOptions
from stpcodec.training.run_record import read_record
from stpcodec.training.train import export_average, prepare

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}")
_DIGITS = re.compile(r".*-[0-9a-f]{8}")


@dataclass(frozen=True)
class ExportOptions:
    """videos: what the tables are counted on, none for what the run learned from. name: None for the network's own."""

    checkpoint: Path
    out: Path
    device: torch.device
    videos: tuple[Path, ...] = ()
    cache: Path | None = None
    name: str | None = None
    licence: str = ""
    count_batches: int = 150


def export_checkpoint(options: ExportOptions, *, say: Callable[[str], None] = print) -> Path:
    """Writes ``NAME-<sha256 first 8>.safetensors`` and its card into options.out; returns the weights' path.

    Raises InputError, ModelError: no checkpoint, or nothing to count on. UsageError: the name cannot be, or the model
    is there already. OutputError: the folder cannot be written. Whatever it raises, nothing new is in the folder.
    """
    if options.name is not None:
        check_name(options.name)
    if options.checkpoint.is_dir():
        raise InputError(f"{options.checkpoint}: is a folder; name a checkpoint in it, such as best.pt")
    state = load_checkpoint(options.checkpoint, options.device)
    if state is None:
        raise InputError(f"{options.checkpoint}: there is no such checkpoint; name the best.pt of a training run")
    run = options.checkpoint.parent
    record = read_record(run)
    videos = list(options.videos) or [Path(path) for path in (record.videos if record else ())]
    if not videos:
        raise UsageError(
            f"{options.checkpoint}: {run} has no run.json to say what it learned from, and the tables are "
            f"counted on that; name videos with --videos"
        )
    make_folder(options.out)
    cache = options.cache or (Path(record.cache) if record else run.parent / "cache")
    settings = record.settings if record else {}
    training = TrainOptions(
        minutes=1.0, run=run, cache=cache, device=options.device, count_batches=options.count_batches,
        **{key: settings[key] for key in ("crop", "chunks", "seed") if key in settings},
    )  # fmt: skip
    clips = prepare(videos, cache, say, halves=True)  # as train counts them
    training = longest_fit(clips, training)
    facts = CardFacts.of_run(state, run, licence=options.licence)
    return publish(state, clips, training, options.out, facts, options.name)


def publish(
    state: Checkpoint, clips: list[Path], options: TrainOptions, folder: Path, facts: CardFacts, name: str | None = None
) -> Path:
    """Counts tables on prepared clips and places weights and card in `folder`, both or neither."""
    if name is not None:
        name_model(state, name)

    return place_model(lambda temporary: (export_average(state, clips, options, temporary), facts), folder)


def place_model(make: Callable[[Path], tuple[Path, CardFacts]], folder: Path) -> Path:
    """Places the weights that `make` writes into the folder it is given, and their card, in `folder`: both or neither.

    Raises OutputError; UsageError: the model is there already.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as temporary:
            weights, facts = make(Path(temporary))
            card = write_card(weights, facts)
            # The weights come last: once they have their name, the model is there.
            placed = _place(card, folder)
            try:
                return _place(weights, folder)
            except BaseException:
                placed.unlink()
                raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def name_model(state: Checkpoint, name: str) -> None:
    """Gives a checkpoint's model a name."""
    for network in (state.network, state.average):
        network.config = replace(network.config, name=name)


def make_folder(folder: Path) -> None:
    """Creates it if need be; before the work, so that a wrong one costs nothing. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def check_name(name: str) -> None:
    """Raises UsageError unless the name is one of a file and of a model in a .stp header, on every system."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"--name {name!r}: give 1 to 40 of the characters A-Z a-z 0-9 . _ -, a letter or digit first, no dot last"
        )
    if _DIGITS.fullmatch(name):
        raise UsageError(f"--name {name}: ends as the digits of a weights file do; leave them out")


def _place(source: Path, folder: Path) -> Path:
    """A link instead of a rename: it fails where the name is taken."""
    target = folder / source.name
    try:
        os.link(source, target)
    except FileExistsError:
        raise UsageError(f"{target}: exists already; nothing was written, name another folder") from None
    except OSError:  # a file system without links
        if target.exists():
            raise UsageError(f"{target}: exists already; nothing was written, name another folder") from None
        source.rename(target)
    return target
