"""Levels through the entropy coder: against the specification, written out anew, and on what is no level."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.level_coder import decode_levels, encode_levels, level_changes
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.levels import LARGEST_CHANGE, LARGEST_LEVEL, LEVEL_CONTEXTS, level_counts

# Of every context another: coded by a wrong one it would be another stream.
TABLES = TableSet(1 + np.random.default_rng(0).integers(0, 40, (LEVEL_CONTEXTS, 2 * LARGEST_CHANGE + 2)))


def draw(rows: int, columns: int, largest: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (rows, columns), generator=generator).int()


def specified(levels: Tensor, before: Tensor | None) -> list[tuple[int, int]]:
    """(table, symbol) of every level in order: FORMAT.md §15."""
    grid, found = levels.tolist(), []
    for row, line in enumerate(grid):
        for column, level in enumerate(line):
            if before is not None:
                held = before.tolist()
                beside = [(row, column - 1)] * (column > 0) + [(row - 1, column)] * (row > 0)
                found.append((3 + sum(grid[i][j] != held[i][j] for i, j in beside), level - held[row][column]))
                continue
            left = line[column - 1] if column else (grid[row - 1][column] if row else 0)
            above = grid[row - 1][column] if row else left
            corner = grid[row - 1][column - 1] if row and column else left
            found.append((min(abs(left - above), 2), level - int(median((left, above, left + above - corner)))))
    return found


@given(
    rows=st.integers(1, 7), columns=st.integers(1, 7), largest=st.integers(0, LARGEST_LEVEL), follows=st.booleans(),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_streams_are_those_of_the_specification(
    rows: int, columns: int, largest: int, follows: bool, seed: int
) -> None:
    levels = draw(rows, columns, largest, seed)
    before = torch.where(draw(rows, columns, 1, seed + 1) == 0, levels, draw(rows, columns, largest, seed + 2))
    held = before if follows else None
    compiled, written = SymbolEncoder(), SymbolEncoder()
    encode_levels(compiled, levels, TABLES, before=held)
    tables, symbols = np.array(specified(levels, held), np.int32).T
    for table, symbol in zip(tables, symbols, strict=True):
        written.encode(np.array([symbol]), TABLES, np.array([table], np.int32))
    data = compiled.finish()
    assert data == written.finish()
    assert torch.equal(decode_levels(SymbolDecoder(data), TABLES, 32 * rows, 32 * columns, before=held), levels)
    at, changes = level_changes(levels, held)
    np.testing.assert_array_equal(at.reshape(-1), tables)
    np.testing.assert_array_equal(changes.reshape(-1), symbols)


@pytest.mark.parametrize("value", [9, -9, 16, 1000])
def test_what_is_no_level_is_refused(value: int) -> None:
    coder = SymbolEncoder()
    coder.encode(np.array([value]), TABLES, np.zeros(1, np.int32))
    with pytest.raises(CorruptFile, match="a level of quality that does not exist"):
        decode_levels(SymbolDecoder(coder.finish()), TABLES, 32, 32, before=None)


def test_what_stays_costs_hardly_anything() -> None:
    levels, tables = draw(12, 20, 4, 0), TableSet(level_counts().numpy())
    sizes = []
    for before in (levels, None):
        coder = SymbolEncoder()
        encode_levels(coder, levels, tables, before=before)
        sizes.append(len(coder.finish()))
    assert sizes[0] <= 25 < 60 < sizes[1]
