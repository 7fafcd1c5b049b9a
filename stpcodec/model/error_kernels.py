"""Compiled sums of squared errors on the CPU: one pass over two pictures instead of four."""

from __future__ import annotations

import numpy as np
from numba import float32, uintp

from stpcodec.compiled import compiled

kernel = compiled(fastmath=True)


@kernel
def add_block_errors(one, other, side, weight, out):  # type: ignore[no-untyped-def]
    """Adds to out ``[N, ⌈H/side⌉, ⌈W/side⌉]`` the squared errors of blocks of planes ``[N, H, W]``, times weight."""
    count, height, width = one.shape
    for number in range(count):
        n = uintp(number)
        for row in range(height):
            y = uintp(row)
            for block in range(out.shape[2]):
                total = float32(0)
                for column in range(block * side, min((block + 1) * side, width)):
                    x = uintp(column)
                    error = one[n, y, x] - other[n, y, x]
                    total += error * error
                out[number, row // side, block] += weight * total


@kernel
def blend_errors(past, future, frame, out):  # type: ignore[no-untyped-def]
    """Luma errors of 16×16 blocks under every choice (latents/blend.py): out ``[3, H/16, W/16]``, of zeros at first.

    past, future ``[H/8, W/8, 96]``: packed frames; frame ``[H, W]``.
    """
    for row in range(past.shape[0]):
        for column in range(past.shape[1]):
            r, c = uintp(row), uintp(column)
            both = only_past = only_future = float32(0)
            for line in range(8):
                y = uintp(row * 8 + line)
                for along in range(8):
                    at, x = uintp(line * 8 + along), uintp(column * 8 + along)
                    before, after = past[r, c, at] - frame[y, x], future[r, c, at] - frame[y, x]
                    middle = (before + after) * float32(0.5)
                    both += middle * middle
                    only_past += before * before
                    only_future += after * after
            out[0, row // 2, column // 2] += both
            out[1, row // 2, column // 2] += only_past
            out[2, row // 2, column // 2] += only_future


def blocks_like(planes: np.ndarray, side: int) -> np.ndarray:
    """Zeros float32 for `add_block_errors` of planes ``[N, H, W]``."""
    count, height, width = planes.shape
    return np.zeros((count, -(-height // side), -(-width // side)), np.float32)
