from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from stpcodec.errors import UsageError
from stpcodec.patches.tiles import Tile, Triple, blend, plan_tiles

MULTIPLE = 16
lengths = st.integers(1, 40).map(lambda count: count * MULTIPLE)
tile_sizes = st.integers(1, 12).map(lambda count: count * MULTIPLE)
overlaps = st.integers(0, 100)


def cut(planes: Triple, tiles: list[Tile]) -> list[Triple]:
    """The windows of the planes under each tile."""
    y, u, v = planes
    result = []
    for t in tiles:
        luma = (..., slice(t.y, t.y + t.height), slice(t.x, t.x + t.width))
        half = (..., slice(t.y // 2, (t.y + t.height) // 2), slice(t.x // 2, (t.x + t.width) // 2))
        result.append((y[luma].clone(), u[half].clone(), v[half].clone()))
    return result


def coverage(tiles: list[Tile], height: int, width: int) -> torch.Tensor:
    """How many tiles lie over each 16 × 16 cell."""
    cover = torch.zeros(height // MULTIPLE, width // MULTIPLE)
    for t in tiles:
        y, x = t.y // MULTIPLE, t.x // MULTIPLE
        cover[y : y + t.height // MULTIPLE, x : x + t.width // MULTIPLE] += 1
    return cover


@given(lengths, lengths, tile_sizes, overlaps)
def test_plans_cover_the_frame(height: int, width: int, tile: int, overlap: int) -> None:
    assume(-(-overlap // MULTIPLE) * MULTIPLE < tile)
    tiles = plan_tiles(height, width, tile=tile, overlap=overlap, multiple=MULTIPLE)
    assert len({(t.height, t.width) for t in tiles}) == 1
    assert max(tiles[0].height, tiles[0].width) <= tile
    for t in tiles:
        assert not any(number % MULTIPLE for number in (t.y, t.x, t.height, t.width))
        assert t.y >= 0
        assert t.y + t.height <= height
        assert t.x >= 0
        assert t.x + t.width <= width
    assert coverage(tiles, height, width).min() >= 1
    assert tiles == sorted(tiles, key=lambda t: (t.y, t.x))
    for axis in ([(t.y, t.height) for t in tiles], [(t.x, t.width) for t in tiles]):
        intervals = sorted(set(axis))
        for (start, size), (following, _) in pairwise(intervals):
            assert start + size - following >= overlap


@given(lengths, lengths, tile_sizes, overlaps, st.integers(0, 1000))
def test_blending_is_a_partition_of_unity(height: int, width: int, tile: int, overlap: int, seed: int) -> None:
    assume(-(-overlap // MULTIPLE) * MULTIPLE < tile)
    assume(height * width <= 200_000)
    tiles = plan_tiles(height, width, tile=tile, overlap=overlap, multiple=MULTIPLE)
    noise = torch.Generator().manual_seed(seed)
    planes = (
        torch.rand(1, height, width, generator=noise),
        torch.rand(1, height // 2, width // 2, generator=noise),
        torch.rand(1, height // 2, width // 2, generator=noise),
    )
    joined = blend(tiles, cut(planes, tiles), height, width)
    for a, b in zip(joined, planes, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    # where one tile alone reaches, nothing was multiplied by anything but 1
    alone = (coverage(tiles, height, width) == 1).repeat_interleave(MULTIPLE, 0).repeat_interleave(MULTIPLE, 1)
    assert torch.equal(joined[0][0][alone], planes[0][0][alone])


def test_the_plan_is_pinned() -> None:
    """Decoders plan anew from the stream header: another plan would be another format."""
    tiles = plan_tiles(2160, 3840, tile=2048, overlap=64, multiple=16)
    assert [(t.y, t.x) for t in tiles] == [(0, 0), (0, 1888), (1040, 0), (1040, 1888)]
    assert {(t.height, t.width) for t in tiles} == {(1120, 1952)}
    tiles = plan_tiles(16, 208, tile=96, overlap=20, multiple=16)
    assert tiles == [Tile(0, 0, 16, 96), Tile(0, 48, 16, 96), Tile(0, 112, 16, 96)]


def test_no_seam_between_tiles_that_disagree() -> None:
    tiles = plan_tiles(16, 160, tile=112, overlap=64, multiple=16)
    assert [(t.x, t.width) for t in tiles] == [(0, 112), (48, 112)]
    parts = [tuple(torch.full((1, 16 // s, 112 // s), float(value)) for s in (1, 2, 2)) for value in (0, 1)]
    y, u, _ = blend(tiles, parts, 16, 160)  # type: ignore[arg-type]
    row = y[0, 0]
    assert torch.equal(row[:48], torch.zeros(48))
    assert torch.equal(row[112:], torch.ones(48))
    steps = row[47:113].diff()
    assert (steps >= 0).all()
    assert steps.max() < 0.03  # a raised cosine over 64 samples rises by at most pi/2/64
    assert float(row[79] + row[80]) == pytest.approx(1, abs=1e-6)
    assert u[0, 0].diff().max() < 0.06


def test_one_tile_passes_through() -> None:
    planes = (torch.rand(2, 32, 48), torch.rand(2, 16, 24), torch.rand(2, 16, 24))
    tiles = plan_tiles(32, 48, tile=64, overlap=16, multiple=16)
    assert tiles == [Tile(0, 0, 32, 48)]
    assert all(a is b for a, b in zip(blend(tiles, [planes], 32, 48), planes, strict=True))


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap", "multiple"),
    [(30, 32, 64, 0, 16), (32, 0, 64, 0, 16), (32, 32, 16, 16, 16), (64, 64, 16, 8, 16), (32, 32, 8, 0, 16)],
)
def test_impossible_plans_are_refused(height: int, width: int, tile: int, overlap: int, multiple: int) -> None:
    with pytest.raises(UsageError):
        plan_tiles(height, width, tile=tile, overlap=overlap, multiple=multiple)


def test_planes_that_do_not_fit_are_refused() -> None:
    tiles = plan_tiles(32, 64, tile=48, overlap=16, multiple=16)
    planes = (torch.rand(1, 32, 64), torch.rand(1, 16, 32), torch.rand(1, 16, 32))
    parts = cut(planes, tiles)
    with pytest.raises(UsageError, match="for 2 tiles"):
        blend(tiles, parts[:1], 32, 64)
    with pytest.raises(UsageError, match="more sets of planes than the 2 tiles"):
        blend(tiles, [*parts, parts[0]], 32, 64)
    with pytest.raises(UsageError, match="not a grid of 1 by 3"):
        blend([*tiles, Tile(0, 8, 32, 48), tiles[0]], parts, 32, 64)
    with pytest.raises(UsageError, match="for a tile of"):
        blend(tiles, [planes, planes], 32, 64)
    narrow = tuple(plane[..., : plane.shape[-1] // 3] for plane in parts[1])
    with pytest.raises(UsageError, match="do not cover"):
        blend([tiles[0], Tile(0, 64, 32, 16)], [parts[0], narrow], 32, 80)  # type: ignore[list-item]


def test_a_tile_is_let_go_of_before_the_next_is_made() -> None:
    planes = (torch.rand(1, 32, 160), torch.rand(1, 16, 80), torch.rand(1, 16, 80))
    tiles = plan_tiles(32, 160, tile=64, overlap=16, multiple=16)
    made: list[weakref.ref[torch.Tensor]] = []
    living: list[int] = []

    def parts() -> Iterator[Triple]:
        for tile in tiles:
            living.append(sum(reference() is not None for reference in made))
            (triple,) = cut(planes, [tile])
            made.append(weakref.ref(triple[0]))
            yield triple
            del triple

    assert len(tiles) >= 3
    blend(tiles, parts(), 32, 160)
    assert max(living) <= 1
