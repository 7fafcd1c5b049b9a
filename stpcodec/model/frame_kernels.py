"""Compiled steps between planes and packed frames on the CPU: motion compensation, packing and unpacking.

Compiled by Numba; they do what warp.py and patches/packing.py do, in one pass over memory each. Packed frames lie
position by position: float32 ``[H/8, W/8, 96]``.
"""

from __future__ import annotations

import numpy as np
from numba import float32, uintp

from stpcodec.compiled import compiled
from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE
from stpcodec.latents.motion_kernels import TEAR

CHROMA = SPACING // 2
LUMA_VALUES, CHROMA_VALUES = SPACING * SPACING, CHROMA * CHROMA
TAPS = 4
CUBIC = -0.75
"""The parameter of the cubic convolution (Keys 1981), as torch's grid_sample has it."""

kernel = compiled(fastmath=True)
inlined = compiled(fastmath=True, inline="always")


@kernel
def warp_packed(y, u, v, field, first, out):  # type: ignore[no-untyped-def]
    """Bicubic motion compensation: warp.warp_planes and packing. One block of 8×8 luma is one cell of the field.

    y ``[H, W]``, u, v ``[H/2, W/2]``; field int32 ``[2, rows, columns]`` in quarter samples; first: the line of blocks
    that out ``[lines, W/8, 96]`` begins with.
    """
    flow = np.empty((2, SPACING, SPACING), np.float32)
    halved = np.empty((2, CHROMA, CHROMA), np.float32)
    for line in range(out.shape[0]):
        row = first + line
        for column in range(out.shape[1]):
            target = out[line, column]
            uniform = _cell_flow(field, row, column, flow)
            for i in range(CHROMA):
                for j in range(CHROMA):
                    for part in range(2):
                        upper = flow[part, 2 * i, 2 * j] + flow[part, 2 * i, 2 * j + 1]
                        lower = flow[part, 2 * i + 1, 2 * j] + flow[part, 2 * i + 1, 2 * j + 1]
                        halved[part, i, j] = (upper + lower) * float32(0.125)
            if uniform:
                dy, dx = flow[0, 0, 0], flow[1, 0, 0]
                _shifted(y, row * SPACING, column * SPACING, dy, dx, SPACING, target[:LUMA_VALUES])
                dy, dx = halved[0, 0, 0], halved[1, 0, 0]
                _shifted(u, row * CHROMA, column * CHROMA, dy, dx, CHROMA, target[LUMA_VALUES:])
                _shifted(v, row * CHROMA, column * CHROMA, dy, dx, CHROMA, target[LUMA_VALUES + CHROMA_VALUES :])
            else:
                _warped(y, row * SPACING, column * SPACING, flow, SPACING, target[:LUMA_VALUES])
                _warped(u, row * CHROMA, column * CHROMA, halved, CHROMA, target[LUMA_VALUES:])
                _warped(v, row * CHROMA, column * CHROMA, halved, CHROMA, target[LUMA_VALUES + CHROMA_VALUES :])


@kernel
def _cell_flow(field, row, column, flow):  # type: ignore[no-untyped-def]
    """Vectors of a cell in samples (warp.dense_flow); whether they are all the same."""
    uniform, torn = True, False
    for part in range(2):
        a, b = field[part, row, column], field[part, row, column + 1]
        c, d = field[part, row + 1, column], field[part, row + 1, column + 1]
        spread = max(max(a, b), max(c, d)) - min(min(a, b), min(c, d))
        uniform, torn = uniform and spread == 0, torn or spread > TEAR
    unit = float32(1 / UNITS_PER_SAMPLE)
    for part in range(2):
        a, b = field[part, row, column] * unit, field[part, row, column + 1] * unit
        c, d = field[part, row + 1, column] * unit, field[part, row + 1, column + 1] * unit
        for i in range(SPACING):
            down = float32((i + 0.5) / SPACING)
            left, right = a + (c - a) * down, b + (d - b) * down
            if torn:
                left, right = (a, b) if i < SPACING // 2 else (c, d)
            for j in range(SPACING):
                if torn:
                    flow[part, i, j] = left if j < SPACING // 2 else right
                else:
                    flow[part, i, j] = left + (right - left) * float32((j + 0.5) / SPACING)
    return uniform


@inlined
def _weight(distance):  # type: ignore[no-untyped-def]
    """Of a sample at this distance (0 to 2)."""
    a = float32(CUBIC)
    near = ((a + float32(2)) * distance - (a + float32(3))) * distance * distance + float32(1)
    far = ((a * distance - float32(5) * a) * distance + float32(8) * a) * distance - float32(4) * a
    return near if distance <= float32(1) else far


@kernel
def _shifted(plane, top, left, dy, dx, size, out):  # type: ignore[no-untyped-def]
    """A block moved by one vector: rows first, then columns."""
    height, width = plane.shape
    whole_y, whole_x = int(np.floor(dy)), int(np.floor(dx))
    down, across = dy - float32(whole_y), dx - float32(whole_x)
    lines = np.empty((SPACING + TAPS - 1, SPACING), np.float32)
    start_y, start_x = top + whole_y - 1, left + whole_x - 1
    inside = start_x >= 0 and start_x + size + TAPS - 1 <= width
    w0, w1 = _weight(across + float32(1)), _weight(across)
    w2, w3 = _weight(float32(1) - across), _weight(float32(2) - across)
    for i in range(size + TAPS - 1):
        line = plane[min(max(start_y + i, 0), height - 1)]
        if inside:
            for j in range(size):
                at = uintp(start_x + j)
                lines[i, j] = w0 * line[at] + w1 * line[at + 1] + w2 * line[at + 2] + w3 * line[at + 3]
        else:
            for j in range(size):
                total = float32(0)
                for tap in range(TAPS):
                    weight = w0 if tap == 0 else w1 if tap == 1 else w2 if tap == 2 else w3
                    total += weight * line[min(max(start_x + j + tap, 0), width - 1)]
                lines[i, j] = total
    w0, w1 = _weight(down + float32(1)), _weight(down)
    w2, w3 = _weight(float32(1) - down), _weight(float32(2) - down)
    for i in range(size):
        for j in range(size):
            out[i * size + j] = w0 * lines[i, j] + w1 * lines[i + 1, j] + w2 * lines[i + 2, j] + w3 * lines[i + 3, j]


@kernel
def _warped(plane, top, left, flow, size, out):  # type: ignore[no-untyped-def]
    """A block of which every sample has a vector of its own, flow ``[2, size, size]``."""
    height, width = plane.shape
    wy, wx = np.empty(TAPS, np.float32), np.empty(TAPS, np.float32)
    for i in range(size):
        for j in range(size):
            y, x = float32(top + i) + flow[0, i, j], float32(left + j) + flow[1, i, j]
            floor_y, floor_x = np.floor(y), np.floor(x)
            down, across = y - floor_y, x - floor_x
            wy[0], wy[1] = _weight(down + float32(1)), _weight(down)
            wy[2], wy[3] = _weight(float32(1) - down), _weight(float32(2) - down)
            wx[0], wx[1] = _weight(across + float32(1)), _weight(across)
            wx[2], wx[3] = _weight(float32(1) - across), _weight(float32(2) - across)
            start_y, start_x = int(floor_y) - 1, int(floor_x) - 1
            total = float32(0)
            if start_y >= 0 and start_x >= 0 and start_y + TAPS <= height and start_x + TAPS <= width:
                for tap in range(TAPS):
                    line = plane[start_y + tap]
                    at = uintp(start_x)
                    total += wy[tap] * (
                        wx[0] * line[at] + wx[1] * line[at + 1] + wx[2] * line[at + 2] + wx[3] * line[at + 3]
                    )
            else:
                for tap in range(TAPS):
                    line = plane[min(max(start_y + tap, 0), height - 1)]
                    part = float32(0)
                    for beside in range(TAPS):
                        part += wx[beside] * line[min(max(start_x + beside, 0), width - 1)]
                    total += wy[tap] * part
            out[i * size + j] = total


@kernel
def pack_into(y, u, v, first, out):  # type: ignore[no-untyped-def]
    """Planes ``[H, W]``, ``[H/2, W/2]`` to out ``[lines, W/8, 96]``, which begins with line `first` of blocks."""
    for line in range(out.shape[0]):
        row = first + line
        for column in range(out.shape[1]):
            target = out[line, column]
            for i in range(SPACING):
                for j in range(SPACING):
                    target[i * SPACING + j] = y[row * SPACING + i, column * SPACING + j]
            for i in range(CHROMA):
                for j in range(CHROMA):
                    at = LUMA_VALUES + i * CHROMA + j
                    target[at] = u[row * CHROMA + i, column * CHROMA + j]
                    target[at + CHROMA_VALUES] = v[row * CHROMA + i, column * CHROMA + j]


@kernel
def unpack_clamped(packed, y, u, v):  # type: ignore[no-untyped-def]
    """The inverse, into planes of as many lines, clamped to [0, 1]."""
    for row in range(packed.shape[0]):
        for column in range(packed.shape[1]):
            source = packed[row, column]
            for i in range(SPACING):
                for j in range(SPACING):
                    y[row * SPACING + i, column * SPACING + j] = _clamped(source[i * SPACING + j])
            for i in range(CHROMA):
                for j in range(CHROMA):
                    at = LUMA_VALUES + i * CHROMA + j
                    u[row * CHROMA + i, column * CHROMA + j] = _clamped(source[at])
                    v[row * CHROMA + i, column * CHROMA + j] = _clamped(source[at + CHROMA_VALUES])


@inlined
def _clamped(value):  # type: ignore[no-untyped-def]
    return min(max(value, float32(0)), float32(1))
