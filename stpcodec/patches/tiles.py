"""Overlapping tiles for frames too large for memory, and their blending without seams.

    one axis, 3 tiles:   |====tile 0====|
                                    |====tile 1====|        where two overlap their raised-cosine weights
                                               |====tile 2====|       add up to 1

The plan depends on the numbers in the stream header only: decoders make the encoder's plan again, so changing it
changes the format of tiled files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.errors import UsageError

Triple = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Tile:
    """A window of the frame in luma samples: rows [y, y + height), columns [x, x + width)."""

    y: int
    x: int
    height: int
    width: int


def plan_tiles(height: int, width: int, *, tile: int, overlap: int, multiple: int) -> list[Tile]:
    """Tiles of one size, at most `tile` × `tile`, that cover a padded frame, row by row.

    height, width: multiples of `multiple` (even); so are all positions and sizes. Neighbours overlap by at least
    `overlap`. As few tiles as that allows, and then as small ones as cover the frame. Raises UsageError.
    """
    if multiple < 2 or multiple % 2 or height < 1 or width < 1 or height % multiple or width % multiple:
        raise UsageError(f"a frame of {height} x {width} cannot be tiled in multiples of {multiple}; pad it first")
    if not 0 <= overlap < tile:
        raise UsageError(f"tile overlap {overlap} must be at least 0 and less than the tile ({tile})")
    rows = _intervals(height // multiple, tile // multiple, -(-overlap // multiple))
    columns = _intervals(width // multiple, tile // multiple, -(-overlap // multiple))
    return [
        Tile(y * multiple, x * multiple, high * multiple, wide * multiple) for y, high in rows for x, wide in columns
    ]


def _intervals(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """(start, size) along one axis, all in units of the multiple."""
    if length <= tile:
        return [(0, length)]
    if tile <= overlap:
        raise UsageError("the tile is not larger than its overlap once both are whole multiples; use larger tiles")
    count = -(-(length - overlap) // (tile - overlap))
    size = -(-(length + (count - 1) * overlap) // count)
    return [(index * (length - size) // (count - 1), size) for index in range(count)]


def blend(tiles: Sequence[Tile], planes: Sequence[Triple], height: int, width: int) -> Triple:
    """Join the planes of all tiles of a plan into those of the whole padded frame.

    planes: for each tile y [N, h, w], u and v [N, h/2, w/2], float. Returns y [N, height, width], u and v [N,
    height/2, width/2] of the same dtype and device. Where one tile alone reaches, its samples come out untouched.
    Raises UsageError where tiles and planes do not fit each other.
    """
    grid = len({(t.y, t.height) for t in tiles}) * len({(t.x, t.width) for t in tiles})
    if not tiles or not len(tiles) == len(planes) == grid:
        raise UsageError(f"{len(planes)} sets of planes for {len(tiles)} tiles on a grid of {grid}")
    if len(tiles) == 1 and (tiles[0].height, tiles[0].width) == (height, width):
        return planes[0]
    y, u, v = (
        _blend_plane(tiles, [triple[index] for triple in planes], height // scale, width // scale, scale)
        for index, scale in enumerate((1, 2, 2))
    )
    return y, u, v


def _blend_plane(tiles: Sequence[Tile], parts: list[Tensor], height: int, width: int, scale: int) -> Tensor:
    """`scale`: luma samples for each sample of this plane, along each axis."""
    rows = _weights(sorted({(t.y // scale, t.height // scale) for t in tiles}), height)
    columns = _weights(sorted({(t.x // scale, t.width // scale) for t in tiles}), width)
    whole = parts[0].new_zeros((*parts[0].shape[:-2], height, width))
    for tile, part in zip(tiles, parts, strict=True):
        top, left, high, wide = (number // scale for number in (tile.y, tile.x, tile.height, tile.width))
        if part.shape[-2:] != (high, wide):
            raise UsageError(f"planes of {tuple(part.shape)} for a tile of {high} x {wide}")
        weight = rows[top].to(part)[:, None] * columns[left].to(part)
        whole[..., top : top + high, left : left + wide] += part * weight
    return whole


def _weights(intervals: list[tuple[int, int]], length: int) -> dict[int, Tensor]:
    """Weight [size] float64 of every interval by its start; they add up to 1 at each of `length` places.

    Raised cosine sin²: over an overlap of n samples it rises as sin²(π/2 · (i + ½)/n) in the one and falls as
    cos² in the other. Dividing by the sum keeps that true where more than two intervals overlap.
    """
    total = torch.zeros(length, dtype=torch.float64)
    weights = []
    for index, (start, size) in enumerate(intervals):
        weight = torch.ones(size, dtype=torch.float64)
        if index > 0:
            shared = min(size, max(0, sum(intervals[index - 1]) - start))
            weight[:shared] *= _rise(shared)
        if index + 1 < len(intervals):
            shared = min(size, max(0, start + size - intervals[index + 1][0]))
            weight[size - shared :] *= _rise(shared).flip(0)
        weights.append(weight)
        total[start : start + size] += weight
    if not bool((total > 0).all()):
        raise UsageError(f"the tiles do not cover all of {length} samples")
    return {
        start: weight / total[start : start + size] for (start, size), weight in zip(intervals, weights, strict=True)
    }


def _rise(count: int) -> Tensor:
    return torch.sin((torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / 2 / max(count, 1))) ** 2
