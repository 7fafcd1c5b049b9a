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
    a, b, c, d = first[n, 0, y0, x0], first[n, 0, y1, x1], first[n, 1, y0, x0], first[n, 1, y1, x1]
    torn = abs(a - b) > TEAR or abs(c - d) > TEAR
    first[n, 0, y, x], first[n, 1, y, x] = (a if torn else (a + b + 1) >> 1), (c if torn else (c + d + 1) >> 1)
    a, b, c, d = second[n, 0, y0, x0], second[n, 0, y1, x1], second[n, 1, y0, x0], second[n, 1, y1, x1]
    torn = abs(a - b) > TEAR or abs(c - d) > TEAR
    second[n, 0, y, x], second[n, 1, y, x] = (b if torn else (a + b + 1) >> 1), (d if torn else (c + d + 1) >> 1)


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
