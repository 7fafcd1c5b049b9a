"""Compiled loop filter on the CPU (model/loop_filter.py): one pass over a plane each.

`source` is always a plane with MARGIN more samples on every side, those of the border repeated.
"""

from __future__ import annotations

import numpy as np
from numba import float32, uintp

from stpcodec.compiled import compiled
from stpcodec.latents.loop_filter import CHROMA_TERMS, LUMA_TERMS

MARGIN = 3
BLOCK = 4
"""Samples of a block's sides: weights are the same all over it."""
LUMA_CLIP, CHROMA_CLIP = 3 / 255, 2 / 255
SOFT = 0.25
"""Added to sums of differences (in 8-bit samples): below, they are noise."""
OCTAVES = 5.0
"""From where nothing happens to where much does, in log2 of those sums."""
TAPS = 18
OFFSET = 1 / 255
"""The last term of luma, and of each chroma plane: the same everywhere."""

kernel = compiled(fastmath=True)
inlined = compiled(fastmath=True, inline="always")


@kernel
def describe(source, first, out):  # type: ignore[no-untyped-def]
    """Of each block: out ``[3, rows, W/4]`` says how far it runs one way rather than across it, the same of diagonals,
    both −1 to 1, and how much happens in it, 0 to 1. first: the row of blocks that out begins with."""
    height, width = source.shape[0] - 2 * MARGIN, source.shape[1] - 2 * MARGIN
    rows, cells_high, cells_wide = out.shape[1], height // 2, width // 2
    begin = max(0, 2 * first - 1)
    end = min(cells_high, 2 * (first + rows) + 1)
    cells = np.empty((end - begin, 4, cells_wide), np.float32)
    sums = np.empty((4, width), np.float32)
    for cell in range(begin, end):
        for line in range(2):
            y = uintp(2 * cell + line + MARGIN)
            for column in range(width):
                x, at = uintp(column + MARGIN), uintp(column)
                twice = float32(2) * source[y, x]
                across = abs(twice - source[y, x - 1] - source[y, x + 1])
                down = abs(twice - source[y - 1, x] - source[y + 1, x])
                falling = abs(twice - source[y - 1, x - 1] - source[y + 1, x + 1])
                rising = abs(twice - source[y - 1, x + 1] - source[y + 1, x - 1])
                if line:
                    sums[0, at] += across
                    sums[1, at] += down
                    sums[2, at] += falling
                    sums[3, at] += rising
                else:
                    sums[0, at] = across
                    sums[1, at] = down
                    sums[2, at] = falling
                    sums[3, at] = rising
        for kind in range(4):
            for column in range(cells_wide):
                at = uintp(column)
                cells[cell - begin, kind, at] = sums[kind, 2 * at] + sums[kind, 2 * at + 1]
    scale = float32(255 / 64)
    lines = np.empty((4, cells_wide), np.float32)
    found = np.empty(4, np.float32)
    for row in range(rows):
        lines[:] = 0
        for step in range(4):
            cell = min(max(2 * (first + row) - 1 + step, 0), cells_high - 1) - begin
            for kind in range(4):
                for column in range(cells_wide):
                    lines[kind, uintp(column)] += cells[cell, kind, uintp(column)]
        for column in range(out.shape[2]):
            for kind in range(4):
                total = float32(0)
                for step in range(4):
                    total += lines[kind, min(max(2 * column - 1 + step, 0), cells_wide - 1)]
                found[kind] = total * scale
            busy = found[0] + found[1] + float32(SOFT)
            out[0, row, column] = (found[0] - found[1]) / busy
            out[1, row, column] = (found[2] - found[3]) / (found[2] + found[3] + float32(SOFT))
            out[2, row, column] = min(max(np.log2(busy) * float32(1 / OCTAVES), float32(0)), float32(1))


@inlined
def _pair(source, y, x, dy, dx):  # type: ignore[no-untyped-def]
    return source[y + dy, x + dx] + source[y - dy, x - dx] - float32(2) * source[y, x]


@inlined
def _clipped(source, y, x, dy, dx, most):  # type: ignore[no-untyped-def]
    one, other = source[y + dy, x + dx] - source[y, x], source[y - dy, x - dx] - source[y, x]
    return min(max(one, -most), most) + min(max(other, -most), most)


@kernel
def filter_luma(source, blocks, weights, first, out):  # type: ignore[no-untyped-def]
    """out ``[4·rows, W]`` from blocks ``[3, rows, W/4]`` and weights ``[2, LUMA_TERMS]``; first: its row of blocks."""
    width = out.shape[1]
    own = np.empty(LUMA_TERMS, np.float32)
    taps = np.empty((TAPS + 1, width), np.float32)
    most = float32(LUMA_CLIP)
    for row in range(blocks.shape[1]):
        for column in range(blocks.shape[2]):
            straight, slanted, busy = blocks[0, row, column], blocks[1, row, column], blocks[2, row, column]
            for term in range(LUMA_TERMS):
                own[term] = weights[0, term] + busy * (weights[1, term] - weights[0, term])
            for at in range(BLOCK * column, BLOCK * column + BLOCK):
                x = uintp(at)
                taps[0, x] = own[0] + straight * own[5]
                taps[1, x] = own[0] - straight * own[5]
                taps[2, x] = own[1] + slanted * own[9]
                taps[3, x] = own[1] - slanted * own[9]
                taps[4, x] = own[2] + straight * own[6]
                taps[5, x] = own[2] - straight * own[6]
                taps[6, x] = own[3] + straight * own[7] + slanted * own[10]
                taps[7, x] = own[3] + straight * own[7] - slanted * own[10]
                taps[8, x] = own[3] - straight * own[7] + slanted * own[10]
                taps[9, x] = own[3] - straight * own[7] - slanted * own[10]
                taps[10, x] = own[4] + straight * own[8]
                taps[11, x] = own[4] - straight * own[8]
                taps[12, x] = own[11] + straight * own[14]
                taps[13, x] = own[11] - straight * own[14]
                taps[14, x] = own[12] + slanted * own[16]
                taps[15, x] = own[12] - slanted * own[16]
                taps[16, x] = own[13] + straight * own[15]
                taps[17, x] = own[13] - straight * own[15]
                taps[TAPS, x] = own[17] * float32(OFFSET)
        for line in range(BLOCK * row, BLOCK * row + BLOCK):
            y = uintp(BLOCK * first + line + MARGIN)
            for column in range(width):
                place, x = uintp(column), uintp(column + MARGIN)
                total = source[y, x] + taps[TAPS, place]
                total += taps[0, place] * _pair(source, y, x, 0, 1) + taps[1, place] * _pair(source, y, x, 1, 0)
                total += taps[2, place] * _pair(source, y, x, 1, 1) + taps[3, place] * _pair(source, y, x, 1, -1)
                total += taps[4, place] * _pair(source, y, x, 0, 2) + taps[5, place] * _pair(source, y, x, 2, 0)
                total += taps[6, place] * _pair(source, y, x, 1, 2) + taps[7, place] * _pair(source, y, x, 1, -2)
                total += taps[8, place] * _pair(source, y, x, 2, 1) + taps[9, place] * _pair(source, y, x, 2, -1)
                total += taps[10, place] * _pair(source, y, x, 0, 3) + taps[11, place] * _pair(source, y, x, 3, 0)
                total += taps[12, place] * _clipped(source, y, x, 0, 1, most)
                total += taps[13, place] * _clipped(source, y, x, 1, 0, most)
                total += taps[14, place] * _clipped(source, y, x, 1, 1, most)
                total += taps[15, place] * _clipped(source, y, x, 1, -1, most)
                total += taps[16, place] * _clipped(source, y, x, 0, 2, most)
                total += taps[17, place] * _clipped(source, y, x, 2, 0, most)
                out[uintp(line), place] = min(max(total, float32(0)), float32(1))


@kernel
def filter_chroma(source, weights, first, out):  # type: ignore[no-untyped-def]
    """out ``[rows, W]`` from row `first` on; weights ``[CHROMA_TERMS + 1]``."""
    most = float32(CHROMA_CLIP)
    for line in range(out.shape[0]):
        y = uintp(first + line + MARGIN)
        for column in range(out.shape[1]):
            x = uintp(column + MARGIN)
            total = source[y, x] + weights[CHROMA_TERMS] * float32(OFFSET)
            total += weights[0] * (_pair(source, y, x, 0, 1) + _pair(source, y, x, 1, 0))
            total += weights[1] * (_pair(source, y, x, 1, 1) + _pair(source, y, x, 1, -1))
            total += weights[2] * (_pair(source, y, x, 0, 2) + _pair(source, y, x, 2, 0))
            total += weights[3] * (_clipped(source, y, x, 0, 1, most) + _clipped(source, y, x, 1, 0, most))
            total += weights[4] * (_clipped(source, y, x, 1, 1, most) + _clipped(source, y, x, 1, -1, most))
            total += weights[5] * (_clipped(source, y, x, 0, 2, most) + _clipped(source, y, x, 2, 0, most))
            out[uintp(line), uintp(column)] = min(max(total, float32(0)), float32(1))


@kernel
def luma_terms(source, blocks, first, step, out):  # type: ignore[no-untyped-def]
    """What the weights are multiplied with: out ``[2·LUMA_TERMS, lines, W]``, of every `step`-th line of the blocks,
    first: their row."""
    width, most = out.shape[2], float32(LUMA_CLIP)
    said = np.empty((3, width), np.float32)
    for number in range(out.shape[1]):
        line = number * step
        y = uintp(BLOCK * first + line + MARGIN)
        n = uintp(number)
        for kind in range(3):
            for column in range(width):
                said[kind, uintp(column)] = blocks[kind, line // BLOCK, column // BLOCK]
        # A loop for each: with several results in one, LLVM would not do several samples at once.
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[0, n, at] = _pair(source, y, x, 0, 1) + _pair(source, y, x, 1, 0)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[1, n, at] = _pair(source, y, x, 1, 1) + _pair(source, y, x, 1, -1)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[2, n, at] = _pair(source, y, x, 0, 2) + _pair(source, y, x, 2, 0)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            flat = _pair(source, y, x, 1, 2) + _pair(source, y, x, 1, -2)
            out[3, n, at] = flat + _pair(source, y, x, 2, 1) + _pair(source, y, x, 2, -1)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[4, n, at] = _pair(source, y, x, 0, 3) + _pair(source, y, x, 3, 0)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[5, n, at] = said[0, at] * (_pair(source, y, x, 0, 1) - _pair(source, y, x, 1, 0))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[6, n, at] = said[0, at] * (_pair(source, y, x, 0, 2) - _pair(source, y, x, 2, 0))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            flat = _pair(source, y, x, 1, 2) + _pair(source, y, x, 1, -2)
            steep = _pair(source, y, x, 2, 1) + _pair(source, y, x, 2, -1)
            out[7, n, at] = said[0, at] * (flat - steep)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[8, n, at] = said[0, at] * (_pair(source, y, x, 0, 3) - _pair(source, y, x, 3, 0))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[9, n, at] = said[1, at] * (_pair(source, y, x, 1, 1) - _pair(source, y, x, 1, -1))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            falling = _pair(source, y, x, 1, 2) + _pair(source, y, x, 2, 1)
            rising = _pair(source, y, x, 1, -2) + _pair(source, y, x, 2, -1)
            out[10, n, at] = said[1, at] * (falling - rising)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[11, n, at] = _clipped(source, y, x, 0, 1, most) + _clipped(source, y, x, 1, 0, most)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[12, n, at] = _clipped(source, y, x, 1, 1, most) + _clipped(source, y, x, 1, -1, most)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[13, n, at] = _clipped(source, y, x, 0, 2, most) + _clipped(source, y, x, 2, 0, most)
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[14, n, at] = said[0, at] * (_clipped(source, y, x, 0, 1, most) - _clipped(source, y, x, 1, 0, most))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[15, n, at] = said[0, at] * (_clipped(source, y, x, 0, 2, most) - _clipped(source, y, x, 2, 0, most))
        for column in range(width):
            at, x = uintp(column), uintp(column + MARGIN)
            out[16, n, at] = said[1, at] * (_clipped(source, y, x, 1, 1, most) - _clipped(source, y, x, 1, -1, most))
        out[LUMA_TERMS - 1, n] = float32(OFFSET)
        for term in range(LUMA_TERMS):
            for column in range(width):
                at = uintp(column)
                found = out[term, n, at]
                busy = said[2, at] * found
                out[LUMA_TERMS + term, n, at] = busy
                out[term, n, at] = found - busy


@kernel
def chroma_terms(source, first, step, out):  # type: ignore[no-untyped-def]
    """The same of chroma: out ``[CHROMA_TERMS, lines, W]``."""
    most = float32(CHROMA_CLIP)
    for number in range(out.shape[1]):
        y, n = uintp(first + number * step + MARGIN), uintp(number)
        for column in range(out.shape[2]):
            at, x = uintp(column), uintp(column + MARGIN)
            out[0, n, at] = _pair(source, y, x, 0, 1) + _pair(source, y, x, 1, 0)
            out[1, n, at] = _pair(source, y, x, 1, 1) + _pair(source, y, x, 1, -1)
            out[2, n, at] = _pair(source, y, x, 0, 2) + _pair(source, y, x, 2, 0)
            out[3, n, at] = _clipped(source, y, x, 0, 1, most) + _clipped(source, y, x, 1, 0, most)
            out[4, n, at] = _clipped(source, y, x, 1, 1, most) + _clipped(source, y, x, 1, -1, most)
            out[5, n, at] = _clipped(source, y, x, 0, 2, most) + _clipped(source, y, x, 2, 0, most)

