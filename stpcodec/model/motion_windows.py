"""Kernels of block matching (motion_match.py): windows of one plane compared with windows of another.

Compiled by Numba: the work is branches and short sums, of which tensor operations make hundreds of passes over memory.
A kernel releases the interpreter lock. The two sizes of windows are compiled in: loops of known length become vector
instructions.

Grids have one point every `spacing` samples, `[rows, columns]`, and a window around each. Kernels take the frame
``[H, W]`` padded by half a window, and the reference padded by `reach` more; vectors are int32 ``[2, rows, columns]``
of at most `reach`. Errors are means over a window.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, uintp

from stpcodec.compiled import compiled

COARSE_WINDOW, FINE_WINDOW = 24, 16
"""Sides of the compared windows, multiples of 4·ROW_STEP. Others are not known to `errors`, `offer` and `improve`."""
ROW_STEP = 2
"""Windows are compared on every second row."""
ROUGHEST = 16
"""Samples: a vector that departs further from its surroundings costs no more."""

kernel = compiled(fastmath=True)
inlined = compiled(fastmath=True, inline="always")


@kernel
def errors(frame, reference, reach, spacing, window, vectors):  # type: ignore[no-untyped-def]
    """Mean absolute differences float32 ``[rows, columns]``."""
    own, other = frame.reshape(-1), reference.reshape(-1)
    width, other_width = frame.shape[1], reference.shape[1]
    _, rows, columns = vectors.shape
    error = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            dy, dx = vectors[0, row, column], vectors[1, row, column]
            y, x = row * spacing, column * spacing
            error[row, column] = _error(own, other, width, other_width, reach, y, x, dy, dx, window)
    return error


@kernel
def offer(frame, reference, reach, spacing, window, chosen, error, candidate, flat, roughness):  # type: ignore[no-untyped-def]
    """Takes the candidate into `chosen` (and `error`) wherever it is better, its distance to what was chosen counted
    in, or (flat) that to no motion."""
    own, other = frame.reshape(-1), reference.reshape(-1)
    width, other_width = frame.shape[1], reference.shape[1]
    _, rows, columns = chosen.shape
    for row in range(rows):
        for column in range(columns):
            old_y, old_x = chosen[0, row, column], chosen[1, row, column]
            new_y, new_x = candidate[0, row, column], candidate[1, row, column]
            if old_y == new_y and old_x == new_x:
                continue
            around_y, around_x = (int32(0), int32(0)) if flat else (old_y, old_x)
            most = error[row, column] + roughness * _departure(old_y, old_x, around_y, around_x)
            found = _error(own, other, width, other_width, reach, row * spacing, column * spacing, new_y, new_x, window)
            if found + roughness * _departure(new_y, new_x, around_y, around_x) < most:
                chosen[0, row, column], chosen[1, row, column], error[row, column] = new_y, new_x, found


@kernel
def improve(frame, reference, reach, spacing, window, vectors, around, sizes, roughness):  # type: ignore[no-untyped-def]
    """Tries `around` at every point, the vectors of its neighbours, then steps of the given sizes; the distance to
    `around` counts."""
    own, other = frame.reshape(-1), reference.reshape(-1)
    width, other_width = frame.shape[1], reference.shape[1]
    _, rows, columns = vectors.shape
    tries = np.empty((5 + 4 * len(sizes), 2), np.int32)
    neighbours = ((-1, 0), (0, -1), (1, 0), (0, 1))
    for row in range(rows):
        for column in range(columns):
            y, x = row * spacing, column * spacing
            middle_y, middle_x = around[0, row, column], around[1, row, column]
            best_y, best_x = vectors[0, row, column], vectors[1, row, column]
            cost = _error(own, other, width, other_width, reach, y, x, best_y, best_x, window)
            cost += roughness * _departure(best_y, best_x, middle_y, middle_x)
            # Row by row: what the upper and the left neighbour found comes along at once.
            tries[0, 0], tries[0, 1] = middle_y, middle_x
            for number in range(4):
                beside = min(max(row + neighbours[number][0], 0), rows - 1)
                next_to = min(max(column + neighbours[number][1], 0), columns - 1)
                tries[1 + number, 0], tries[1 + number, 1] = vectors[0, beside, next_to], vectors[1, beside, next_to]
            for number in range(len(tries)):
                try_y, try_x = tries[number, 0], tries[number, 1]
                if number >= 5:
                    size, way = sizes[(number - 5) // 4], (number - 5) % 4
                    try_y = min(max(best_y + size * neighbours[way][0], -reach), reach)
                    try_x = min(max(best_x + size * neighbours[way][1], -reach), reach)
                if try_y == best_y and try_x == best_x:
                    continue
                found = _error(own, other, width, other_width, reach, y, x, try_y, try_x, window)
                found += roughness * _departure(try_y, try_x, middle_y, middle_x)
                if found < cost:
                    best_y, best_x, cost = int32(try_y), int32(try_x), found
            vectors[0, row, column], vectors[1, row, column] = best_y, best_x


@kernel
def best_displacements(frame, reference, window, first, cell, order, rows, columns):  # type: ignore[no-untyped-def]
    """Exhaustive match: vectors of the least error.

    The reference is padded by more on all sides than the frame: the reach of the displacements `order` ``[K, 2]``, of
    which the first of equals is taken. Windows, of a multiple of 4 samples, begin every `cell` samples, the first one
    at (first, first).
    """
    vectors = np.zeros((2, rows, columns), np.int32)
    best = np.full((rows, columns), np.inf, np.float32)
    length = (columns - 1) * cell + window
    line = np.empty(length, np.float32)
    own, other = frame.reshape(-1), reference.reshape(-1)
    width, other_width = frame.shape[1], reference.shape[1]
    stride, other_stride = uintp(width), uintp(other_width)
    reach = (other_width - width) // 2
    for number in range(len(order)):
        dy, dx = order[number, 0], order[number, 1]
        for row in range(rows):
            line[:] = 0
            y = first + row * cell
            at, there = y * width + first, (y + reach + dy) * other_width + first + reach + dx
            # Four rows at once: sums are fetched and put back a quarter as often.
            for _ in range(window // 4):
                i0, j0 = uintp(at), uintp(there)
                i1, j1 = i0 + stride, j0 + other_stride
                i2, j2 = i1 + stride, j1 + other_stride
                i3, j3 = i2 + stride, j2 + other_stride
                for along in range(length):
                    x = uintp(along)
                    upper = abs(own[i0 + x] - other[j0 + x]) + abs(own[i1 + x] - other[j1 + x])
                    line[x] += upper + (abs(own[i2 + x] - other[j2 + x]) + abs(own[i3 + x] - other[j3 + x]))
                at, there = at + 4 * width, there + 4 * other_width
            for column in range(columns):
                found = float32(0)
                for part in range(window // 4):
                    x = uintp(column * cell + 4 * part)
                    found += (line[x] + line[x + uintp(1)]) + (line[x + uintp(2)] + line[x + uintp(3)])
                if found < best[row, column]:
                    best[row, column] = found
                    vectors[0, row, column], vectors[1, row, column] = dy, dx
    return vectors


@kernel
def median(field):  # type: ignore[no-untyped-def]
    """3×3 component-wise median of int32 ``[2, rows, columns]``, the border repeated."""
    _, rows, columns = field.shape
    out = np.empty_like(field)
    values = np.empty(9, np.int32)
    for part in range(2):
        for row in range(rows):
            for column in range(columns):
                count = 0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        value = field[part, min(max(row + dy, 0), rows - 1), min(max(column + dx, 0), columns - 1)]
                        place = count
                        while place > 0 and values[place - 1] > value:
                            values[place] = values[place - 1]
                            place -= 1
                        values[place] = value
                        count += 1
                out[part, row, column] = values[4]
    return out


@inlined
def _error(own, other, width, other_width, reach, y, x, dy, dx, window):  # type: ignore[no-untyped-def]
    """Of the window whose upper left sample is (y, x); planes flattened: to do that here would take as long as the
    sum, for the references that have to be counted."""
    at, there = y * width + x, (y + reach + dy) * other_width + x + reach + dx
    down, across = 4 * ROW_STEP * width, 4 * ROW_STEP * other_width
    if window == FINE_WINDOW:
        total = _four_rows(own, other, width, other_width, at, there, FINE_WINDOW)
        total += _four_rows(own, other, width, other_width, at + down, there + across, FINE_WINDOW)
        return total * float32(ROW_STEP / FINE_WINDOW**2)
    total = _four_rows(own, other, width, other_width, at, there, COARSE_WINDOW)
    total += _four_rows(own, other, width, other_width, at + down, there + across, COARSE_WINDOW)
    total += _four_rows(own, other, width, other_width, at + 2 * down, there + 2 * across, COARSE_WINDOW)
    return total * float32(ROW_STEP / COARSE_WINDOW**2)


@inlined
def _four_rows(frame, reference, width, other_width, at, there, size):  # type: ignore[no-untyped-def]
    """Written out for the compiler, which sums columns side by side then, in a tenth of the time of two loops."""
    # Unsigned: a signed index would be looked at for counting from the end.
    down, across = uintp(ROW_STEP * width), uintp(ROW_STEP * other_width)
    i0, j0 = uintp(at), uintp(there)
    i1, j1 = i0 + down, j0 + across
    i2, j2 = i1 + down, j1 + across
    i3, j3 = i2 + down, j2 + across
    total = float32(0)
    for column in range(size):
        c = uintp(column)
        upper = abs(frame[i0 + c] - reference[j0 + c]) + abs(frame[i1 + c] - reference[j1 + c])
        total += upper + (abs(frame[i2 + c] - reference[j2 + c]) + abs(frame[i3 + c] - reference[j3 + c]))
    return total


@inlined
def _departure(y, x, around_y, around_x):  # type: ignore[no-untyped-def]
    return float32(min(abs(y - around_y) + abs(x - around_x), ROUGHEST))
