"""A motion field's hierarchy while it is searched: what follows when one point of any level moves.

All points of all levels lie in one array, nodes int32 ``[points, 6]``, level by level, finest first
(latents/motion_field.py), row by row; layout int64 ``[levels, 3]`` has each level's first point, rows and columns. A
node is residual (dy, dx), vector (dy, dx) without the predicted field, and what the contexts see of the parents: the
activity that a point inherits, and its own. (One array, not one for each level: kernels count the references to every
array they take hold of, which took longer than what they did with it.)

Below a point that moves, points without a residual follow; those with one stay where they are, and have another
residual. Bits are those of the coder, contexts and all.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import float32, int32, uintp
from torch import Tensor

from stpcodec.latents.motion_field import MAX_VECTOR, Hierarchy, context_of, magnitude
from stpcodec.latents.motion_kernels import (
    activity_class,
    exact,
    inherited_from,
    midway,
    own_activity,
    spread_activity,
    upsample_pair,
)
from stpcodec.latents.motion_points import activity
from stpcodec.model.motion_quantise import residual_bits
from stpcodec.model.motion_windows import inlined

PARTS = 6
FORBIDDEN = 1e9
"""Bits of a vector that no file may have."""
RESIDUAL, VECTOR, INHERITED, ACTIVITY = 0, 2, 4, 5


def tree_of(levels: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and layout of levels int32 ``[1, 2, h, w]``, finest first, as `motion_search.search` returns them."""
    sizes = np.array([level.shape[2:] for level in levels], np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes.prod(1))))
    layout = np.concatenate((starts[:-1, None], sizes), 1)
    nodes = np.zeros((starts[-1], PARTS), np.int32)
    above: np.ndarray | None = None
    for level in range(len(levels) - 1, -1, -1):
        residual = np.ascontiguousarray(levels[level][0].numpy(), np.int32)
        part = np.zeros((PARTS, *residual.shape[1:]), np.int32)
        part[RESIDUAL : RESIDUAL + 2] = part[VECTOR : VECTOR + 2] = residual
        if above is not None:
            part[VECTOR : VECTOR + 2] += upsample_pair(np.ascontiguousarray(above[None, VECTOR : VECTOR + 2]))[0][0]
            part[INHERITED] = spread_activity(np.ascontiguousarray(above[None, ACTIVITY]))[0]
        part[ACTIVITY] = activity(residual, np.ascontiguousarray(part[INHERITED]))
        level_of(nodes, layout, level)[:] = part.transpose(1, 2, 0)
        above = part
    return nodes, layout


def level_of(nodes: np.ndarray, layout: np.ndarray, level: int) -> np.ndarray:
    """A level's nodes ``[h, w, 6]``, or of any array that has a value or a row for each node: a view."""
    first, rows, columns = (int(value) for value in layout[level])
    return nodes[first : first + rows * columns].reshape(rows, columns, *nodes.shape[1:])


def vectors_of(nodes: np.ndarray, layout: np.ndarray) -> np.ndarray:
    """The finest vectors, int32 ``[2, rows, columns]``."""
    return level_of(nodes, layout, 0)[..., VECTOR : VECTOR + 2].transpose(2, 0, 1)


def levels_of(nodes: np.ndarray, layout: np.ndarray) -> list[Tensor]:
    """The inverse of `tree_of`."""
    residuals = (level_of(nodes, layout, level)[..., RESIDUAL : RESIDUAL + 2] for level in range(len(layout)))
    return [torch.from_numpy(residual.transpose(2, 0, 1)[None].copy()) for residual in residuals]


def contexts_of(hierarchy: Hierarchy, height: int, width: int, like: list[Tensor] | None) -> np.ndarray:
    """Per node int32 ``[points]``: its context (motion_field.context_of) without the activity of its parents; -1
    where nothing is coded. like: levels of the like field."""
    contexts = []
    for level in range(hierarchy.top + 1):
        nothing = torch.zeros(1, *hierarchy.shape(level), dtype=torch.int32)
        context = context_of(level, nothing, None if like is None else magnitude(like[level]))
        coded = hierarchy.coded(level, height, width)
        contexts.append(torch.where(coded, context[0].int(), -1).int().numpy().reshape(-1))
    return np.concatenate(contexts)


@inlined
def reach(level, below, at, length):  # type: ignore[no-untyped-def]
    """First and last (excluded) of the points of the level `below` that the one at `at` of `level` has a say in."""
    depth = level - below
    around = (1 << depth) - 1
    return max((at << depth) - around, 0), min((at << depth) + around + 1, length)


@inlined
def parents(layout, level, y, x):  # type: ignore[no-untyped-def]
    """Nodes of the level above around the point (y, x): upper left and right, lower left and right, which are one
    where the point lies on them or between two."""
    first, columns = layout[level + 1, 0], layout[level + 1, 2]
    up, down = first + (y >> 1) * columns, first + ((y + 1) >> 1) * columns
    left, right = x >> 1, (x + 1) >> 1
    return uintp(up + left), uintp(up + right), uintp(down + left), uintp(down + right)


@inlined
def predicted(nodes, a, b, c, d, second):  # type: ignore[no-untyped-def]
    """What the level above says of the point between its `parents`: motion_field.upsample_both, its first or second
    result. Between a vector and itself lies that vector."""
    y, x = uintp(VECTOR), uintp(VECTOR + 1)
    left_y, left_x = midway(nodes[a, y], nodes[a, x], nodes[c, y], nodes[c, x], second)
    right_y, right_x = midway(nodes[b, y], nodes[b, x], nodes[d, y], nodes[d, x], second)
    return midway(left_y, left_x, right_y, right_x, second)


@inlined
def point_bits(nodes, at, contexts, other_y, other_x, cost_bits):  # type: ignore[no-untyped-def]
    """Of the residual of a node; other: its second prediction less the first."""
    own = uintp(at)
    context = contexts[own] + activity_class(nodes[own, uintp(INHERITED)])
    residual_y, residual_x = nodes[own, uintp(RESIDUAL)], nodes[own, uintp(RESIDUAL + 1)]
    return residual_bits(residual_y, residual_x, other_y, other_x, context, cost_bits)


@inlined
def bits_at(nodes, layout, contexts, level, y, x, cost_bits):  # type: ignore[no-untyped-def]
    """`point_bits` at (y, x) of a level."""
    other_y, other_x = int32(0), int32(0)
    if level + 1 < len(layout):
        a, b, c, d = parents(layout, level, y, x)
        first_y, first_x = predicted(nodes, a, b, c, d, False)
        second_y, second_x = predicted(nodes, a, b, c, d, True)
        other_y, other_x = second_y - first_y, second_x - first_x
    at = layout[level, 0] + y * layout[level, 2] + x
    return point_bits(nodes, at, contexts, other_y, other_x, cost_bits)


@inlined
def settle(nodes, layout, contexts, base, field, level, row, column, cost_bits):  # type: ignore[no-untyped-def]
    """After residual and vector at (row, column) of `level` have changed: everything that depends on them, and the
    finest vectors with the predicted field (base) into `field`. Returns the bits of all points it has looked at, or
    more than FORBIDDEN where a vector is out of range."""
    residual_row, residual_column = uintp(RESIDUAL), uintp(RESIDUAL + 1)
    vector_row, vector_column = uintp(VECTOR), uintp(VECTOR + 1)
    own = uintp(layout[level, 0] + row * layout[level, 2] + column)
    _note_activity(nodes, own)
    total = float32(0)
    if contexts[own] >= 0:
        total += bits_at(nodes, layout, contexts, level, row, column, cost_bits)
    for below in range(level - 1, -1, -1):
        first, height, width = layout[below, 0], layout[below, 1], layout[below, 2]
        top, bottom = reach(level, below, row, height)
        left, right = reach(level, below, column, width)
        for y in range(top, bottom):
            for x in range(left, right):
                own = uintp(first + y * width + x)
                a, b, c, d = parents(layout, below, y, x)
                part = uintp(ACTIVITY)
                nodes[own, uintp(INHERITED)] = inherited_from(
                    nodes[a, part], nodes[b, part], nodes[c, part], nodes[d, part]
                )
                vector_y, vector_x = predicted(nodes, a, b, c, d, False)
                other_y, other_x = int32(0), int32(0)
                # What lies on a point of the level above has no residual.
                if nodes[own, residual_row] != 0 or nodes[own, residual_column] != 0:
                    nodes[own, residual_row] = nodes[own, vector_row] - vector_y
                    nodes[own, residual_column] = nodes[own, vector_column] - vector_x
                    second_y, second_x = predicted(nodes, a, b, c, d, True)
                    other_y, other_x = second_y - vector_y, second_x - vector_x
                else:
                    nodes[own, vector_row], nodes[own, vector_column] = vector_y, vector_x
                _note_activity(nodes, own)
                if contexts[own] >= 0:
                    total += point_bits(nodes, own, contexts, other_y, other_x, cost_bits)
    _, height, width = field.shape
    top, bottom = reach(level, 0, row, height)
    left, right = reach(level, 0, column, width)
    down, across = uintp(0), uintp(1)
    for y in range(top, bottom):
        for x in range(left, right):
            at, line, place = uintp(y * width + x), uintp(y), uintp(x)
            vector_y = base[down, line, place] + nodes[at, vector_row]
            vector_x = base[across, line, place] + nodes[at, vector_column]
            field[down, line, place], field[across, line, place] = vector_y, vector_x
            if max(abs(vector_y), abs(vector_x)) > MAX_VECTOR:
                total += float32(FORBIDDEN)
    return total


@inlined
def _note_activity(nodes, at):  # type: ignore[no-untyped-def]
    y, x = nodes[at, uintp(RESIDUAL)], nodes[at, uintp(RESIDUAL + 1)]
    nodes[at, uintp(ACTIVITY)] = own_activity(y, x, nodes[at, uintp(INHERITED)])


@exact
def keep(nodes, layout, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """What `settle` may change of nodes and field, into `store` (stored_values)."""
    _exchange(nodes, layout, field, level, row, column, store, False)


@exact
def put_back(nodes, layout, field, level, row, column, store):  # type: ignore[no-untyped-def]
    """The inverse of `keep`."""
    _exchange(nodes, layout, field, level, row, column, store, True)


@inlined
def _exchange(nodes, layout, field, level, row, column, store, back):  # type: ignore[no-untyped-def]
    place = uintp(0)
    for below in range(level + 1):
        first, height, width = layout[below, 0], layout[below, 1], layout[below, 2]
        top, bottom = reach(level, below, row, height)
        left, right = reach(level, below, column, width)
        for y in range(top, bottom):
            for at in range(uintp(first + y * width + left), uintp(first + y * width + right)):
                for part in range(PARTS):
                    if back:
                        nodes[at, uintp(part)] = store[place]
                    else:
                        store[place] = nodes[at, uintp(part)]
                    place += uintp(1)
    _, height, width = field.shape
    top, bottom = reach(level, 0, row, height)
    left, right = reach(level, 0, column, width)
    for part in range(2):
        for y in range(top, bottom):
            for x in range(left, right):
                if back:
                    field[uintp(part), uintp(y), uintp(x)] = store[place]
                else:
                    store[place] = field[uintp(part), uintp(y), uintp(x)]
                place += uintp(1)


@inlined
def stored_values(level):  # type: ignore[no-untyped-def]
    total = 0
    for below in range(level + 1):
        side = (2 << (level - below)) - 1
        total += PARTS * side * side
    side = (2 << level) - 1
    return total + 2 * side * side
