"""Motion tables: initial guesses, counting what a chunk codes, and mixing both."""

from __future__ import annotations

import torch

from stpcodec.entropy.tables import TableSet
from stpcodec.latents.motion_field import CONTEXTS, LARGEST, Hierarchy, zero_levels
from stpcodec.model.motion_tables import SYMBOLS, count_residuals, initial_tables, tables_from_counts


def test_initial_tables_are_tables() -> None:
    counts = initial_tables().counts
    assert counts.shape == (CONTEXTS, SYMBOLS)
    assert TableSet(counts.long().numpy()).largest == LARGEST
    values = counts[:, :-1]
    assert torch.equal(values, values.flip(1)), "left and right are alike"
    assert (values.argmax(1) == LARGEST).all(), "no residual is the likeliest"
    probability = torch.exp2(-initial_tables().bits().double())
    torch.testing.assert_close(probability.sum(1), torch.ones(CONTEXTS, dtype=torch.float64), atol=1e-4, rtol=0)


def test_counting_sees_every_coded_point_once() -> None:
    height, width = 48, 80
    hierarchy = Hierarchy.of(height, width)
    base, middle = zero_levels(hierarchy, 1), zero_levels(hierarchy, 3)
    base[-1][:, 0] = 200  # an escape, and activity for all its children
    middle[0][1, 1, 1, 1] = -LARGEST
    counts = torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64)
    count_residuals(counts, base, None, height, width)
    count_residuals(counts, middle, base, height, width)
    coded = sum(int(hierarchy.coded(level, height, width).sum()) for level in range(hierarchy.top + 1))
    assert counts.sum() == coded * 2 * 4
    assert counts[:, -1].sum() == int(hierarchy.coded(hierarchy.top, height, width).sum())
    assert counts[:, 0].sum() == 1
    assert counts[0].sum() == 0, "next to 200 no point is calm"


def test_counts_move_the_tables_and_silence_does_not() -> None:
    counts = torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64)
    silent = tables_from_counts(counts)
    assert (silent.counts - initial_tables().counts).abs().max() <= SYMBOLS, "a thousandth, from rounding"
    counts[7, LARGEST + 3] = 1e6
    heard = tables_from_counts(counts)
    assert heard.counts[7].argmax() == LARGEST + 3
    assert heard.counts.min() >= 1, "nothing becomes impossible"
    assert torch.equal(heard.counts[8:], silent.counts[8:])
    assert heard.bits()[7, LARGEST + 3] < 0.01
