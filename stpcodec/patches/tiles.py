"""Overlapping tiles for frames too large for memory, and their blending without seams.

    one axis, 3 tiles:   |====tile 0====|
                                    |====tile 1====|        where two overlap their raised-cosine weights
                                               |====tile 2====|       add up to 1

The plan depends on the numbers in the stream header only: decoders make the encoder's plan again, so changing it
changes the format of tiled files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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


def blend(tiles: Sequence[Tile], planes: Iterable[Triple], height: int, width: int) -> Triple:
    """Join the planes of all tiles of a plan into those of the whole padded frame.

    planes: for each tile y [N, h, w], u and v [N, h/2, w/2], float; each is let go of before the next is asked for.
    Returns y [N, height, width], u and v [N, height/2, width/2] of the same dtype and device. Where one tile alone
    reaches, its samples come out untouched. Raises UsageError where tiles and planes do not fit each other.
    """
    rows, columns = {(tile.y, tile.height) for tile in tiles}, {(tile.x, tile.width) for tile in tiles}
    if not tiles or len(tiles) != len(rows) * len(columns):
        raise UsageError(f"{len(tiles)} tiles are not a grid of {len(rows)} by {len(columns)}")
    waiting = iter(planes)
    wholes: tuple[_Whole, ...] = ()
    for number, tile in enumerate(tiles):
        triple = next(waiting, None)
        if triple is None:
            raise UsageError(f"{number} sets of planes for {len(tiles)} tiles")
        if (tile.height, tile.width) == (height, width):
            return triple
        if not wholes:
            wholes = tuple(
                _Whole(part, rows, columns, height, width, scale)
                for part, scale in zip(triple, (1, 2, 2), strict=True)
            )
        for whole, part in zip(wholes, triple, strict=True):
            whole.add(tile, part)
    if next(waiting, None) is not None:
        raise UsageError(f"more sets of planes than the {len(tiles)} tiles")
    y, u, v = (whole.samples for whole in wholes)
    return y, u, v


class _Whole:
    """A plane of the frame while its tiles are added. scale: luma samples for each of its samples, along each axis."""

    def __init__(
        self, like: Tensor, rows: set[tuple[int, int]], columns: set[tuple[int, int]], height: int, width: int,
        scale: int,
    ):  # fmt: skip
        self._scale = scale
        self._rows, self._columns = (
            _weights(sorted((start // scale, size // scale) for start, size in intervals), length // scale)
            for intervals, length in ((rows, height), (columns, width))
        )
        self.samples = like.new_zeros((*like.shape[:-2], height // scale, width // scale))

    def add(self, tile: Tile, part: Tensor) -> None:
        top, left, high, wide = (number // self._scale for number in (tile.y, tile.x, tile.height, tile.width))
        if part.shape[-2:] != (high, wide):
            raise UsageError(f"planes of {tuple(part.shape)} for a tile of {high} x {wide}")
        weight = self._rows[top].to(part)[:, None] * self._columns[left].to(part)
        self.samples[..., top : top + high, left : left + wide] += part * weight


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
