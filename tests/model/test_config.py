"""Model configurations: round trip through JSON, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from stpcodec.errors import ModelError
from stpcodec.model.config import STP_S, ModelConfig
from tests.tiny_model import TINY


@pytest.mark.parametrize("config", [STP_S, TINY], ids=lambda config: config.name)
def test_json_round_trip(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 0}, {"frames": 4}, {"width": 0}, {"latents": 4097}, {"hyper": -1}, {"prior_depth": 65},
        {"prior_steps": 3}, {"width": 12.5}, {"width": "128"}, {"width": None},
    ],
    ids=str,
)  # fmt: skip
def test_sizes_that_are_refused(change: dict[str, object]) -> None:
    name = next(iter(change))
    with pytest.raises(ModelError, match=f"model configuration: {name} is"):
        replace(TINY.inter, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", '{"name": "x", "intra": {}, "inter": {}}',
        json.dumps({**asdict(TINY), "intra": {**asdict(TINY.intra), "unknown": 1}}),
        json.dumps({**asdict(TINY), "inter": {**asdict(TINY.inter), "prior_steps": 5}}),
    ],
    ids=["nothing", "cut", "list", "null", "empty", "no sizes", "a newer field", "impossible"],
)  # fmt: skip
def test_texts_that_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match="model configuration") as caught:
        ModelConfig.from_json(text)
    assert "\n" not in str(caught.value)
