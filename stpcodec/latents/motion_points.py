"""The coded points of one motion field on the CPU: motion_field.walk, compiled. Exact: integers only.

Of a level only the points that are coded come by, row by row, as positions in its grid. A field takes a dozen calls
of compiled kernels instead of some two hundred tensor operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from stpcodec.compiled import compiled
from stpcodec.latents.motion_field import (
    ACTIVITY_CLASSES,
    ANCHOR,
    FIRST_CLASSES,
    KIND_CONTEXTS,
    MAX_LEVELS,
    OTHER,
    POINT_CONTEXTS,
    Hierarchy,
)
from stpcodec.latents.motion_kernels import activity_class, like_class, own_activity, spread_activity, upsample_pair

exact = compiled()


@dataclass(frozen=True)
class Points:
    """Of a level. positions int32 ``[K]`` in its grid, row by row; contexts int32 ``[K]`` of dy's symbols; other,
    predicted int32 ``[2, h, w]``: see motion_field.walk."""

    level: int
    positions: np.ndarray
    contexts: np.ndarray
    other: np.ndarray
    predicted: np.ndarray


def walk_points(
    levels: list[np.ndarray], like: list[np.ndarray] | None, height: int, width: int, kind: int = ANCHOR
) -> Iterator[Points]:
    """Coarse to fine; levels int32 ``[2, h, w]``, contiguous, finest first, each read only after it was yielded; like:
    of the same shapes, or None if contexts look at nothing."""
    hierarchy = Hierarchy.of(height, width)
    inherited = np.zeros(hierarchy.shape(hierarchy.top), np.int32)
    predicted = other = np.zeros((2, *inherited.shape), np.int32)
    for level in range(hierarchy.top, -1, -1):
        positions = _positions(hierarchy, level, height, width)
        base = kind * KIND_CONTEXTS + level * ACTIVITY_CLASSES
        looked_at = levels[level] if like is None else like[level]
        contexts = point_contexts(base, positions, inherited, looked_at, like is not None)
        yield Points(level, positions, contexts, other, predicted)
        if level:
            inherited = spread_activity(activity(levels[level], inherited)[None])[0]
            predicted, other = (part[0] for part in upsample_pair((predicted + levels[level])[None]))
            other -= predicted


@cache
def _positions(hierarchy: Hierarchy, level: int, height: int, width: int) -> np.ndarray:
    return np.flatnonzero(hierarchy.coded(level, height, width).numpy()).astype(np.int32)


@exact
def point_contexts(base, positions, inherited, like, liked):  # type: ignore[no-untyped-def]
    """motion_field.context_of at positions; base: of the kind and the level."""
    activities, like_y, like_x = inherited.reshape(-1), like[0].reshape(-1), like[1].reshape(-1)
    contexts = np.empty(len(positions), np.int32)
    for number, at in enumerate(positions):
        context = base + activity_class(activities[at])
        if liked:
            size = abs(like_y[at]) + abs(like_x[at])
            context += MAX_LEVELS * ACTIVITY_CLASSES * (1 + like_class(size))
        contexts[number] = context
    return contexts


@exact
def second_contexts(contexts, first):  # type: ignore[no-untyped-def]
    """motion_field.second_context: of dx's symbols."""
    out = np.empty_like(contexts)
    for number in range(len(contexts)):
        size = abs(first[number])
        cls = FIRST_CLASSES if first[number] == OTHER else 1 + (size > 0) + (size > 2)
        out[number] = contexts[number] + POINT_CONTEXTS * cls
    return out


@exact
def symbols(residual, other, positions):  # type: ignore[no-untyped-def]
    """motion_field.to_symbols of a level int32 ``[2, h, w]``: dy's and dx's, int32 ``[K]``."""
    columns = residual.shape[2]
    first, second = np.empty(len(positions), np.int32), np.empty(len(positions), np.int32)
    for number, at in enumerate(positions):
        row, column = at // columns, at % columns
        dy, dx = residual[0, row, column], residual[1, row, column]
        other_y, other_x = other[0, row, column], other[1, row, column]
        if (other_y != 0 or other_x != 0) and dy == other_y and dx == other_x:
            first[number], second[number] = OTHER, 0
        else:
            first[number], second[number] = dy + (dy >= OTHER), dx + (dx >= OTHER)
    return first, second


@exact
def fill_in(first, second, other, positions, residual):  # type: ignore[no-untyped-def]
    """The inverse, into a level of zeros."""
    columns = residual.shape[2]
    for number, at in enumerate(positions):
        row, column = at // columns, at % columns
        if first[number] == OTHER:
            residual[0, row, column], residual[1, row, column] = other[0, row, column], other[1, row, column]
        else:
            residual[0, row, column] = first[number] - (first[number] > OTHER)
            residual[1, row, column] = second[number] - (second[number] > OTHER)


@exact
def activity(residual, inherited):  # type: ignore[no-untyped-def]
    """motion_field.activity_after: int32 ``[h, w]``."""
    out = np.empty_like(inherited)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            dy, dx = residual[0, row, column], residual[1, row, column]
            out[row, column] = own_activity(dy, dx, inherited[row, column])
    return out
