"""A hierarchy in which one point moves: what hangs on it follows or stays, and bits are the coder's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import (
    ANCHOR,
    KIND_CONTEXTS,
    LARGEST,
    MAX_VECTOR,
    Hierarchy,
    like_levels,
    reconstruct,
    second_context,
    to_symbols,
    upsample_both,
    walk,
)
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.motion_tree import (
    FORBIDDEN,
    RESIDUAL,
    VECTOR,
    bits_at,
    contexts_of,
    keep,
    level_of,
    levels_of,
    parents,
    predicted,
    put_back,
    settle,
    stored_values,
    tree_of,
    vectors_of,
)

HEIGHT, WIDTH = 96, 128
HIERARCHY = Hierarchy.of(HEIGHT, WIDTH)
BITS = initial_tables().bits(ANCHOR)


def some_levels(seed: int, share: float = 0.4) -> list[Tensor]:
    random = np.random.default_rng(seed)
    levels = []
    for level in range(HIERARCHY.top + 1):
        shape = HIERARCHY.shape(level)
        residual = random.integers(-20, 21, (2, *shape)) * (random.random(shape) < share)
        residual *= HIERARCHY.coded(level, HEIGHT, WIDTH).numpy()
        levels.append(torch.from_numpy(residual.astype(np.int32))[None])
    return levels


def coder_bits(levels: list[Tensor], like: Tensor | None) -> float:
    """By the order and the contexts of the coder's own walk."""
    total, bits = 0.0, BITS.double()
    for level, context, coded, other, _ in walk(levels, like_levels(like, HEIGHT, WIDTH), HEIGHT, WIDTH):
        first, second = to_symbols(*(part.permute(1, 0, 2, 3)[:, coded] for part in (levels[level], other)))
        at = context[coded].long()
        for symbols, rows in ((first, at), (second, second_context(at, first).long())):
            assert int(rows.max()) < KIND_CONTEXTS
            size = symbols.abs().long()
            escaped = bits[rows, -1] + 2 * torch.log2(size.clamp(min=1).double()) + 1
            known = bits[rows, symbols.long().clamp(-LARGEST, LARGEST) + LARGEST]
            total += float(torch.where(size > LARGEST, escaped, known).sum())
    return total


def tree_bits(nodes: np.ndarray, layout: np.ndarray, contexts: np.ndarray) -> float:
    return sum(
        float(bits_at(nodes, layout, contexts, level, y, x, BITS.numpy()))
        for level in range(len(layout))
        for y, x in zip(*np.nonzero(level_of(contexts, layout, level) >= 0), strict=True)
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("liked", [False, True])
def test_a_tree_has_the_vectors_and_the_bits_of_its_levels(seed: int, liked: bool) -> None:
    levels = some_levels(seed)
    like = reconstruct(some_levels(seed + 100))[0] if liked else None
    nodes, layout = tree_of(levels)
    assert all(torch.equal(a, b) for a, b in zip(levels_of(nodes, layout), levels, strict=True))
    assert np.array_equal(vectors_of(nodes, layout), reconstruct(levels)[0].numpy())
    contexts = contexts_of(HIERARCHY, HEIGHT, WIDTH, like_levels(like, HEIGHT, WIDTH))
    assert tree_bits(nodes, layout, contexts) == pytest.approx(coder_bits(levels, like), rel=1e-5)


@pytest.mark.parametrize("level", range(4))
def test_what_has_no_residual_follows_and_the_rest_stays(level: int) -> None:
    random = np.random.default_rng(level)
    levels = some_levels(level, share=0.2)
    (nodes, layout), contexts = tree_of(levels), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = random.integers(-9, 10, (2, HIERARCHY.rows, HIERARCHY.columns)).astype(np.int32)
    field = base + vectors_of(nodes, layout)
    for _ in range(20):
        points = np.argwhere(level_of(contexts, layout, level) >= 0)
        row, column = (int(part) for part in points[random.integers(len(points))])
        step = random.integers(-12, 13, 2)
        before, bits_before = nodes.copy(), tree_bits(nodes, layout, contexts)
        touched = settle(nodes, layout, contexts, base, field, level, row, column, BITS.numpy())
        assert np.array_equal(nodes, before)
        moved = level_of(nodes, layout, level)[row, column]
        moved[RESIDUAL : RESIDUAL + 2] += step.astype(np.int32)
        moved[VECTOR : VECTOR + 2] += step.astype(np.int32)
        touched_after = settle(nodes, layout, contexts, base, field, level, row, column, BITS.numpy())
        # The tree is that of its residuals, activities too, and the field that of its vectors.
        again, _ = tree_of(levels_of(nodes, layout))
        assert np.array_equal(nodes, again)
        assert np.array_equal(field, base + vectors_of(again, layout))
        difference = tree_bits(nodes, layout, contexts) - bits_before
        assert difference == pytest.approx(float(touched_after) - float(touched), abs=0.05)
        for below in range(level):
            was, now = level_of(before, layout, below), level_of(nodes, layout, below)
            had = (was[..., RESIDUAL : RESIDUAL + 2] != 0).any(-1)
            assert np.array_equal(was[had, VECTOR : VECTOR + 2], now[had, VECTOR : VECTOR + 2])
            assert not now[~had, RESIDUAL : RESIDUAL + 2].any()


@pytest.mark.parametrize("level", range(4))
def test_what_was_kept_comes_back(level: int) -> None:
    (nodes, layout), contexts = tree_of(some_levels(7)), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = np.zeros((2, HIERARCHY.rows, HIERARCHY.columns), np.int32)
    field = base + vectors_of(nodes, layout)
    store = np.empty(stored_values(level), np.int32)
    for row, column in np.argwhere(level_of(contexts, layout, level) >= 0):
        before = nodes.copy(), field.copy()
        keep(nodes, layout, field, level, row, column, store)
        level_of(nodes, layout, level)[row, column, [RESIDUAL, VECTOR]] += 5
        settle(nodes, layout, contexts, base, field, level, row, column, BITS.numpy())
        assert not np.array_equal(nodes, before[0])
        put_back(nodes, layout, field, level, row, column, store)
        assert all(np.array_equal(a, b) for a, b in zip((nodes, field), before, strict=True))


def test_both_predictions_are_those_of_the_format() -> None:
    nodes, layout = tree_of(some_levels(3, share=0.9))
    for level in range(len(layout) - 1):
        above = level_of(nodes, layout, level + 1)[..., VECTOR : VECTOR + 2].transpose(2, 0, 1)
        both = upsample_both(torch.from_numpy(above[None].copy()))
        assert not torch.equal(*both)
        for second, found in enumerate(part[0].numpy() for part in both):
            for y, x in np.ndindex(found.shape[1:]):
                around = parents.py_func(layout, level, y, x)
                assert predicted.py_func(nodes, *around, bool(second)) == tuple(found[:, y, x])


def test_vectors_that_no_file_may_have_are_forbidden() -> None:
    (nodes, layout), contexts = tree_of(some_levels(5, share=0)), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = np.full((2, HIERARCHY.rows, HIERARCHY.columns), MAX_VECTOR, np.int32)
    field = base.copy()
    assert settle(nodes, layout, contexts, base, field, 1, 1, 2, BITS.numpy()) < FORBIDDEN
    level_of(nodes, layout, 1)[1, 2, [RESIDUAL, VECTOR]] += 1
    assert settle(nodes, layout, contexts, base, field, 1, 1, 2, BITS.numpy()) >= FORBIDDEN
