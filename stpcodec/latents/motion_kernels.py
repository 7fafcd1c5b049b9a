"""Compiled steps of the motion hierarchy's integer arithmetic (motion_field.py). Exact: integers only.

Compiled by Numba: a level has a few points to a few thousand, for which tensor operations take longer to start than to
run.
"""

from __future__ import annotations

import numpy as np
from numba import int32

from stpcodec.compiled import compiled

TEAR = 8
"""Quarter samples: where two neighbouring vectors differ by more in a component, there is an edge between them."""

exact = compiled()
inlined = compiled(inline="always")


@exact
def upsample_pair(parents):  # type: ignore[no-untyped-def]
    """int32 ``[N, 2, h, w]`` to two of ``[N, 2, 2h-1, 2w-1]``: motion_field.upsample_both."""
    count, _, height, width = parents.shape
    first = np.empty((count, 2, 2 * height - 1, 2 * width - 1), np.int32)
    second = np.empty_like(first)
    for n in range(count):
        # Columns of points first, then rows between them: each new point from two that are there.
        for y in range(height):
            for x in range(width):
                for part in range(2):
                    first[n, part, 2 * y, 2 * x] = parents[n, part, y, x]
                    second[n, part, 2 * y, 2 * x] = parents[n, part, y, x]
        for y in range(height - 1):
            for x in range(width):
                _between(first, second, n, 2 * y, 2 * x, 2 * y + 2, 2 * x, 2 * y + 1, 2 * x)
        for y in range(2 * height - 1):
            for x in range(width - 1):
                _between(first, second, n, y, 2 * x, y, 2 * x + 2, y, 2 * x + 1)
    return first, second


@inlined
def _between(first, second, n, y0, x0, y1, x1, y, x):  # type: ignore[no-untyped-def]
    """The point at (y, x) between those at (y0, x0) and (y1, x1), in either."""
    first[n, 0, y, x], first[n, 1, y, x] = midway(
        first[n, 0, y0, x0], first[n, 1, y0, x0], first[n, 0, y1, x1], first[n, 1, y1, x1], False
    )
    second[n, 0, y, x], second[n, 1, y, x] = midway(
        second[n, 0, y0, x0], second[n, 1, y0, x0], second[n, 0, y1, x1], second[n, 1, y1, x1], True
    )


@inlined
def midway(ay, ax, by, bx, second):  # type: ignore[no-untyped-def]
    """The vector between two, halves rounded up; across a tear the first one's, or the second's."""
    torn = abs(ay - by) > TEAR or abs(ax - bx) > TEAR
    y, x = (ay + by + int32(1)) >> int32(1), (ax + bx + int32(1)) >> int32(1)
    if torn:
        y, x = (by, bx) if second else (ay, ax)
    return y, x


@exact
def spread_activity(activity):  # type: ignore[no-untyped-def]
    """int32 ``[N, h, w]`` to ``[N, 2h-1, 2w-1]``: motion_field.spread."""
    count, height, width = activity.shape
    out = np.empty((count, 2 * height - 1, 2 * width - 1), np.int32)
    for n in range(count):
        for y in range(2 * height - 1):
            for x in range(2 * width - 1):
                out[n, y, x] = inherited(activity, n, y, x)
    return out


@inlined
def inherited(activity, n, y, x):  # type: ignore[no-untyped-def]
    """The largest of a point's parents': activity ``[N, h, w]`` is of the level above."""
    up, left = y >> 1, x >> 1
    down, right = (y + 1) >> 1, (x + 1) >> 1
    return inherited_from(
        activity[n, up, left], activity[n, up, right], activity[n, down, left], activity[n, down, right]
    )


@inlined
def inherited_from(a, b, c, d):  # type: ignore[no-untyped-def]
    """From the activities of the parents."""
    return max(max(int32(a), int32(b)), max(int32(c), int32(d)))


@inlined
def own_activity(dy, dx, inherited):  # type: ignore[no-untyped-def]
    """What a point's children see: its residual, or half of what lay above (motion_field.activity_after)."""
    return max(int32(abs(dy) + abs(dx)), inherited >> 1)


@inlined
def activity_class(size):  # type: ignore[no-untyped-def]
    """Of an activity, among ACTIVITY_CLASSES (motion_field.context_of)."""
    return int32(size > 0) + int32(size > 2) + int32(size > 8)


@inlined
def like_class(size):  # type: ignore[no-untyped-def]
    """Of a like field's residual, among LIKE_CLASSES."""
    return int32(size > 0) + int32(size > 4)
