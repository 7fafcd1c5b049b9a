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

from stpcodec.latents.motion_field import ACTIVITY_CLASSES, MAX_LEVELS, MAX_VECTOR, Hierarchy
from stpcodec.latents.motion_kernels import TEAR, spread_activity, upsample_pair
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
        context = np.full(hierarchy.shape(level), level * ACTIVITY_CLASSES, np.int32)
        if like is not None:
            size = like[level][0].abs().sum(0).numpy()
            context += MAX_LEVELS * ACTIVITY_CLASSES * (1 + (size > 0) + (size > 4)).astype(np.int32)
        contexts.append(np.where(hierarchy.coded(level, height, width).numpy(), context, np.int32(-1)))
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
        ay, ax = _between(ay, ax, above[VECTOR, up + 1, left], above[VECTOR + 1, up + 1, left], second)
    if x & 1 == 0:
        return ay, ax
    by, bx = above[VECTOR, up, left + 1], above[VECTOR + 1, up, left + 1]
    if y & 1:
        by, bx = _between(by, bx, above[VECTOR, up + 1, left + 1], above[VECTOR + 1, up + 1, left + 1], second)
    return _between(ay, ax, by, bx, second)


@inlined
def _between(ay, ax, by, bx, second):  # type: ignore[no-untyped-def]
    torn = abs(ay - by) > TEAR or abs(ax - bx) > TEAR
    y, x = (ay + by + int32(1)) >> int32(1), (ax + bx + int32(1)) >> int32(1)
    if torn:
        y, x = (by, bx) if second else (ay, ax)
    return y, x


@kernel
def point_bits(tree, contexts, level, y, x, cost_bits):  # type: ignore[no-untyped-def]
    """Of the residual at (y, x) of a level."""
    own = tree[level]
    size = own[INHERITED, y, x]
    context = contexts[level][y, x] + int32(size > 0) + int32(size > 2) + int32(size > 8)
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
    size = abs(own[RESIDUAL, row, column]) + abs(own[RESIDUAL + 1, row, column])
    own[ACTIVITY, row, column] = max(int32(size), own[INHERITED, row, column] >> 1)
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
                up, beside = y >> 1, x >> 1
                down, after = (y + 1) >> 1, (x + 1) >> 1
                upper = max(above[ACTIVITY, up, beside], above[ACTIVITY, up, after])
                lower = max(above[ACTIVITY, down, beside], above[ACTIVITY, down, after])
                own[INHERITED, y, x] = max(upper, lower)
                vector_y, vector_x = predicted(above, y, x, False)
                new = (y & 1) + (x & 1) > 0
                if new and (own[RESIDUAL, y, x] != 0 or own[RESIDUAL + 1, y, x] != 0):
                    own[RESIDUAL, y, x] = own[VECTOR, y, x] - vector_y
                    own[RESIDUAL + 1, y, x] = own[VECTOR + 1, y, x] - vector_x
                else:
                    own[VECTOR, y, x], own[VECTOR + 1, y, x] = vector_y, vector_x
                size = abs(own[RESIDUAL, y, x]) + abs(own[RESIDUAL + 1, y, x])
                own[ACTIVITY, y, x] = max(int32(size), own[INHERITED, y, x] >> 1)
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


@kernel
def keep(tree, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """What `settle` may change of tree and field, into `store` (stored_values)."""
    at = 0
    for below in range(level + 1):
        own = tree[below]
        top, bottom = reach(level, below, row, own.shape[1])
        left, right = reach(level, below, column, own.shape[2])
        for part in range(PARTS):
            for y in range(top, bottom):
                for x in range(left, right):
                    store[at] = own[part, y, x]
                    at += 1
    top, bottom = reach(level, 0, row, field.shape[1])
    left, right = reach(level, 0, column, field.shape[2])
    for part in range(2):
        for y in range(top, bottom):
            for x in range(left, right):
                store[at] = field[part, y, x]
                at += 1


@kernel
def put_back(tree, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """The inverse of `keep`."""
    at = 0
    for below in range(level + 1):
        own = tree[below]
        top, bottom = reach(level, below, row, own.shape[1])
        left, right = reach(level, below, column, own.shape[2])
        for part in range(PARTS):
            for y in range(top, bottom):
                for x in range(left, right):
                    own[part, y, x] = store[at]
                    at += 1
    top, bottom = reach(level, 0, row, field.shape[1])
    left, right = reach(level, 0, column, field.shape[2])
    for part in range(2):
        for y in range(top, bottom):
            for x in range(left, right):
                field[part, y, x] = store[at]
                at += 1


@inlined
def stored_values(level):  # type: ignore[no-untyped-def]
    total = 0
    for below in range(level + 1):
        side = (2 << (level - below)) - 1
        total += PARTS * side * side
    side = (2 << level) - 1
    return total + 2 * side * side
