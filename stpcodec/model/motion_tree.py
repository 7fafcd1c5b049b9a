"""A motion field's hierarchy while it is searched: what follows when one point of any level moves.

The tree is a tuple of levels, finest first (latents/motion_field.py), each int32 ``[6, h, w]``: residual (dy, dx),
vector (dy, dx) without the predicted field, and what the contexts see of the parents: the activity that a point
inherits, and its own. Below a point that moves, points without a residual follow; those with one stay where they are,
and have another residual. Bits are those of the coder, contexts and all.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import float32, int32
from torch import Tensor

from stpcodec.latents.motion_field import MAX_VECTOR, Hierarchy, context_of, magnitude
from stpcodec.latents.motion_kernels import (
    activity_class,
    inherited,
    midway,
    own_activity,
    spread_activity,
    upsample_pair,
)
from stpcodec.latents.motion_points import activity
from stpcodec.model.motion_quantise import residual_bits
from stpcodec.model.motion_windows import inlined, kernel

PARTS = 6
FORBIDDEN = 1e9
"""Bits of a vector that no file may have."""
RESIDUAL, VECTOR, INHERITED, ACTIVITY = 0, 2, 4, 5


def tree_of(levels: list[Tensor]) -> tuple[np.ndarray, ...]:
    """levels int32 ``[1, 2, h, w]``, finest first, as `motion_search.search` returns them."""
    residuals = [np.ascontiguousarray(level[0].numpy(), np.int32) for level in levels]
    tree: list[np.ndarray] = []
    for residual in reversed(residuals):
        level = np.zeros((PARTS, *residual.shape[1:]), np.int32)
        level[RESIDUAL : RESIDUAL + 2] = level[VECTOR : VECTOR + 2] = residual
        if tree:
            above = np.ascontiguousarray(tree[-1][None, VECTOR : VECTOR + 2])
            level[VECTOR : VECTOR + 2] += upsample_pair(above)[0][0]
            level[INHERITED] = spread_activity(np.ascontiguousarray(tree[-1][None, ACTIVITY]))[0]
        level[ACTIVITY] = activity(residual, np.ascontiguousarray(level[INHERITED]))
        tree.append(level)
    return tuple(reversed(tree))


def levels_of(tree: tuple[np.ndarray, ...]) -> list[Tensor]:
    """The inverse of `tree_of`."""
    return [torch.from_numpy(level[None, RESIDUAL : RESIDUAL + 2].copy()) for level in tree]


def contexts_of(hierarchy: Hierarchy, height: int, width: int, like: list[Tensor] | None) -> tuple[np.ndarray, ...]:
    """Per level int32 ``[h, w]``: a point's context (motion_field.context_of) without the activity of its parents; -1
    where nothing is coded. like: levels of the like field."""
    contexts = []
    for level in range(hierarchy.top + 1):
        nothing = torch.zeros(1, *hierarchy.shape(level), dtype=torch.int32)
        context = context_of(level, nothing, None if like is None else magnitude(like[level]))
        coded = hierarchy.coded(level, height, width)
        contexts.append(torch.where(coded, context[0].int(), -1).int().numpy())
    return tuple(contexts)


@inlined
def reach(level, below, at, length):  # type: ignore[no-untyped-def]
    """First and last (excluded) of the points of the level `below` that the one at `at` of `level` has a say in."""
    depth = level - below
    around = (1 << depth) - 1
    return max((at << depth) - around, 0), min((at << depth) + around + 1, length)


@kernel
def predicted(above, y, x, second):  # type: ignore[no-untyped-def]
    """What the level above says of the point (y, x): motion_field.upsample_both, its first or second result."""
    up, left = y >> 1, x >> 1
    ay, ax = above[VECTOR, up, left], above[VECTOR + 1, up, left]
    if y & 1:
        ay, ax = midway(ay, ax, above[VECTOR, up + 1, left], above[VECTOR + 1, up + 1, left], second)
    if x & 1 == 0:
        return ay, ax
    by, bx = above[VECTOR, up, left + 1], above[VECTOR + 1, up, left + 1]
    if y & 1:
        by, bx = midway(by, bx, above[VECTOR, up + 1, left + 1], above[VECTOR + 1, up + 1, left + 1], second)
    return midway(ay, ax, by, bx, second)


@kernel
def point_bits(tree, contexts, level, y, x, cost_bits):  # type: ignore[no-untyped-def]
    """Of the residual at (y, x) of a level."""
    own = tree[level]
    context = contexts[level][y, x] + activity_class(own[INHERITED, y, x])
    residual_y, residual_x = own[RESIDUAL, y, x], own[RESIDUAL + 1, y, x]
    other_y, other_x = int32(0), int32(0)
    if (residual_y != 0 or residual_x != 0) and level + 1 < len(tree):
        first_y, first_x = predicted(tree[level + 1], y, x, False)
        second_y, second_x = predicted(tree[level + 1], y, x, True)
        other_y, other_x = second_y - first_y, second_x - first_x
    return residual_bits(residual_y, residual_x, other_y, other_x, context, cost_bits)


@kernel
def settle(tree, contexts, base, field, level, row, column, cost_bits):  # type: ignore[no-untyped-def]
    """After residual and vector at (row, column) of `level` have changed: everything that depends on them, and the
    finest vectors with the predicted field (base) into `field`. Returns the bits of all points it has looked at, or
    more than FORBIDDEN where a vector is out of range."""
    own = tree[level]
    _note_activity(own, row, column)
    total = float32(0)
    if contexts[level][row, column] >= 0:
        total += point_bits(tree, contexts, level, row, column, cost_bits)
    for below in range(level - 1, -1, -1):
        own, above = tree[below], tree[below + 1]
        _, height, width = own.shape
        top, bottom = reach(level, below, row, height)
        left, right = reach(level, below, column, width)
        for y in range(top, bottom):
            for x in range(left, right):
                own[INHERITED, y, x] = inherited(above, ACTIVITY, y, x)
                vector_y, vector_x = predicted(above, y, x, False)
                new = (y & 1) + (x & 1) > 0
                if new and (own[RESIDUAL, y, x] != 0 or own[RESIDUAL + 1, y, x] != 0):
                    own[RESIDUAL, y, x] = own[VECTOR, y, x] - vector_y
                    own[RESIDUAL + 1, y, x] = own[VECTOR + 1, y, x] - vector_x
                else:
                    own[VECTOR, y, x], own[VECTOR + 1, y, x] = vector_y, vector_x
                _note_activity(own, y, x)
                if contexts[below][y, x] >= 0:
                    total += point_bits(tree, contexts, below, y, x, cost_bits)
    finest = tree[0]
    _, height, width = field.shape
    top, bottom = reach(level, 0, row, height)
    left, right = reach(level, 0, column, width)
    for y in range(top, bottom):
        for x in range(left, right):
            vector_y, vector_x = base[0, y, x] + finest[VECTOR, y, x], base[1, y, x] + finest[VECTOR + 1, y, x]
            field[0, y, x], field[1, y, x] = vector_y, vector_x
            if max(abs(vector_y), abs(vector_x)) > MAX_VECTOR:
                total += float32(FORBIDDEN)
    return total


@inlined
def _note_activity(own, y, x):  # type: ignore[no-untyped-def]
    own[ACTIVITY, y, x] = own_activity(own[RESIDUAL, y, x], own[RESIDUAL + 1, y, x], own[INHERITED, y, x])


@kernel
def keep(tree, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """What `settle` may change of tree and field, into `store` (stored_values)."""
    _exchange(tree, field, level, row, column, store, False)


@kernel
def put_back(tree, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """The inverse of `keep`."""
    _exchange(tree, field, level, row, column, store, True)


@inlined
def _exchange(tree, field, level, row, column, store, back):  # type: ignore[no-untyped-def]
    at = 0
    for below in range(level + 1):
        at = _exchange_part(tree[below], level - below, row, column, store, at, back)
    _exchange_part(field, level, row, column, store, at, back)


@inlined
def _exchange_part(values, depth, row, column, store, at, back):  # type: ignore[no-untyped-def]
    """The points ``[parts, h, w]`` that the one at (row, column), `depth` levels above, has a say in."""
    parts, height, width = values.shape
    top, bottom = reach(depth, 0, row, height)
    left, right = reach(depth, 0, column, width)
    for part in range(parts):
        for y in range(top, bottom):
            for x in range(left, right):
                if back:
                    values[part, y, x] = store[at]
                else:
                    store[at] = values[part, y, x]
                at += 1
    return at


@inlined
def stored_values(level):  # type: ignore[no-untyped-def]
    total = 0
    for below in range(level + 1):
        side = (2 << (level - below)) - 1
        total += PARTS * side * side
    side = (2 << level) - 1
    return total + 2 * side * side
