"""Compiled walk over one field's points against the walk as it was written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import (
    ANCHOR,
    FUTURE,
    LARGEST,
    PAST,
    Hierarchy,
    like_levels,
    reconstruct,
    second_context,
    to_residuals,
    to_symbols,
    walk,
    zero_levels,
)
from stpcodec.latents.motion_points import fill_in, second_contexts, symbols, walk_points

sides = st.integers(1, 12).map(lambda cells: 16 * cells)


def random_levels(height: int, width: int, density: float, seed: int) -> list[torch.Tensor]:
    random, hierarchy = torch.Generator().manual_seed(seed), Hierarchy.of(height, width)
    levels = zero_levels(hierarchy, 1)
    for number, level in enumerate(levels):
        value = torch.randint(-LARGEST - 4, LARGEST + 5, level.shape, generator=random, dtype=torch.int32)
        keep = torch.rand(level.shape, generator=random) < density
        levels[number] = value * keep * hierarchy.coded(number, height, width)
    return levels


@pytest.mark.parametrize("kind", [ANCHOR, PAST, FUTURE])
@given(
    height=sides, width=sides, density=st.sampled_from([0.0, 0.1, 1.0]), follows=st.sampled_from([None, 0.0, 0.3]),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_contexts_and_symbols_are_those_of_walk(
    kind: int, height: int, width: int, density: float, follows: float | None, seed: int
) -> None:
    levels = random_levels(height, width, density, seed)
    field = None if follows is None else reconstruct(random_levels(height, width, follows, seed + 1))[0]
    looks_at = like_levels(field, height, width)
    likes = None if looks_at is None else [level[0].contiguous().numpy() for level in looks_at]
    plain = [level[0].numpy().copy() for level in levels]
    for points, (level, context, coded, other, predicted) in zip(
        walk_points(plain, likes, height, width, kind), walk(levels, looks_at, height, width, kind), strict=True
    ):
        assert points.level == level
        np.testing.assert_array_equal(points.contexts, context[coded].numpy())
        np.testing.assert_array_equal(points.predicted, predicted[0].numpy())
        np.testing.assert_array_equal(points.other, other[0].numpy())
        if level:  # now and then a point follows its other parent
            chosen = coded & (context % 3 == 0)
            levels[level] = torch.where(chosen[:, None], other, levels[level])
            plain[level] = levels[level][0].numpy().copy()
        residual, left = (part.permute(1, 0, 2, 3)[:, coded] for part in (levels[level], other))
        expected = to_symbols(residual, left)
        found = symbols(plain[level], points.other, points.positions)
        for one, two in zip(found, expected.numpy(), strict=True):
            np.testing.assert_array_equal(one, two)
        at = second_context(context[coded], expected[0])
        np.testing.assert_array_equal(second_contexts(points.contexts, found[0]), at.numpy())
        back = np.zeros_like(plain[level])
        fill_in(*found, points.other, points.positions, back)
        decoded = torch.zeros_like(levels[level])
        decoded.permute(1, 0, 2, 3)[:, coded] = to_residuals(expected, left)
        np.testing.assert_array_equal(back, decoded[0].numpy())
