"""Kernels of the motion search's refinement (motion_search.py): bilinear warp and Gauss-Newton step.

Compiled by Numba like motion_windows.py. Planes are luma float32 ``[H, W]`` in [0, 1]; fields float32
``[2, rows, columns]`` in luma samples on the extended grid of latents/motion_field.py, of which the first H/SPACING + 1
rows and W/SPACING + 1 columns are looked at.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import float32, int32, uintp

from stpcodec.latents.motion_field import MAX_VECTOR, SPACING, UNITS_PER_SAMPLE
from stpcodec.latents.motion_kernels import TEAR
from stpcodec.model.bands import halves
from stpcodec.model.motion_windows import inlined, kernel
from stpcodec.model.side_by_side import side_by_side

TEAR_SAMPLES = TEAR / UNITS_PER_SAMPLE
FURTHEST = MAX_VECTOR / UNITS_PER_SAMPLE
PULL = 0.004 * SPACING * SPACING / 64
"""Towards the neighbours, as a structure tensor: noise of about 1/255 per sample sets it."""
ROBUST = 12.0
"""Errors of 1/ROBUST weigh half: what is occluded has no say."""


def warp_bilinear(reference: np.ndarray, field: np.ndarray) -> np.ndarray:
    """The reference moved by the field: what `model.warp` does, bilinearly."""
    out = np.empty(reference.shape, np.float32)
    side_by_side([partial(warp_cells, reference, field, *part, out) for part in _cells(reference)])
    return out


def squared_error(frame: np.ndarray, reference: np.ndarray, field: np.ndarray) -> float:
    """Sum of squared errors of `warp_bilinear`."""
    difference = warp_bilinear(reference, field)
    difference -= frame
    return float(np.square(difference, out=difference).sum(1, dtype=np.float64).sum())


def gauss_newton(frame: np.ndarray, reference: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One reweighted Lucas-Kanade step: the new field and the structure tensors ``[3, rows, columns]`` (yy, xx, yx),
    summed over each point's window, zero outside the frame."""
    warped = warp_bilinear(reference, field)
    height, width = frame.shape
    sums = np.zeros((height // SPACING, width // SPACING, 5), np.float32)
    side_by_side([partial(sum_cells, frame, warped, *part, sums) for part in _cells(frame)])
    return solve(field, sums)


def _cells(plane: np.ndarray) -> list[tuple[int, int]]:
    return halves(plane.shape[0] // SPACING)


@kernel
def warp_cells(reference, field, first, last, out):  # type: ignore[no-untyped-def]
    """`warp_bilinear` of rows first to last of cells."""
    flow = np.empty((2, SPACING), np.float32)
    for row in range(first, last):
        for column in range(reference.shape[1] // SPACING):
            torn = is_torn(field, row, column)
            for inner in range(SPACING):
                y = row * SPACING + inner
                flow_line(field, row, column, inner, torn, flow)
                for along in range(SPACING):
                    x = column * SPACING + along
                    vector_y, vector_x = flow[0, along], flow[1, along]
                    out[uintp(y), uintp(x)] = sample(reference, float32(y) + vector_y, float32(x) + vector_x)


@kernel
def sum_cells(frame, warped, first, last, sums):  # type: ignore[no-untyped-def]
    """Of rows first to last of cells: yy, xx, yx and the gradients times the error, into sums."""
    height, width = frame.shape
    products = np.empty((5, width), np.float32)
    for y in range(first * SPACING, last * SPACING):
        above, line, below = warped[max(y - 1, 0)], warped[y], warped[min(y + 1, height - 1)]
        own = frame[y]
        for x in range(1, width - 1):
            _products(products, x, own[x] - line[x], below[x] - above[x], line[x + 1] - line[x - 1])
        _products(products, 0, own[0] - line[0], below[0] - above[0], line[1] - line[0])
        last_x = width - 1
        _products(
            products, last_x, own[last_x] - line[last_x], below[last_x] - above[last_x], line[last_x] - line[last_x - 1]
        )
        for column in range(width // SPACING):
            for part in range(5):
                total = float32(0)
                for x in range(SPACING):
                    total += products[part, column * SPACING + x]
                sums[y // SPACING, column, part] += total


@kernel
def solve(field, sums):  # type: ignore[no-untyped-def]
    """`gauss_newton` from the sums of cells."""
    cells_down, cells_across, _ = sums.shape
    rows, columns = cells_down + 1, cells_across + 1
    new = np.empty_like(field)
    tensor = np.zeros((3, field.shape[1], field.shape[2]), np.float32)
    for row in range(rows):
        for column in range(columns):
            up, down = max(row - 1, 0), min(row, cells_down - 1)
            left, right = max(column - 1, 0), min(column, cells_across - 1)
            window = (sums[up, left] + sums[up, right] + sums[down, left] + sums[down, right]) * float32(0.25)
            yy, xx, yx = window[0], window[1], window[2]
            tensor[0, row, column], tensor[1, row, column], tensor[2, row, column] = yy, xx, yx
            # Across the edge of a moving thing neighbours say nothing about each other.
            smooth_y = min(max(_mean(field[0], row, column, rows, columns) - field[0, row, column], -1.0), 1.0)
            smooth_x = min(max(_mean(field[1], row, column, rows, columns) - field[1, row, column], -1.0), 1.0)
            a, b = yy + PULL, xx + PULL
            ry, rx = window[3] + PULL * smooth_y, window[4] + PULL * smooth_x
            determinant = a * b - yx * yx
            dy, dx = (b * ry - yx * rx) / determinant, (a * rx - yx * ry) / determinant
            new[0, row, column] = _limited(field[0, row, column] + min(max(dy, -1.0), 1.0))
            new[1, row, column] = _limited(field[1, row, column] + min(max(dx, -1.0), 1.0))
    for part in range(2):
        for row in range(field.shape[1]):
            for column in range(field.shape[2]):
                if row >= rows or column >= columns:
                    new[part, row, column] = new[part, min(row, rows - 1), min(column, columns - 1)]
    return new, tensor


@inlined
def _products(products, x, error, vertical, horizontal):  # type: ignore[no-untyped-def]
    """Differences over two samples."""
    gy, gx = vertical * float32(0.5), horizontal * float32(0.5)
    scaled = error * float32(ROBUST)
    weight = float32(1) / (float32(1) + scaled * scaled)
    products[0, x], products[1, x], products[2, x] = gy * gy * weight, gx * gx * weight, gy * gx * weight
    products[3, x], products[4, x] = gy * error * weight, gx * error * weight


@inlined
def _limited(value):  # type: ignore[no-untyped-def]
    return min(max(value, -FURTHEST), FURTHEST)


@inlined
def _mean(plane, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """Over 3×3, the border repeated."""
    total = float32(0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            total += plane[min(max(row + dy, 0), rows - 1), min(max(column + dx, 0), columns - 1)]
    return total * float32(1 / 9)


@inlined
def is_torn(field, row, column):  # type: ignore[no-untyped-def]
    """Whether the corners of a cell disagree by more than TEAR."""
    # Indices without sign here and below: others are looked at for counting from the end.
    up, left, one = uintp(row), uintp(column), uintp(1)
    torn = False
    for part in range(2):
        a, b = field[part, up, left], field[part, up, left + one]
        c, d = field[part, up + one, left], field[part, up + one, left + one]
        torn = torn or max(max(a, b), max(c, d)) - min(min(a, b), min(c, d)) > float32(TEAR_SAMPLES)
    return torn


@inlined
def flow_line(field, row, column, inner, torn, flow):  # type: ignore[no-untyped-def]
    """Vectors of line `inner` of a cell into flow ``[2, SPACING]``."""
    up, beside, one = uintp(row), uintp(column), uintp(1)
    down = float32((inner + 0.5) / SPACING)
    for part in range(2):
        a, b = field[part, up, beside], field[part, up, beside + one]
        c, d = field[part, up + one, beside], field[part, up + one, beside + one]
        if torn:
            left, right = (c, d) if inner >= SPACING // 2 else (a, b)
            for along in range(SPACING):
                flow[part, along] = right if along >= SPACING // 2 else left
        else:
            left, right = a * (float32(1) - down) + c * down, b * (float32(1) - down) + d * down
            for along in range(SPACING):
                flow[part, along] = left + (right - left) * float32((along + 0.5) / SPACING)


@inlined
def sample(plane, y, x):  # type: ignore[no-untyped-def]
    """Bilinear, the border repeated."""
    height, width = plane.shape
    y = min(max(float32(y), float32(0)), float32(height - 1))
    x = min(max(float32(x), float32(0)), float32(width - 1))
    top, left = int32(y), int32(x)
    down, across = y - float32(top), x - float32(left)
    upper_row, lower_row = uintp(top), uintp(min(top + int32(1), int32(height - 1)))
    near, far = uintp(left), uintp(min(left + int32(1), int32(width - 1)))
    upper = plane[upper_row, near] + (plane[upper_row, far] - plane[upper_row, near]) * across
    lower = plane[lower_row, near] + (plane[lower_row, far] - plane[lower_row, near]) * across
    return upper + (lower - upper) * down
