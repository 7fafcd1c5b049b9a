"""How a segment's chunks go on, by what its first ones cost."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

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
PLANS = [2, 2, 2, 2], [4, 4], [8]


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


def tried(prices: dict[int, int], plans: Sequence[Sequence[int]] = PLANS) -> tuple[float, list[int]]:
    """The factor, and the lengths of all chunks that were coded for it."""
    frames, codec = moving_planes(9, 32, 32), Priced(prices, [])
    opening = cast(History, SimpleNamespace())
    joining = tried_joining(cast(ChunkCodec, codec), plans, frames[1:], opening, QUALITY, Inline())
    return joining, codec.coded


@pytest.mark.parametrize(("prices", "joining"), [
    ({2: 1000, 4: 2100, 8: 4300}, 1.0),
    ({2: 1000, 4: 1900, 8: 4300}, 1.1),
    ({2: 1000, 4: 1900, 8: 3500}, 1.25),
    ({2: 1000, 4: 2100, 8: round(4000 / LONGER - 60)}, 1.25),
    ({2: 1000, 4: 2100, 8: round(4000 / LONGER + 60)}, 1.0),
])  # fmt: skip
def test_what_was_cheapest_goes_on(prices: dict[int, int], joining: float) -> None:
    found, coded = tried(prices)
    assert found == joining
    assert sorted(coded) == [2, 2, 2, 2, 4, 4, 8]


def test_lengths_that_are_the_same_are_coded_once_or_not_at_all() -> None:
    assert tried({}, [[4, 4]] * len(JOININGS)) == (1.0, [])
    assert tried({4: 1000, 8: 1500}, ([4, 4], [4, 4], [8])) == (1.25, [4, 4, 8])


def noisy(count: int) -> list[Frame]:
    """Still, but for noise that is another in every frame."""
    random = np.random.default_rng(0)
    still = moving_planes(1, 64, 96)
    y = (200 * still.y[0].numpy() + 20)[None] + random.normal(0, 2.5, (count, 64, 96))
    grey = np.full((32, 48), 128, np.uint8)
    return [Frame(y=luma.round().astype(np.uint8), u=grey, v=grey, pts=n, duration=1) for n, luma in enumerate(y)]


def test_a_segment_goes_on_as_it_was_tried(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a quick encode, a short segment or large frames."""
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    frames, asked = noisy(25), []

    def always(*arguments: Any) -> float:
        asked.append(arguments)
        return JOININGS[-1]

    monkeypatch.setattr("stpcodec.codec.segments.tried_joining", always)
    coded_segment(codec, frames, QUALITY)
    (arguments,) = asked
    plans = arguments[1]
    assert [sum(plan) for plan in plans] == [8] * len(JOININGS)
    for choices in (QUICK, Choices(joining=1.12)):
        coded_segment(codec.choosing(choices), frames, QUALITY)
    coded_segment(codec, frames[:8], QUALITY)
    monkeypatch.setattr("stpcodec.codec.segments.TRIED_SAMPLES", 64 * 96 - 1)
    coded_segment(codec, frames, QUALITY)
    assert len(asked) == 1


@pytest.mark.parametrize(("joining", "plan"), list(zip(JOININGS, PLANS, strict=True)))
def test_its_later_chunks_are_planned_so_too(
    tiny_weights: Path, joining: float, plan: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    later: list[float] = []

    class Planned:
        def __init__(self, luma: torch.Tensor, joining: float) -> None:
            self.joining = joining

        def plans(self, luma: torch.Tensor, joinings: Sequence[float]) -> tuple[list[int], ...]:
            return PLANS

        def plan(self, luma: torch.Tensor) -> list[int]:
            later.append(self.joining)
            return [len(luma)]

    monkeypatch.setattr("stpcodec.codec.segments.tried_joining", lambda *arguments: joining)
    monkeypatch.setattr("stpcodec.codec.segments.Planner", Planned)
    lengths = [chunk.frame_count for chunk in coded_segment(codec, noisy(25), QUALITY)[1].chunks]
    assert lengths == [1, *plan, 8, 8]
    assert later == [joining, joining]


def test_it_does_not_depend_on_who_codes(tiny_weights: Path) -> None:
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    planes = moving_planes(9, 64, 96, dx=1)
    opening = codec.encode(planes[:1], quality=QUALITY, history=None).history
    found = {tried_joining(codec, PLANS, planes[1:], opening, QUALITY, Inline())}
    with ThreadPoolExecutor(2) as pool:
        found.add(tried_joining(codec, PLANS, planes[1:], opening, QUALITY, pool))
    assert len(found) == 1
    assert found <= set(JOININGS)
