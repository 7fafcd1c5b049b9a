"""Products with latents, of which few are not zero, on the CPU: only what is there is multiplied.

Compiled by Numba. Where a tenth of the latents is not zero, it takes a third of the time of a matrix product.
"""

from __future__ import annotations

import numpy as np
from numba import uintp

from stpcodec.compiled import compiled

SPARSE = 0.15
"""Share of latents that are not zero up to which this is faster; a matrix product catches up at a quarter."""
TOGETHER = 4
"""Latents at a time, so that sums are fetched and put back less often."""


@compiled(fastmath=True)
def add_product(x, weight, out):  # type: ignore[no-untyped-def]
    """Adds x ``[positions, channels]`` times weight ``[channels, outputs]`` to out, all float32. Returns False, without
    having done it, where more than SPARSE of x is not zero."""
    positions, channels = x.shape
    most = int(SPARSE * positions * channels)
    total = 0
    for position in range(positions):
        for channel in range(channels):
            total += x[position, channel] != 0
        if total > most:
            return False
    width = uintp(out.shape[1])
    where, value = np.zeros(channels + TOGETHER, np.int64), np.zeros(channels + TOGETHER, np.float32)
    for position in range(positions):
        count = 0
        for channel in range(channels):
            if x[position, channel] != 0:
                where[count], value[count] = channel, x[position, channel]
                count += 1
        value[count : count + TOGETHER] = 0
        at = uintp(position)
        for first in range(0, count, TOGETHER):
            a, b, c, d = value[first], value[first + 1], value[first + 2], value[first + 3]
            i, j, k, m = uintp(where[first]), uintp(where[first + 1]), uintp(where[first + 2]), uintp(where[first + 3])
            for n in range(width):
                o = uintp(n)
                out[at, o] += (a * weight[i, o] + b * weight[j, o]) + (c * weight[k, o] + d * weight[m, o])
    return True
