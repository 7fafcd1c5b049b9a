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
    contexts_of,
    keep,
    levels_of,
    point_bits,
    predicted,
    put_back,
    settle,
    stored_values,
    tree_of,
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


def tree_bits(tree: tuple[np.ndarray, ...], contexts: tuple[np.ndarray, ...]) -> float:
    return sum(
        float(point_bits(tree, contexts, level, y, x, BITS.numpy()))
        for level in range(len(tree))
        for y, x in zip(*np.nonzero(contexts[level] >= 0), strict=True)
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("liked", [False, True])
def test_a_tree_has_the_vectors_and_the_bits_of_its_levels(seed: int, liked: bool) -> None:
    levels = some_levels(seed)
    like = reconstruct(some_levels(seed + 100))[0] if liked else None
    tree = tree_of(levels)
    assert all(torch.equal(a, b) for a, b in zip(levels_of(tree), levels, strict=True))
    assert np.array_equal(tree[0][VECTOR : VECTOR + 2], reconstruct(levels)[0].numpy())
    contexts = contexts_of(HIERARCHY, HEIGHT, WIDTH, like_levels(like, HEIGHT, WIDTH))
    assert tree_bits(tree, contexts) == pytest.approx(coder_bits(levels, like), rel=1e-5)


@pytest.mark.parametrize("level", range(4))
def test_what_has_no_residual_follows_and_the_rest_stays(level: int) -> None:
    random = np.random.default_rng(level)
    levels = some_levels(level, share=0.2)
    tree, contexts = tree_of(levels), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = random.integers(-9, 10, (2, HIERARCHY.rows, HIERARCHY.columns)).astype(np.int32)
    field = base + tree[0][VECTOR : VECTOR + 2]
    for _ in range(20):
        points = np.argwhere(contexts[level] >= 0)
        row, column = (int(part) for part in points[random.integers(len(points))])
        step = random.integers(-12, 13, 2)
        before, bits_before = [part.copy() for part in tree], tree_bits(tree, contexts)
        touched = settle(tree, contexts, base, field, level, row, column, BITS.numpy())
        assert all(np.array_equal(a, b) for a, b in zip(tree, before, strict=True))
        tree[level][RESIDUAL : RESIDUAL + 2, row, column] += step.astype(np.int32)
        tree[level][VECTOR : VECTOR + 2, row, column] += step.astype(np.int32)
        touched_after = settle(tree, contexts, base, field, level, row, column, BITS.numpy())
        # The tree is that of its residuals, activities too, and the field that of its vectors.
        again = tree_of(levels_of(tree))
        assert all(np.array_equal(a, b) for a, b in zip(tree, again, strict=True))
        assert np.array_equal(field, base + again[0][VECTOR : VECTOR + 2])
        difference = tree_bits(tree, contexts) - bits_before
        assert difference == pytest.approx(float(touched_after) - float(touched), abs=0.05)
        for below in range(level):
            was, now = before[below], tree[below]
            had = (was[RESIDUAL : RESIDUAL + 2] != 0).any(0)
            assert np.array_equal(was[VECTOR : VECTOR + 2, had], now[VECTOR : VECTOR + 2, had])
            assert not now[RESIDUAL : RESIDUAL + 2, ~had].any()


@pytest.mark.parametrize("level", range(4))
def test_what_was_kept_comes_back(level: int) -> None:
    tree, contexts = tree_of(some_levels(7)), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = np.zeros((2, HIERARCHY.rows, HIERARCHY.columns), np.int32)
    field = base + tree[0][VECTOR : VECTOR + 2]
    store = np.empty(stored_values(level), np.int32)
    for row, column in np.argwhere(contexts[level] >= 0):
        before = [part.copy() for part in (*tree, field)]
        keep(tree, field, level, row, column, store)
        tree[level][[RESIDUAL, VECTOR], row, column] += 5
        settle(tree, contexts, base, field, level, row, column, BITS.numpy())
        put_back(tree, field, level, row, column, store)
        assert all(np.array_equal(a, b) for a, b in zip((*tree, field), before, strict=True))


def test_both_predictions_are_those_of_the_format() -> None:
    tree = tree_of(some_levels(3, share=0.9))
    for above in tree[1:]:
        both = upsample_both(torch.from_numpy(above[None, VECTOR : VECTOR + 2].copy()))
        assert not torch.equal(*both)
        for second, found in enumerate(part[0].numpy() for part in both):
            for y, x in np.ndindex(found.shape[1:]):
                assert predicted(above, y, x, bool(second)) == tuple(found[:, y, x])


def test_vectors_that_no_file_may_have_are_forbidden() -> None:
    tree, contexts = tree_of(some_levels(5, share=0)), contexts_of(HIERARCHY, HEIGHT, WIDTH, None)
    base = np.full((2, HIERARCHY.rows, HIERARCHY.columns), MAX_VECTOR, np.int32)
    field = base.copy()
    assert settle(tree, contexts, base, field, 1, 1, 2, BITS.numpy()) < FORBIDDEN
    tree[1][[RESIDUAL, VECTOR], 1, 2] += 1
    assert settle(tree, contexts, base, field, 1, 1, 2, BITS.numpy()) >= FORBIDDEN
