"""Compiled steps of the integer prior on the CPU (prior_run.py); exact: see prior.py.

Compiled by Numba: of each layer the sum is a matrix product, what surrounds it would be four to ten passes over memory.
Activations lie position by position, float32 ``[rows·columns, channels]`` holding integers.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, uint8

from stpcodec.compiled import compiled
from stpcodec.latents.quantise import LARGEST_MEAN, LIMIT, SCALE_COUNT

MOST = float32(LIMIT)

exact = compiled()


@exact
def depthwise(x, rows, columns, weight, bias, out):  # type: ignore[no-untyped-def]
    """3×3 sums, zero outside, floored and activated. x, out ``[rows·columns, channels]``; weight ``[9, channels]`` and
    bias ``[channels]`` are scaled by the layer's power of two."""
    channels = x.shape[1]
    total = np.empty(channels, np.float32)
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
                        total[channel] += tap[channel] * source[channel]
            target = out[row * columns + column]
            for channel in range(channels):
                target[channel] = min(max(np.floor(total[channel]), float32(0)), MOST)


@exact
def activate_in_place(x):  # type: ignore[no-untyped-def]
    """Floor, ReLU and saturation of ``[positions, channels]``."""
    for position in range(x.shape[0]):
        line = x[position]
        for channel in range(x.shape[1]):
            line[channel] = min(max(np.floor(line[channel]), float32(0)), MOST)


@exact
def add_and_activate(x, offset, out):  # type: ignore[no-untyped-def]
    """floor(x) + offset, activated; offset of out's shape, or one line for all positions."""
    every = offset.shape[0] > 1
    for position in range(x.shape[0]):
        line, added, target = x[position], offset[position if every else 0], out[position]
        for channel in range(x.shape[1]):
            target[channel] = min(max(np.floor(line[channel]) + added[channel], float32(0)), MOST)


@exact
def compand_into(y, table, out):  # type: ignore[no-untyped-def]
    """int32 ``[channels, positions]`` to latents.quantise.compand of it, ``[positions, channels]``, of zeros at first;
    table: of it."""
    last = table.shape[0] - 1
    # Blocks that fit the nearest cache: reading runs along positions, writing along channels.
    for start in range(0, y.shape[1], 16):
        stop = min(start + 16, y.shape[1])
        for channel in range(y.shape[0]):
            for position in range(start, stop):
                value = y[channel, position]
                if value == 0:  # most are
                    continue
                size = table[min(abs(value), last)]
                out[position, channel] = size if value >= 0 else -size


@exact
def take_head(head, positions, first, stride, offsets, quiet_mean, quiet_index, index, y):  # type: ignore[no-untyped-def]
    """Puts a head's scale indices and means of some positions and channels where they belong: prior.IntegerPrior.step.

    head ``[positions, 2·group]``, before its floor: indices, then means, of channels first, first + stride, ...;
    offsets ``[all positions, channels]`` of their qualities, or one line for all. index uint8 and y int32 ``[channels,
    all positions]``.
    """
    group, every = head.shape[1] // 2, offsets.shape[0] > 1
    for number in range(positions.shape[0]):
        at, line = positions[number], head[number]
        added = offsets[at if every else 0]
        for place in range(group):
            channel = first + place * stride
            found = int32(np.floor((np.floor(line[place]) + added[channel]) * float32(0.5)))
            found = min(max(found, 0), SCALE_COUNT - 1)
            mean = int32(np.floor(line[group + place]))
            if abs(mean) <= quiet_mean and found <= quiet_index:
                mean = 0
            index[channel, at] = uint8(found)
            y[channel, at] = min(max(mean, -LARGEST_MEAN), LARGEST_MEAN)
