"""Recipes: the stages of a training run as data, one TOML file each.

    description = "what it is for"
    start = "linear"                # what a new run begins with, unless --start says otherwise

    [[stage]]                       # one after the other; times are shares of --minutes, together 1
    name = "warm-up"
    share = 0.1
    rate_weight = 0.0               # any of KEYS; what a stage does not name is as on the command line

The integer prior has no stage of its own: it is trained on its 8-bit grid from the first step (model/prior.py), and the
synthesis on rounded latents.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stpcodec.errors import UsageError

FOLDER = Path(__file__).parent / "recipes"
QUANTISERS = ("encoder", "rounding")
"""What decides the integers of a training step: the encoder's own decision, or plain rounding."""


@dataclass(frozen=True)
class Rule:
    """What a value must be. wanted: the same in words, for the message."""

    fits: Callable[[Any], bool]
    wanted: str


def _integer(low: int, high: int, unit: int = 1) -> Rule:
    kind = f"a multiple of {unit}" if unit > 1 else "an integer"
    return Rule(
        lambda value: type(value) is int and low <= value <= high and value % unit == 0, f"{kind} from {low} to {high}"
    )


def _number(low: float, high: float, *, above: bool = False) -> Rule:
    return Rule(
        lambda value: type(value) in (int, float) and low <= value <= high and not (above and value == low),
        f"a number {'above' if above else 'from'} {low:g}{',' if above else ''} {'up ' if above else ''}to {high:g}",
    )


def _text(*values: str) -> Rule:
    if values:
        return Rule(lambda value: value in values, f"one of {', '.join(values)}")
    return Rule(lambda value: isinstance(value, str) and value.strip() != "", "a text")


KEYS: Mapping[str, Rule] = {
    "part": _text("both", "intra", "inter"),
    "rate_weight": _number(0, 10),
    "learning_rate": _number(0, 0.1, above=True),
    "final_rate": _number(0, 1),
    "warmup_steps": _integer(1, 1_000_000),
    "batch": _integer(1, 4096),
    "pictures": _integer(0, 4096),
    "crop": _integer(64, 2048, unit=64),
    "chunks": _integer(1, 64),
    "lead": _integer(0, 64),
    "cascade": Rule(lambda value: type(value) is bool, "true or false"),
    "jitter": _number(0, 0.5),
    "quantiser": _text(*QUANTISERS),
}
"""What a stage may set, by its name in TrainOptions."""
_STAGE: Mapping[str, Rule] = {"name": _text(), "share": _number(0, 1, above=True)} | dict(KEYS)
_TOP: Mapping[str, Rule] = {
    "description": _text(),
    "start": _text(),
    "stage": Rule(
        lambda value: isinstance(value, list) and bool(value) and all(isinstance(stage, dict) for stage in value),
        "at least one [[stage]]",
    ),
}


@dataclass(frozen=True)
class Stage:
    """share: of the run's minutes. options: what it sets, see KEYS."""

    name: str
    share: float
    options: Mapping[str, Any]

    def __str__(self) -> str:
        settings = ", ".join(f"{key} {value}" for key, value in self.options.items())
        return f"{self.name}: {self.share:.0%} of the minutes" + (f", {settings}" if settings else "")


@dataclass(frozen=True)
class Recipe:
    """start: what a new run begins with, None where the recipe does not say. digest: of the file's text."""

    name: str
    description: str
    start: str | None
    stages: tuple[Stage, ...]
    digest: str

    @property
    def identity(self) -> str:
        """What a run remembers of it."""
        return f"{self.name}-{self.digest}"

    def without(self, keys: Iterable[str]) -> Recipe:
        """For options that the user has set himself: no stage sets them any more."""
        dropped = set(keys)
        stages = (
            replace(stage, options={key: value for key, value in stage.options.items() if key not in dropped})
            for stage in self.stages
        )
        return replace(self, stages=tuple(stages), start=None if "start" in dropped else self.start)


def recipe_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe of the package by name, or of a .toml file.

    Raises UsageError: there is none, or what it says cannot be; naming file, key, value and what to write instead.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if name_or_path not in recipe_names():
            raise UsageError(
                f"--recipe {name_or_path}: there is no recipe of this name; "
                f"take one of {', '.join(recipe_names())}, or name a .toml file"
            )
        path = FOLDER / f"{name_or_path}.toml"
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"--recipe {path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # no UTF-8, no TOML
        raise UsageError(f"{path}: not a TOML file ({error}); correct it there") from error
    _check(content, _TOP, str(path), required=("stage",))
    stages = tuple(_stage(fields, number, path) for number, fields in enumerate(content["stage"], 1))
    total = sum(stage.share for stage in stages)
    if abs(total - 1) > 0.001:
        shares = " + ".join(f"{stage.share:g}" for stage in stages)
        raise UsageError(f"{path}: share of the stages is {shares} = {total:g}; let them add up to 1")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Recipe(path.stem, content.get("description", ""), content.get("start"), stages, digest)


def _stage(fields: dict[str, Any], number: int, path: Path) -> Stage:
    _check(fields, _STAGE, f"{path}: stage {number}", required=("name", "share"))
    options = {key: value for key, value in fields.items() if key in KEYS}
    return Stage(fields["name"], float(fields["share"]), options)


def _check(fields: Mapping[str, Any], rules: Mapping[str, Rule], where: str, *, required: tuple[str, ...]) -> None:
    for key, value in fields.items():
        if key not in rules:
            near = difflib.get_close_matches(key, rules, 1)
            remedy = f"write {near[0]}" if near else f"known are {', '.join(rules)}"
            raise UsageError(f"{where}: {key} = {value!r}: there is no such key; {remedy}")
        if not rules[key].fits(value):
            raise UsageError(f"{where}: {key} is {value!r}; give {rules[key].wanted}")
    for key in required:
        if key not in fields:
            raise UsageError(f"{where}: {key} is missing; give {rules[key].wanted}")
