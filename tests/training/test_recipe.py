"""Stages as data: what is shipped holds, and what cannot be is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from stpcodec.errors import UsageError
from stpcodec.training.options import TrainOptions
from stpcodec.training.recipe import KEYS, load_recipe, recipe_names

GOOD = """
description = "two stages"
start = "linear"
[[stage]]
name = "warm-up"
share = 0.25
rate_weight = 0.0
[[stage]]
name = "rest"
share = 0.75
part = "inter"
lead = 3
"""


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    return TrainOptions(minutes=8.0, run=tmp_path, cache=tmp_path, device=torch.device("cpu"), lead=1, chunks=3)


def test_every_key_is_an_option_of_training() -> None:
    assert set(KEYS) <= {field.name for field in fields(TrainOptions)}


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_of_the_package_can_be_run(name: str, options: TrainOptions) -> None:
    recipe = load_recipe(name)
    stages = TrainOptions(**{**vars(options), "recipe": recipe}).stages()
    assert recipe.description
    assert recipe.start in ("linear", "stp-s")
    assert sum(stage.minutes for stage in stages) == pytest.approx(8.0)
    assert stages[-1].rate_weight == 1.0


def test_the_package_has_the_recipes_that_are_documented() -> None:
    assert {"scratch", "continue", "finetune"} <= set(recipe_names())
    scratch = load_recipe("scratch")
    assert scratch.start == "linear"
    assert scratch.stages[0].options["rate_weight"] == 0.0
    assert [stage.name for stage in scratch.stages] == [
        "distortion warm-up", "rate-distortion", "long chains", "finish"
    ]  # fmt: skip


def test_stages_set_what_they_name_and_nothing_else(tmp_path: Path, options: TrainOptions) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    recipe = load_recipe(str(path))
    first, second = TrainOptions(**{**vars(options), "recipe": recipe}).stages()
    assert (first.minutes, first.rate_weight, first.part, first.lead, first.chunks) == (2.0, 0.0, "both", 1, 3)
    assert (second.minutes, second.rate_weight, second.part, second.lead, second.chunks) == (6.0, 1.0, "inter", 3, 3)


def test_options_of_the_user_win(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    recipe = load_recipe(str(path)).without(["lead", "start"])
    assert recipe.start is None
    assert [dict(stage.options) for stage in recipe.stages] == [{"rate_weight": 0.0}, {"part": "inter"}]


def test_its_identity_is_that_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    one = load_recipe(str(path)).identity
    path.write_text(GOOD.replace("0.25", "0.250"))
    assert load_recipe(str(path)).identity != one
    assert one.startswith("mine-")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lead = 3", "leed = 3", r"stage 2: leed = 3: there is no such key; write lead"),
        ("lead = 3", "colour = 3", r"stage 2: colour = 3: there is no such key; known are name, share, part"),
        ("lead = 3", "lead = -1", r"stage 2: lead is -1; give an integer from 0 to 64"),
        ("lead = 3", "lead = 2.5", r"stage 2: lead is 2\.5; give an integer"),
        ("lead = 3", "lead = true", r"stage 2: lead is True; give an integer"),
        ("lead = 3", "crop = 100", r"stage 2: crop is 100; give a multiple of 64 from 64"),
        ("lead = 3", "cascade = 1", r"stage 2: cascade is 1; give true or false"),
        ("lead = 3", "learning_rate = 0.0", r"stage 2: learning_rate is 0\.0; give a number above 0"),
        ("lead = 3", "learning_rate = nan", r"stage 2: learning_rate is nan; give a number"),
        ('part = "inter"', 'part = "half"', r"stage 2: part is 'half'; give one of both, intra, inter"),
        ("rate_weight = 0.0", "rate_weight = inf", r"stage 1: rate_weight is inf; give a number from 0 to 10"),
        ("share = 0.75", "share = 0.5", r"share of the stages is 0\.25 \+ 0\.5 = 0\.75; let them add up to 1"),
        ("share = 0.75", "share = 0", r"stage 2: share is 0; give a number above 0"),
        ("share = 0.75", "", r"stage 2: share is missing"),
        ('name = "rest"', "", r"stage 2: name is missing; give a text"),
        ('start = "linear"', "start = 3", r"mine\.toml: start is 3; give a text"),
        ('start = "linear"', "minutes = 3", r"mine\.toml: minutes = 3: there is no such key"),
        ('start = "linear"', "start linear", r"not a TOML file"),
    ],
)
def test_what_cannot_be_is_named_with_file_key_value_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError, match=message) as caught:
        load_recipe(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "stage = 3", "stage = []", "stage = [1]", "[stage]\nname = 'x'"])
def test_a_recipe_has_stages(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"stage is .*; give at least one \[\[stage\]\]"):
        load_recipe(str(path))


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no recipe of this name; take one of continue, finetune, scratch"):
        load_recipe("skratch")
    with pytest.raises(UsageError, match=r"gone\.toml: cannot be read"):
        load_recipe(str(tmp_path / "gone.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a TOML file"):
        load_recipe(str(tmp_path / "bytes.toml"))
