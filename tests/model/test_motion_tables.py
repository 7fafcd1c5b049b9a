"""Motion tables: initial guesses, counting what a picture codes, and mixing both."""

from __future__ import annotations

import torch

from stpcodec.entropy.tables import TableSet
from stpcodec.latents.blend import BLEND_CONTEXTS, BOTH, CHOICES, ONLY_FUTURE, ONLY_PAST, walk_blend
from stpcodec.latents.motion_field import (
    ANCHOR,
    CONTEXTS,
    FUTURE,
    KIND_CONTEXTS,
    LARGEST,
    PAST,
    Hierarchy,
    zero_levels,
)
from stpcodec.model.motion_tables import (
    SYMBOLS,
    MotionTables,
    count_choices,
    count_residuals,
    initial_tables,
    tables_from_counts,
)


def no_counts() -> tuple[torch.Tensor, torch.Tensor]:
    """Of residuals and of choices."""
    return (
        torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64),
        torch.zeros(BLEND_CONTEXTS, CHOICES + 1, dtype=torch.float64),
    )


def bits(tables: MotionTables) -> torch.Tensor:
    """Of all kinds, ``[CONTEXTS, SYMBOLS]``."""
    return torch.cat([tables.bits(kind) for kind in (ANCHOR, PAST, FUTURE)])


def test_initial_tables_are_tables() -> None:
    tables = initial_tables()
    assert tables.counts.shape == (CONTEXTS, SYMBOLS)
    assert TableSet(tables.counts.long().numpy()).largest == LARGEST
    values = tables.counts[:, :-1]
    assert torch.equal(values, values.flip(1)), "left and right are alike"
    assert (values.argmax(1) == LARGEST).all(), "no residual is the likeliest"
    probability = torch.exp2(-bits(tables).double())
    torch.testing.assert_close(probability.sum(1), torch.ones(CONTEXTS, dtype=torch.float64), atol=1e-4, rtol=0)


def test_bits_are_those_of_the_kinds_own_rows() -> None:
    counts = initial_tables().counts.clone()
    for kind in (PAST, FUTURE):
        counts[kind * KIND_CONTEXTS : (kind + 1) * KIND_CONTEXTS, LARGEST] *= 1 + kind
    tables = MotionTables(counts, initial_tables().blend)
    zero = [tables.bits(kind)[:, LARGEST] for kind in (ANCHOR, PAST, FUTURE)]
    assert torch.equal(zero[ANCHOR], initial_tables().bits(ANCHOR)[:, LARGEST])
    assert (zero[ANCHOR] > zero[PAST]).all()
    assert (zero[PAST] > zero[FUTURE]).all()


def test_initial_choices_are_tables() -> None:
    """A choice that all around made is the likeliest; nothing else is needed of a first guess."""
    blend = initial_tables().blend
    assert blend.shape == (BLEND_CONTEXTS, CHOICES + 1)
    assert blend.dtype == torch.int32
    assert TableSet(blend.long().numpy()).largest == 1, "choices less one, and an escape that never comes"
    assert blend.min() >= 1
    assert (blend[:, -1] <= 2).all()
    for choice in (BOTH, ONLY_PAST, ONLY_FUTURE):
        alone = torch.full((5, 5), choice)
        context = [part for _, part in walk_blend(alone)][5]
        assert (blend[context.long()].argmax(1) == choice).all()


def test_counting_sees_every_coded_point_once() -> None:
    height, width = 48, 80
    hierarchy = Hierarchy.of(height, width)
    base, middle = zero_levels(hierarchy, 1), zero_levels(hierarchy, 3)
    base[-1][:, 0] = 200  # an escape, and activity for all its children
    middle[0][1, 1, 1, 1] = -LARGEST
    counts, _ = no_counts()
    count_residuals(counts, base, None, height, width, ANCHOR)
    count_residuals(counts, middle, base, height, width, FUTURE)
    coded = sum(int(hierarchy.coded(level, height, width).sum()) for level in range(hierarchy.top + 1))
    kinds = counts.view(3, KIND_CONTEXTS, SYMBOLS)
    assert kinds.sum((1, 2)).tolist() == [coded * 2, 0, coded * 2 * 3]
    assert counts[:, -1].sum() == int(hierarchy.coded(hierarchy.top, height, width).sum())
    assert counts[:, 0].sum() == 1
    assert counts[0].sum() == 0, "next to 200 no point is calm"


def test_counting_sees_every_choice_once() -> None:
    choice = torch.randint(0, CHOICES, (7, 9), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    _, counts = no_counts()
    count_choices(counts, choice)
    count_choices(counts, choice)
    assert counts[:, :CHOICES].sum(0).tolist() == [2 * int((choice == c).sum()) for c in range(CHOICES)]
    assert not counts[:, -1].any()
    assert counts[:27].sum() == 2 * 7 * 5, "of even columns"


def test_counts_move_the_tables_and_silence_does_not() -> None:
    counts, blend = no_counts()
    silent = tables_from_counts(counts, blend)
    assert (silent.counts - initial_tables().counts).abs().max() <= SYMBOLS, "a thousandth, from rounding"
    assert (silent.blend - initial_tables().blend).abs().max() <= CHOICES
    counts[7, LARGEST + 3] = blend[11, ONLY_FUTURE] = 1e6
    heard = tables_from_counts(counts, blend)
    assert heard.counts[7].argmax() == LARGEST + 3
    assert heard.blend[11].argmax() == ONLY_FUTURE
    assert heard.counts.min() >= 1, "nothing becomes impossible"
    assert heard.blend.min() >= 1
    assert torch.equal(heard.counts[8:], silent.counts[8:])
    assert torch.equal(heard.blend[12:], silent.blend[12:])
    assert heard.bits(ANCHOR)[7, LARGEST + 3] < 0.01
