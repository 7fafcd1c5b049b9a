"""Motion and choices of a chunk read by the words of FORMAT.md §§10-13 alone: plain Python, nothing of latents/.

What it shares with the codec is the range coder and the tables; tensors meet it only to be compared.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.entropy.coder import SymbolDecoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.chunk import PictureLatents
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes

Vector = tuple[int, int]
Grid = list[list[Vector]]
ORDER = {  # §11: position, past, future, guide
    1: [(1, 0, None, None)],
    2: [(2, 0, None, None), (1, 0, 2, 2)],
    3: [(3, 0, None, None), (1, 0, 3, 3), (2, 1, 3, 1)],
    5: [(5, 0, None, None), (2, 0, 5, 5), (1, 0, 2, 2), (3, 2, 5, 2), (4, 3, 5, 3)],
    8: [
        (8, 0, None, None), (4, 0, 8, 8), (2, 0, 4, 4), (6, 4, 8, 4),
        (1, 0, 2, 2), (3, 2, 4, 2), (5, 4, 6, 6), (7, 6, 8, 6),
    ],
}  # fmt: skip


def add(a: Vector, b: Vector, sign: int = 1) -> Vector:
    return a[0] + sign * b[0], a[1] + sign * b[1]


def scale(v: Vector, a: int, b: int) -> Vector:
    dy, dx = ((2 * c * a + b) // (2 * b) for c in v)
    return dy, dx


def each(function, *grids):  # type: ignore[no-untyped-def]
    return [[function(*cells) for cells in zip(*rows, strict=True)] for rows in zip(*grids, strict=True)]


def between(a: Vector, b: Vector, *, other: bool) -> Vector:
    if abs(a[0] - b[0]) > 8 or abs(a[1] - b[1]) > 8:
        return b if other else a
    return (a[0] + b[0] + 1) // 2, (a[1] + b[1] + 1) // 2


def finer(grid, middle):  # type: ignore[no-untyped-def]
    """A point between every two neighbours: first in every column, then in every row of the result."""
    for _ in range(2):
        taller = [grid[0]]
        for upper, lower in itertools.pairwise(grid):
            taller += [[middle(a, b) for a, b in zip(upper, lower, strict=True)], lower]
        grid = [list(row) for row in zip(*taller, strict=True)]  # transposed twice
    return grid


def interpolated(grid: Grid, *, other: bool = False) -> Grid:
    return finer(grid, lambda a, b: between(a, b, other=other))


class Levels:
    """§12 for one size of tile."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.top = min(5, int(np.floor(np.log2(max(height, width) / 8))))
        unit = 2**self.top
        self.rows, self.columns = -(-height // (8 * unit)) * unit + 1, -(-width // (8 * unit)) * unit + 1

    def points(self, level: int) -> list[tuple[int, int]]:
        reach = 8 * 2**level
        return [
            (y, x)
            for y in range((self.rows - 1) // 2**level + 1)
            for x in range((self.columns - 1) // 2**level + 1)
            if (y - 1) * reach < self.height and (x - 1) * reach < self.width
            and (level == self.top or y % 2 or x % 2)
        ]  # fmt: skip

    def zeros(self, level: int) -> list[list[int]]:
        return [[0] * ((self.columns - 1) // 2**level + 1) for _ in range((self.rows - 1) // 2**level + 1)]

    def like(self, field: Grid | None, level: int) -> list[list[int]] | None:
        """|dy| + |dx| of what would have been coded for the like field."""
        if field is None:
            return None
        here = [row[:: 2**level] for row in field[:: 2**level]]
        guess = each(lambda v: (0, 0), here)
        if level < self.top:
            guess = interpolated([row[:: 2 ** (level + 1)] for row in field[:: 2 ** (level + 1)]])
        return each(lambda v, g: abs(v[0] - g[0]) + abs(v[1] - g[1]), here, guess)

    def residual(self, coder: SymbolDecoder, tables: TableSet, kind: int, like: Grid | None) -> Grid:
        activity = self.zeros(self.top)
        guess = other = each(lambda _: (0, 0), activity)
        for level in range(self.top, -1, -1):
            points, liked = self.points(level), self.like(like, level)
            contexts = []
            for y, x in points:
                a = activity[y][x]
                context = 480 * kind + 4 * level + (a > 0) + (a > 2) + (a > 8)
                if liked is not None:
                    context += 24 * (1 + (liked[y][x] > 0) + (liked[y][x] > 4))
                contexts.append(context)
            dy = coder.decode(tables, np.array(contexts)).tolist()
            second = [
                c + 96 * (4 if s == 32 else 1 + (s != 0) + (abs(s) > 2)) for c, s in zip(contexts, dy, strict=True)
            ]
            dx = coder.decode(tables, np.array(second)).tolist()
            coded = each(lambda _: (0, 0), guess)
            for (y, x), s, t in zip(points, dy, dx, strict=True):
                away = add(other[y][x], guess[y][x], -1)
                coded[y][x] = away if s == 32 else (s - (s > 32), t - (t > 32))
            field = each(add, guess, coded)
            if level:
                activity = each(lambda v, a: max(abs(v[0]) + abs(v[1]), a // 2), coded, activity)
                activity = finer(activity, max)
                guess, other = interpolated(field), interpolated(field, other=True)
        return field


def read_choices(coder: SymbolDecoder, tables: TableSet, rows: int, columns: int) -> list[list[int]]:
    choice = [[0] * columns for _ in range(rows)]

    def at(y: int, x: int) -> int:
        return choice[y][x] if y >= 0 and 0 <= x < columns else 0

    for y in range(rows):
        for start in (0, 1):
            run = range(start, columns, 2)
            context = [
                27 + 9 * at(y - 1, x) + 3 * at(y, x - 1) + at(y, x + 1) if start
                else 9 * at(y - 1, x) + 3 * at(y - 1, x - 1) + at(y - 1, x + 1)
                for x in run
            ]  # fmt: skip
            for x, symbol in zip(run, coder.decode(tables, np.array(context, dtype=np.int64)).tolist(), strict=True):
                choice[y][x] = symbol + 1
    return choice


def read_motion(
    streams: tuple[bytes, ...], count: int, size: tuple[int, int], tables: tuple[TableSet, TableSet],
    before: Grid | None,
) -> list[tuple[list[Grid], list[list[int]] | None]]:  # fmt: skip
    """(fields, choices) of every picture of a chunk, in the order of coding."""
    levels, blocks = Levels(*size), (size[0] // 16, size[1] // 16)
    fields: dict[int, list[Grid]] = {}
    result: list[tuple[list[Grid], list[list[int]] | None]] = []
    for number, (m, p, f, guide) in enumerate(ORDER[count]):
        absent = streams[0][2 * number + 1] & 0x80
        coder = SymbolDecoder(streams[1 + number])
        zero = each(lambda _: (0, 0), levels.zeros(0))
        choices = None
        if f is None:
            fields[m] = [zero if absent else levels.residual(coder, tables[0], 0, before)]
        else:
            across = fields[guide][0 if guide == f else 1]
            near = m - p if guide == f else p - m
            guess = each(lambda v: scale(v, near, f - p), across)  # noqa: B023 - used at once
            first = zero if absent else levels.residual(coder, tables[0], 1, across)
            past = each(add, guess, first)
            onward = each(lambda v: scale(v, m - f, m - p), past)  # noqa: B023
            second = zero if absent else levels.residual(coder, tables[0], 2, first)
            fields[m] = [past, each(add, onward, second)]
            choices = [[0] * blocks[1] for _ in range(blocks[0])]
            if not absent:
                choices = read_choices(coder, tables[1], *blocks)
        result.append((fields[m], choices))
    return result


def grids(latents: PictureLatents) -> list[Grid]:
    assert latents.field is not None
    return [[[tuple(v) for v in row] for row in field.permute(1, 2, 0).tolist()] for field in latents.field]


@pytest.fixture(scope="module")
def codec(tiny_weights: Path) -> ChunkCodec:
    return ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))


@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 48, 80), (2, 16, 16), (3, 96, 64), (5, 48, 80), (8, 64, 112)]
)
def test_motion_is_read_by_the_formats_words(codec: ChunkCodec, count: int, height: int, width: int) -> None:
    """Two chunks, the second behind the anchor of the first, of a thing that moves over a texture that moves."""
    planes = moving_planes(1 + 2 * count, height, width, dy=1, dx=-3)
    noise = torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
    for t in range(len(planes)):
        left = (5 * t) % max(1, width - 24)
        planes.y[t, : min(24, height), left : left + 24] = noise[:height, : width - left]
    motion, blend = codec.tables.motion, codec.tables.blend
    history = codec.encode(planes[:1], quality=80, history=None).history
    before: Grid | None = None
    said = 0
    for start in (1, 1 + count):
        chunk = codec.encode(planes[start : start + count], quality=80, history=history)
        found = read_motion(chunk.streams, count, (height, width), (motion, blend), before)
        for latents, (fields, choices) in zip(chunk.latents.pictures, found, strict=True):
            assert grids(latents) == fields
            assert (None if latents.choice is None else latents.choice.tolist()) == choices
        said += sum(not flags & 0x80 for flags in chunk.streams[0][1::2])
        history, before = chunk.history, found[0][0][0]
    assert said >= count, "else there was little to read"
