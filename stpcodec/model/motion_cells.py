"""What coding a cell of 8×8 luma takes that a motion field predicts: the figure that motion_polish.py goes by.

The reference lies in phases (motion_phases.py). Where a cell's corners agree, its samples are rows of one phase.
Elsewhere every sample has a vector of its own, between the four nearest quarters of which it is interpolated: at the
nearest one alone, what the search gains in bits was a fifth less (docs/ablations.md).
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, uintp

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE
from stpcodec.latents.motion_kernels import TEAR
from stpcodec.model.motion_phases import MARGIN
from stpcodec.model.motion_windows import inlined, kernel

SENT_BITS = 5.3
"""What a coefficient takes that is just worth sending. A squared error beyond it is not left as it is but coded, and
grows with its logarithm alone."""
SAMPLES = SPACING * SPACING
BLOCK = SPACING // 2
LINE = 2 * SPACING


def _order() -> np.ndarray:
    """Rows and columns of a cell's samples in the order that the kernels have, int32 ``[2, 64]``: the first lines of
    all four blocks of 4×4, then the second ones and so on, so that a transform works on whole lines of 16."""
    row, column = np.divmod(np.arange(SAMPLES), SPACING)
    order = np.empty((2, SAMPLES), np.int32)
    order[:, (row % BLOCK) * LINE + (row // BLOCK) * SPACING + column] = row, column
    return order


def _corner_weights() -> np.ndarray:
    """What four corners count at every sample, float32 ``[2, 4, 64]``: interpolated, and (torn) the nearest alone."""
    down, across = (ORDER.astype(np.float32) + 0.5) / SPACING
    smooth = np.stack(((1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across))
    return np.stack((smooth, smooth == smooth.max(0))).astype(np.float32)


ORDER = _order()
WEIGHTS = _corner_weights()
PLACES = (UNITS_PER_SAMPLE * ORDER).astype(np.float32)


@inlined
def work_space():  # type: ignore[no-untyped-def]
    """For one thread: integers, real numbers, and the first line of these taken as integers."""
    reals = np.empty((4, SAMPLES), np.float32)
    return np.empty((4, SAMPLES), np.int32), reals, reals[0].view(np.int32)


@kernel
def field_bits(frame, phases, field, worth, first, last, out):  # type: ignore[no-untyped-def]
    """`cell_bits` of rows first to last of cells, into out ``[H/8, W/8]``. frame ``[H, W]``."""
    places, work, logarithms = work_space()
    own, moved = frame.reshape(-1), phases.reshape(-1)
    for down in range(first, last):
        for across in range(out.shape[1]):
            out[down, across] = cell_bits(own, moved, frame.shape, field, down, across, worth, places, work, logarithms)


# Inlined, and with arrays that come from the caller: every array that is made or handed on, a view too, is counted, and
# that would take longer than the samples of a cell.
@inlined
def cell_bits(own, moved, shape, field, down, across, worth, places, work, logarithms):  # type: ignore[no-untyped-def]
    """Bits, and what errors are worth in bits, of the cell (down, across).

    own, moved: the frame and the phases of its reference, flat; shape: H, W of the frame; field int32
    ``[2, rows, columns]`` in quarter samples; worth: bits of a squared error; the others: work_space().
    """
    height, width = shape
    plane_width = int32(width + 2 * MARGIN)
    plane = int32(height + 2 * MARGIN) * plane_width
    zero, one, two, three = uintp(0), uintp(1), uintp(2), uintp(3)
    up, left = uintp(down), uintp(across)
    ay, by = field[zero, up, left], field[zero, up, left + one]
    cy, dy = field[zero, up + one, left], field[zero, up + one, left + one]
    ax, bx = field[one, up, left], field[one, up, left + one]
    cx, dx = field[one, up + one, left], field[one, up + one, left + one]
    spread_y = max(max(ay, by), max(cy, dy)) - min(min(ay, by), min(cy, dy))
    spread_x = max(max(ax, bx), max(cx, dx)) - min(min(ax, bx), min(cx, dx))
    stride = uintp(width)
    own_at = uintp(down * SPACING) * stride + uintp(across * SPACING)
    if spread_y == 0 and spread_x == 0:
        y = min(max(SPACING * down + (ay >> 2), -MARGIN), height + MARGIN - SPACING) + MARGIN
        x = min(max(SPACING * across + (ax >> 2), -MARGIN), width + MARGIN - SPACING) + MARGIN
        at = uintp(((ay & 3) * UNITS_PER_SAMPLE + (ax & 3)) * plane + y * plane_width + x)
        for line in range(SPACING):
            target = uintp((line % BLOCK) * LINE + (line // BLOCK) * SPACING)
            for along in range(SPACING):
                beside = uintp(along)
                work[zero, target + beside] = moved[at + beside] - own[own_at + beside]
            at += uintp(plane_width)
            own_at += stride
    else:
        kind = one if spread_y > TEAR or spread_x > TEAR else zero
        top = float32(UNITS_PER_SAMPLE * (SPACING * down + MARGIN))
        start = float32(UNITS_PER_SAMPLE * (SPACING * across + MARGIN))
        a0, b0, c0, d0 = float32(ay) + top, float32(by) + top, float32(cy) + top, float32(dy) + top
        a1, b1, c1, d1 = float32(ax) + start, float32(bx) + start, float32(cx) + start, float32(dx) + start
        # Two samples within the margin, as there is one more to each side.
        nearest = float32(2 * UNITS_PER_SAMPLE)
        lowest = float32(UNITS_PER_SAMPLE * (height + 2 * MARGIN)) - nearest
        rightmost = float32(UNITS_PER_SAMPLE * (width + 2 * MARGIN)) - nearest
        row_phase = int32(UNITS_PER_SAMPLE) * plane
        for at in range(SAMPLES):
            a, b = WEIGHTS[kind, zero, at], WEIGHTS[kind, one, at]
            c, d = WEIGHTS[kind, two, at], WEIGHTS[kind, three, at]
            y = ((a0 * a + b0 * b) + (c0 * c + d0 * d)) + PLACES[zero, at]
            x = ((a1 * a + b1 * b) + (c1 * c + d1 * d)) + PLACES[one, at]
            y, x = min(max(y, nearest), lowest), min(max(x, nearest), rightmost)
            row, column = int32(y), int32(x)
            work[two, at], work[three, at] = y - float32(row), x - float32(column)
            below, beyond = row + int32(1), column + int32(1)
            row = (row & int32(3)) * row_phase + (row >> int32(2)) * plane_width
            below = (below & int32(3)) * row_phase + (below >> int32(2)) * plane_width
            column = (column & int32(3)) * plane + (column >> int32(2))
            beyond = (beyond & int32(3)) * plane + (beyond >> int32(2))
            places[zero, at], places[one, at] = row + column, row + beyond
            places[two, at], places[three, at] = below + column, below + beyond
        for line in range(SPACING):
            target = uintp((line % BLOCK) * LINE + (line // BLOCK) * SPACING)
            for along in range(SPACING):
                work[one, target + uintp(along)] = own[own_at + uintp(along)]
            own_at += stride
        for at in range(SAMPLES):
            a, b = moved[uintp(places[zero, at])], moved[uintp(places[one, at])]
            c, d = moved[uintp(places[two, at])], moved[uintp(places[three, at])]
            upper, lower = a + (b - a) * work[three, at], c + (d - c) * work[three, at]
            work[zero, at] = upper + (lower - upper) * work[two, at] - work[one, at]
    return _coding_bits(work, logarithms, worth)


@inlined
def _coding_bits(work, logarithms, worth):  # type: ignore[no-untyped-def]
    """Of a cell's errors, work[0]; work[1] is changed too.

    As the inter network's linear path does it: in 4×4 cosine transforms, each coefficient is left out or sent,
    whichever is cheaper; what is sent takes two bits more for twice the size.
    """
    zero, one = uintp(0), uintp(1)
    for at in range(LINE):
        a, b, c, d = _cosine4(
            work[zero, at], work[zero, LINE + at], work[zero, 2 * LINE + at], work[zero, 3 * LINE + at]
        )
        work[one, at], work[one, LINE + at] = a, b
        work[one, 2 * LINE + at], work[one, 3 * LINE + at] = c, d
    share = worth / float32(SENT_BITS)
    for at in range(LINE):
        a, b, c, d = _cosine4(work[one, 4 * at], work[one, 4 * at + 1], work[one, 4 * at + 2], work[one, 4 * at + 3])
        work[zero, at], work[zero, LINE + at] = a * a * share, b * b * share
        work[zero, 2 * LINE + at], work[zero, 3 * LINE + at] = c * c * share, d * d * share
    # Bits of a float32, as a number, are nearly its logarithm: at most 0.09 too small.
    total = float32(0)
    for at in range(SAMPLES):
        log2 = float32(logarithms[at]) * float32(2.0**-23) - float32(127)
        left, sent = work[zero, at] * float32(SENT_BITS), float32(SENT_BITS) + log2
        total += left if work[zero, at] < float32(1) else sent
    return total


@inlined
def _cosine4(a, b, c, d):  # type: ignore[no-untyped-def]
    """Orthonormal cosine transform of four values."""
    outer, inner, across, between = a + d, b + c, a - d, b - c
    wide, narrow = float32(0.6532814824381883), float32(0.27059805007309851)  # cos(π/8)/√2, sin(π/8)/√2
    half = float32(0.5)
    return (
        (outer + inner) * half,
        wide * across + narrow * between,
        (outer - inner) * half,
        narrow * across - wide * between,
    )
