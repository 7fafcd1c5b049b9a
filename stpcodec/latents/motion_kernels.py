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
                _between(first[n], second[n], 2 * y, 2 * x, 2 * y + 2, 2 * x, 2 * y + 1, 2 * x)
        for y in range(2 * height - 1):
            for x in range(width - 1):
                _between(first[n], second[n], y, 2 * x, y, 2 * x + 2, y, 2 * x + 1)
    return first, second


@exact
def _between(first, second, y0, x0, y1, x1, y, x):  # type: ignore[no-untyped-def]
    """The point at (y, x) between those at (y0, x0) and (y1, x1), in either."""
    torn = _differ(first, y0, x0, y1, x1)
    for part in range(2):
        a, b = first[part, y0, x0], first[part, y1, x1]
        first[part, y, x] = a if torn else (a + b + 1) >> 1
    torn = _differ(second, y0, x0, y1, x1)
    for part in range(2):
        a, b = second[part, y0, x0], second[part, y1, x1]
        second[part, y, x] = b if torn else (a + b + 1) >> 1


@exact
def _differ(field, y0, x0, y1, x1):  # type: ignore[no-untyped-def]
    return (
        abs(field[0, y0, x0] - field[0, y1, x1]) > TEAR or abs(field[1, y0, x0] - field[1, y1, x1]) > TEAR
    )


@exact
def spread_activity(activity):  # type: ignore[no-untyped-def]
    """int32 ``[N, h, w]`` to ``[N, 2h-1, 2w-1]``: motion_field.spread."""
    count, height, width = activity.shape
    out = np.empty((count, 2 * height - 1, 2 * width - 1), np.int32)
    for n in range(count):
        for y in range(2 * height - 1):
            up, down = y >> 1, (y + 1) >> 1
            for x in range(2 * width - 1):
                left, right = x >> 1, (x + 1) >> 1
                upper = max(activity[n, up, left], activity[n, up, right])
                lower = max(activity[n, down, left], activity[n, down, right])
                out[n, y, x] = max(int32(upper), int32(lower))
    return out
