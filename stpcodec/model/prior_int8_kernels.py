"""Compiled steps of the integer prior around 8-bit matrix products (prior_int8.py). Integers only.

Compiled by Numba. Activations lie position by position, int8 ``[rows·columns, channels]``; sums are int32. A layer's
result is ``(sum + bias) >> shift``, each output channel with its own: what IntegerLayer says in floating point.
"""

from __future__ import annotations

import numpy as np
from numba import int8, int32, uint8, uintp

from stpcodec.compiled import compiled
from stpcodec.latents.quantise import LARGEST_MEAN, LIMIT, SCALE_COUNT

MOST = int32(LIMIT)
POSITIONS = 16
"""That are worked on together where channels and positions change places: lines that the nearest cache holds."""

exact = compiled()


@exact
def depthwise(x, rows, columns, weight, bias, shift, out):  # type: ignore[no-untyped-def]
    """3×3 sums, zero outside, shifted and activated. x, out int8 ``[rows·columns, channels]``; int32: weight
    ``[9, channels]``, bias and shift ``[channels]``."""
    channels = x.shape[1]
    total = np.empty(channels, np.int32)
    for row in range(rows):
        for column in range(columns):
            total[:] = bias
            for dy in range(-1, 2):
                if row + dy < 0 or row + dy >= rows:
                    continue
                for dx in range(-1, 2):
                    if column + dx < 0 or column + dx >= columns:
                        continue
                    source, tap = x[(row + dy) * columns + column + dx], weight[(dy + 1) * 3 + dx + 1]
                    for channel in range(channels):
                        total[channel] += tap[channel] * int32(source[channel])
            target = out[row * columns + column]
            for channel in range(channels):
                target[channel] = int8(min(max(total[channel] >> shift[channel], int32(0)), MOST))


@exact
def activate(total, bias, shift, out):  # type: ignore[no-untyped-def]
    """ReLU and saturation of a layer's sums int32 ``[positions, channels]``."""
    for position in range(total.shape[0]):
        line, target = total[position], out[position]
        for channel in range(total.shape[1]):
            value = (line[channel] + bias[channel]) >> shift[channel]
            target[channel] = int8(min(max(value, int32(0)), MOST))


@exact
def add_and_activate(total, bias, shift, offset, out):  # type: ignore[no-untyped-def]
    """The same with an offset int8 of out's shape."""
    for position in range(total.shape[0]):
        line, added, target = total[position], offset[position], out[position]
        for channel in range(total.shape[1]):
            value = ((line[channel] + bias[channel]) >> shift[channel]) + int32(added[channel])
            target[channel] = int8(min(max(value, int32(0)), MOST))


@exact
def activate_with_offset(total, bias, shift, offset, out):  # type: ignore[no-untyped-def]
    """The same with offsets int32 ``[positions, channels]``, or one line for all."""
    every = offset.shape[0] > 1
    for position in range(total.shape[0]):
        line, added, target = total[position], offset[position if every else 0], out[position]
        for channel in range(total.shape[1]):
            value = ((line[channel] + bias[channel]) >> shift[channel]) + added[channel]
            target[channel] = int8(min(max(value, int32(0)), MOST))


@exact
def compand_into(y, table, out):  # type: ignore[no-untyped-def]
    """int32 ``[channels, positions]`` to latents.quantise.compand of it, ``[positions, channels]``, of zeros at first;
    table int8: of it."""
    last = table.shape[0] - 1
    for start in range(0, y.shape[1], POSITIONS):
        stop = min(start + POSITIONS, y.shape[1])
        for channel in range(y.shape[0]):
            for position in range(start, stop):
                value = y[channel, position]
                if value == 0:  # most are
                    continue
                size = table[min(abs(value), last)]
                out[position, channel] = size if value >= 0 else -size


@exact
def take_head(total, bias, shift, positions, first, stride, offsets, quiet_mean, quiet_index, index, y):  # type: ignore[no-untyped-def]
    """prior_kernels.take_head of a head's sums int32 ``[positions, 2·group]``; offsets int32."""
    group, every = total.shape[1] // 2, offsets.shape[0] > 1
    own = offsets[:, first::stride].copy()
    found, mean = np.empty((POSITIONS, group), np.int32), np.empty((POSITIONS, group), np.int32)
    for start in range(0, positions.shape[0], POSITIONS):
        stop = min(start + POSITIONS, positions.shape[0])
        # Along channels first, by vector instructions; then to where it belongs, along positions.
        for number in range(start, stop):
            line, indices, means = total[number], found[number - start], mean[number - start]
            added = own[positions[number] if every else 0]
            for place in range(group):
                scale = ((line[place] + bias[place]) >> shift[place]) + added[place]
                scale = min(max(scale >> 1, int32(0)), int32(SCALE_COUNT - 1))
                value = (line[group + place] + bias[group + place]) >> shift[group + place]
                value = min(max(value, int32(-LARGEST_MEAN)), int32(LARGEST_MEAN))
                quiet = (abs(value) <= quiet_mean) & (scale <= quiet_index)
                indices[place] = scale
                means[place] = int32(0) if quiet else value
        for place in range(group):
            channel = first + place * stride
            for number in range(start, stop):
                at = uintp(positions[number])
                index[channel, at] = uint8(found[number - start, place])
                y[channel, at] = mean[number - start, place]
