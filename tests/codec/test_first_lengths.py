"""How a segment's chunks go on, by what its first ones cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from stpcodec.codec import first_lengths
from stpcodec.codec.choices import QUICK, USUAL, Choices
from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.first_lengths import JOININGS, LONGER, tried_joining
from stpcodec.codec.parallel import Inline
from stpcodec.evaluation.predictions import coded_segment
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame
from tests.tiny_model import moving_planes

QUALITY = 50
PLANS = {1.0: [2, 2, 2, 2], 1.1: [4, 4], 1.25: [8]}


@dataclass
class Priced:
    """A codec whose chunks cost bytes by their length and come out perfect."""

    prices: dict[int, int]
    coded: list[int]
    choices: Choices = USUAL

    def choosing(self, choices: Choices) -> Priced:
        return Priced(self.prices, self.coded, choices)

    def encode(self, frames: Planes, *, quality: int, history: History | None) -> Any:
        assert quality == QUALITY
        assert history is not None
        assert self.choices.patience == 0
        self.coded.append(len(frames))
        streams = (bytes(self.prices[len(frames)]),)
        return SimpleNamespace(streams=streams, reconstruction=frames, history=history)


def planned(monkeypatch: pytest.MonkeyPatch, plans: dict[float, list[int]]) -> None:
    def planner(first: torch.Tensor, joining: float) -> SimpleNamespace:
        return SimpleNamespace(plan=lambda luma: plans[joining])

    monkeypatch.setattr(first_lengths, "Planner", planner)


def tried(prices: dict[int, int]) -> tuple[float, list[int]]:
    """The factor, and the lengths of all chunks that were coded for it."""
    frames, codec = moving_planes(9, 32, 32), Priced(prices, [])
    opening = cast(History, SimpleNamespace())
    joining = tried_joining(cast(ChunkCodec, codec), frames.y[0], frames[1:], opening, QUALITY, Inline())
    return joining, codec.coded


@pytest.mark.parametrize(("prices", "joining"), [
    ({2: 1000, 4: 2100, 8: 4300}, 1.0),
    ({2: 1000, 4: 1900, 8: 4300}, 1.1),
    ({2: 1000, 4: 1900, 8: 3500}, 1.25),
    ({2: 1000, 4: 2100, 8: round(4000 / LONGER - 60)}, 1.25),
    ({2: 1000, 4: 2100, 8: round(4000 / LONGER + 60)}, 1.0),
])  # fmt: skip
def test_what_was_cheapest_goes_on(prices: dict[int, int], joining: float, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, PLANS)
    found, coded = tried(prices)
    assert found == joining
    assert sorted(coded) == [2, 2, 2, 2, 4, 4, 8]


def test_lengths_that_are_the_same_are_coded_once_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, {joining: [4, 4] for joining in JOININGS})
    assert tried({}) == (1.0, [])
    planned(monkeypatch, {1.0: [4, 4], 1.1: [4, 4], 1.25: [8]})
    assert tried({4: 1000, 8: 1500}) == (1.25, [4, 4, 8])


def noisy(count: int) -> list[Frame]:
    """Still, but for noise that is another in every frame."""
    random = np.random.default_rng(0)
    still = moving_planes(1, 64, 96)
    y = (200 * still.y[0].numpy() + 20)[None] + random.normal(0, 2.5, (count, 64, 96))
    grey = np.full((32, 48), 128, np.uint8)
    return [Frame(y=luma.round().astype(np.uint8), u=grey, v=grey, pts=n, duration=1) for n, luma in enumerate(y)]


def test_a_segment_goes_on_as_it_was_tried(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever codes it, and not for a quick encode."""
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    frames, asked = noisy(25), []

    def always(*arguments: Any) -> float:
        asked.append(arguments)
        return 0.0

    usual = [chunk.frame_count for chunk in coded_segment(codec, frames, QUALITY)[1].chunks]
    monkeypatch.setattr("stpcodec.codec.segments.tried_joining", always)
    shortest = [chunk.frame_count for chunk in coded_segment(codec, frames, QUALITY)[1].chunks]
    assert shortest == [1] * 25 != usual
    assert len(asked) == 1
    for choices in (QUICK, Choices(joining=1.12)):
        coded_segment(codec.choosing(choices), frames, QUALITY)
    coded_segment(codec, frames[:8], QUALITY)
    assert len(asked) == 1


def test_it_does_not_depend_on_who_codes(tiny_weights: Path) -> None:
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    planes = moving_planes(9, 64, 96, dx=1)
    opening = codec.encode(planes[:1], quality=QUALITY, history=None).history
    found = {tried_joining(codec, planes.y[0], planes[1:], opening, QUALITY, Inline())}
    with ThreadPoolExecutor(2) as pool:
        found.add(tried_joining(codec, planes.y[0], planes[1:], opening, QUALITY, pool))
    assert len(found) == 1
    assert found <= set(JOININGS)
