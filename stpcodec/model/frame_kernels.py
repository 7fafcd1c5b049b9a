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
U_FIRST, V_FIRST = LUMA_VALUES, LUMA_VALUES + CHROMA_VALUES
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
    lines = np.empty((SPACING + TAPS - 1, SPACING), np.float32)
    for line in range(out.shape[0]):
        row = first + line
        top, chroma_top = row * SPACING, row * CHROMA
        for column in range(out.shape[1]):
            left, chroma_left = column * SPACING, column * CHROMA
            uniform = _cell_flow(field, row, column, flow)
            for i in range(CHROMA):
                for j in range(CHROMA):
                    for part in range(2):
                        upper = flow[part, 2 * i, 2 * j] + flow[part, 2 * i, 2 * j + 1]
                        lower = flow[part, 2 * i + 1, 2 * j] + flow[part, 2 * i + 1, 2 * j + 1]
                        halved[part, i, j] = (upper + lower) * float32(0.125)
            if uniform:
                _shifted(y, top, left, flow, SPACING, lines, out, line, column, 0)
                _shifted(u, chroma_top, chroma_left, halved, CHROMA, lines, out, line, column, U_FIRST)
                _shifted(v, chroma_top, chroma_left, halved, CHROMA, lines, out, line, column, V_FIRST)
            else:
                _warped(y, top, left, flow, SPACING, out, line, column, 0)
                _warped(u, chroma_top, chroma_left, halved, CHROMA, out, line, column, U_FIRST)
                _warped(v, chroma_top, chroma_left, halved, CHROMA, out, line, column, V_FIRST)


@inlined
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
def _near(distance):  # type: ignore[no-untyped-def]
    """Weight of a sample at this distance, 0 to 1."""
    a = float32(CUBIC)
    return ((a + float32(2)) * distance - (a + float32(3))) * distance * distance + float32(1)


@inlined
def _far(distance):  # type: ignore[no-untyped-def]
    """The same, 1 to 2."""
    a = float32(CUBIC)
    return ((a * distance - float32(5) * a) * distance + float32(8) * a) * distance - float32(4) * a


@inlined
def cubic_weights(fraction):  # type: ignore[no-untyped-def]
    """Of the four samples around a place that is so far behind the second."""
    rest = float32(1) - fraction
    return _far(fraction + float32(1)), _near(fraction), _near(rest), _far(rest + float32(1))


@inlined
def _line_sum(plane, row, at, w0, w1, w2, w3):  # type: ignore[no-untyped-def]
    """Of four samples in a row."""
    left = w0 * plane[row, at] + w1 * plane[row, at + uintp(1)]
    return left + (w2 * plane[row, at + uintp(2)] + w3 * plane[row, at + uintp(3)])


# Rows are indexed, never taken out, and work space comes from the caller: every array that is made, a view too, is
# counted, and for a block of 4×4 that takes longer than its samples.
@inlined
def _shifted(plane, top, left, flow, size, lines, out, line, column, first):  # type: ignore[no-untyped-def]
    """A block moved by one vector, into out[line, column] from value `first` on: rows first, then columns."""
    height, width = plane.shape
    dy, dx = flow[0, 0, 0], flow[1, 0, 0]
    floor_y, floor_x = np.floor(dy), np.floor(dx)
    start_y, start_x = top + int(floor_y) - 1, left + int(floor_x) - 1
    one, two, three = uintp(1), uintp(2), uintp(3)
    across, down, begin = uintp(column), uintp(line), uintp(first)
    inside = start_x >= 0 and start_x + size + TAPS - 1 <= width
    if dy == floor_y and dx == floor_x and inside and start_y >= 0 and start_y + size < height:
        # By whole samples, as what stands still is: the filter would leave them as they are.
        for i in range(size):
            row, at = uintp(start_y + 1 + i), uintp(start_x + 1)
            for j in range(size):
                out[down, across, begin + uintp(i * size + j)] = plane[row, at + uintp(j)]
        return
    w0, w1, w2, w3 = cubic_weights(dx - floor_x)
    for i in range(size + TAPS - 1):
        row = uintp(min(max(start_y + i, 0), height - 1))
        if inside:
            for j in range(size):
                lines[uintp(i), uintp(j)] = _line_sum(plane, row, uintp(start_x) + uintp(j), w0, w1, w2, w3)
        else:
            for j in range(size):
                lines[uintp(i), uintp(j)] = _clipped_sum(plane, row, start_x + j, w0, w1, w2, w3)
    w0, w1, w2, w3 = cubic_weights(dy - floor_y)
    for i in range(size):
        at = uintp(i)
        for j in range(size):
            beside = uintp(j)
            upper = w0 * lines[at, beside] + w1 * lines[at + one, beside]
            lower = w2 * lines[at + two, beside] + w3 * lines[at + three, beside]
            out[down, across, begin + uintp(i * size) + beside] = upper + lower


@inlined
def _clipped_sum(plane, row, start, w0, w1, w2, w3):  # type: ignore[no-untyped-def]
    """`_line_sum`, the border repeated."""
    last = plane.shape[1] - 1
    a, b = plane[row, uintp(min(max(start, 0), last))], plane[row, uintp(min(max(start + 1, 0), last))]
    c, d = plane[row, uintp(min(max(start + 2, 0), last))], plane[row, uintp(min(max(start + 3, 0), last))]
    return (w0 * a + w1 * b) + (w2 * c + w3 * d)


@inlined
def _warped(plane, top, left, flow, size, out, line, column, first):  # type: ignore[no-untyped-def]
    """A block of which every sample has a vector of its own, flow ``[2, size, size]``."""
    height, width = plane.shape
    one, two, three = uintp(1), uintp(2), uintp(3)
    across, down, begin = uintp(column), uintp(line), uintp(first)
    for i in range(size):
        for j in range(size):
            y, x = float32(top + i) + flow[0, uintp(i), uintp(j)], float32(left + j) + flow[1, uintp(i), uintp(j)]
            floor_y, floor_x = np.floor(y), np.floor(x)
            v0, v1, v2, v3 = cubic_weights(y - floor_y)
            w0, w1, w2, w3 = cubic_weights(x - floor_x)
            start_y, start_x = int(floor_y) - 1, int(floor_x) - 1
            if start_y >= 0 and start_x >= 0 and start_y + TAPS <= height and start_x + TAPS <= width:
                row, at = uintp(start_y), uintp(start_x)
                upper = v0 * _line_sum(plane, row, at, w0, w1, w2, w3)
                upper += v1 * _line_sum(plane, row + one, at, w0, w1, w2, w3)
                lower = v2 * _line_sum(plane, row + two, at, w0, w1, w2, w3)
                lower += v3 * _line_sum(plane, row + three, at, w0, w1, w2, w3)
            else:
                last = height - 1
                row, below = uintp(min(max(start_y, 0), last)), uintp(min(max(start_y + 1, 0), last))
                upper = v0 * _clipped_sum(plane, row, start_x, w0, w1, w2, w3)
                upper += v1 * _clipped_sum(plane, below, start_x, w0, w1, w2, w3)
                row, below = uintp(min(max(start_y + 2, 0), last)), uintp(min(max(start_y + 3, 0), last))
                lower = v2 * _clipped_sum(plane, row, start_x, w0, w1, w2, w3)
                lower += v3 * _clipped_sum(plane, below, start_x, w0, w1, w2, w3)
            out[down, across, begin + uintp(i * size + j)] = upper + lower


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
