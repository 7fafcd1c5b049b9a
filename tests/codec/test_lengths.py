"""Lengths of chunks by what coding them costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.lengths import coded_lengths
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes

QUALITY = 50


@dataclass
class Priced:
    """A codec whose chunks cost bytes by their length and come out perfect, but for an error of the last frame."""

    prices: dict[int, int]
    spoiled: float = 0.0
    spoils: int = 0
    histories: list[Any] = field(default_factory=list)

    def encode(self, frames: Planes, *, quality: int, history: History | None) -> Any:
        assert quality == QUALITY
        self.histories.append(history)
        decoded = frames.map(torch.clone)
        if len(frames) == self.spoils:
            decoded.y[-1] += self.spoiled
        # A chunk's history is the luma that it ends with: who comes next can be told.
        streams = (bytes(self.prices[len(frames)]),)
        return SimpleNamespace(streams=streams, reconstruction=decoded, history=decoded.y[-1])


def lengths_of(codec: Priced, count: int = 17) -> tuple[int, ...]:
    planes = moving_planes(count, 32, 32, dx=1)
    parts = [planes[slice(0, 1)], *(planes[slice(start, start + 8)] for start in range(1, count, 8))]
    return coded_lengths(cast(ChunkCodec, codec), parts, QUALITY)


@pytest.mark.parametrize(("prices", "expected"), [
    ({1: 100, 2: 220, 4: 500, 8: 1100}, (1,) * 8),
    ({1: 100, 2: 180, 4: 400, 8: 900}, (2,) * 4),
    ({1: 100, 2: 180, 4: 300, 8: 700}, (4, 4)),
    ({1: 100, 2: 180, 4: 300, 8: 500}, (8,)),
    ({1: 100, 2: 220, 4: 500, 8: 700}, (8,)),
])  # fmt: skip
def test_the_cheapest_are_found(prices: dict[int, int], expected: tuple[int, ...]) -> None:
    assert lengths_of(Priced(prices)) == (1, *expected, *expected)


def test_what_is_left_at_the_end_is_cut_as_the_rest_is() -> None:
    prices = {1: 100, 2: 180, 3: 290, 4: 300, 7: 9000, 8: 500}
    assert lengths_of(Priced(prices), count=8) == (1, 4, 2, 1)


def test_a_bad_last_frame_costs_more_than_its_own_error() -> None:
    """Everything that follows is predicted from it."""
    saved = Priced({1: 100, 2: 190, 4: 380, 8: 740})
    assert lengths_of(saved) == (1, 8, 8)
    saved.spoils, saved.spoiled = 8, 0.01  # 90 bits of its own, and three times as many for what follows
    assert lengths_of(saved) == (1, 4, 4, 4, 4)


def test_every_chunk_is_coded_behind_what_was_kept_before_it() -> None:
    codec = Priced({1: 100, 2: 220, 4: 500, 8: 1100})
    planes = moving_planes(3, 32, 32, dx=1)
    assert coded_lengths(cast(ChunkCodec, codec), [planes[slice(0, 1)], planes[slice(1, 3)]], QUALITY) == (1, 1, 1)
    opening, pair, first, second = codec.histories
    assert opening is None
    assert torch.equal(pair, planes.y[0])
    assert torch.equal(first, planes.y[0])
    assert torch.equal(second, planes.y[1])


def test_a_real_codec_finds_lengths_for_all_frames(tiny_weights: Path) -> None:
    tiny = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    planes = moving_planes(6, 32, 48, dx=1)
    found = coded_lengths(tiny, [planes[slice(0, 1)], planes[slice(1, 6)]], QUALITY)
    assert sum(found) == 6
    assert found[0] == 1
