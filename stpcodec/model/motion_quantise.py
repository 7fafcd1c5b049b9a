"""Rate-distortion-optimised residuals of a motion field's hierarchy (latents/motion_field.py), coarse to fine.

The search leaves, for every control point, the vector it would like and a quadratic model of what departing from it
costs (the structure tensor of its window). A coarse point is chosen for all points that inherit from it: each of
them pays its quadratic error, or at most what coding a residual of its own would cost. So flat areas follow their
surroundings for nothing, and one moving thing does not drag the vectors around it along.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import float32, int32
from torch import Tensor

from stpcodec.latents.motion_field import (
    ACTIVITY_CLASSES,
    FIRST_CLASSES,
    LARGEST,
    MAX_LEVELS,
    MAX_VECTOR,
    OTHER,
    POINT_CONTEXTS,
    UNITS_PER_SAMPLE,
    Hierarchy,
    activity_after,
    magnitude,
    spread,
    upsample_both,
    zero_levels,
)
from stpcodec.latents.motion_kernels import activity_class, like_class
from stpcodec.model.motion_windows import inlined, kernel

RESIDUAL_BITS = 8.0
"""Roughly what a point pays for a residual of its own: it never loses more by what is above it."""
WIDEST = 4
"""Above this level a coarse point looks at every second, fourth... point below it: enough to choose by."""


class FieldQuantiser:
    """cost_bits ``[KIND_CONTEXTS, 2·LARGEST + 2]``: bits per residual, the last column the escape. lagrangian: squared
    error (luma in [0, 1]) per bit."""

    def __init__(self, hierarchy: Hierarchy, height: int, width: int, cost_bits: Tensor, lagrangian: float):
        self.hierarchy = hierarchy
        self.cost_bits = cost_bits.float().cpu().numpy()
        # The quadratic model is per luma sample squared; vectors here count quarter samples.
        self.lagrangian = np.float32(lagrangian * UNITS_PER_SAMPLE**2)
        self.coded = [hierarchy.coded(level, height, width).numpy() for level in range(hierarchy.top + 1)]

    def quantise(self, target: Tensor, tensor: Tensor, like: list[Tensor] | None) -> list[Tensor]:
        """Residuals per level, finest first, int32 ``[1, 2, h, w]``.

        target ``[2, rows, columns]`` in quarter samples, tensor ``[3, rows, columns]`` (yy, xx, yx), both float32;
        like: levels of the like field, see motion_field.like_levels. All on the CPU.
        """
        top = self.hierarchy.top
        levels = zero_levels(self.hierarchy, 1)
        predicted = torch.zeros(1, 2, *self.hierarchy.shape(top), dtype=torch.int32)
        inherited, other = torch.zeros_like(predicted[:, 0]), torch.zeros_like(predicted)
        wanted, structure = target.contiguous().numpy(), tensor.contiguous().numpy()
        means = weighted_means(wanted, structure, top)
        for level in range(top, -1, -1):
            like_magnitude = torch.zeros_like(inherited) if like is None else magnitude(like[level]).int()
            residual = levels[level]
            choose(
                level, wanted, structure, means[level], predicted[0].numpy(), other[0].numpy(), inherited[0].numpy(),
                like_magnitude[0].numpy(), like is not None, self.coded[level], self.cost_bits, self.lagrangian,
                residual[0].numpy(),
            )  # fmt: skip
            if level:
                predicted, second = upsample_both(predicted + residual)
                other = second - predicted
                inherited = spread(activity_after(residual, inherited))
        return levels


@kernel
def choose(  # type: ignore[no-untyped-def]
    level, target, tensor, mean, predicted, other, inherited, like_magnitude, liked, coded, cost_bits, lagrangian, out
):  # fmt: skip
    """Fills out int32 ``[2, h, w]``, a level's residuals, where coded bool ``[h, w]``.

    Of no residual, the other parent, the point's own vector and the mean of all below it: the cheapest. (Candidates of
    one component alone gained 0.4 % of an anchor's cost and took a quarter of the time.)
    """
    step = 1 << level
    thin = max(0, level - WIDEST)
    stride = 1 << (level - thin)
    tries = np.zeros((4, 2), np.float32)
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            if not coded[row, column]:
                continue
            base_y, base_x = float32(predicted[0, row, column]), float32(predicted[1, row, column])
            other_y, other_x = other[0, row, column], other[1, row, column]
            y, x = row * step, column * step
            tries[1, 0], tries[1, 1] = float32(other_y), float32(other_x)
            tries[2, 0], tries[2, 1] = _rounded(target[0, y, x] - base_y), _rounded(target[1, y, x] - base_x)
            tries[3, 0] = _rounded(mean[0, row, column] - base_y)
            tries[3, 1] = _rounded(mean[1, row, column] - base_x)
            context = level * ACTIVITY_CLASSES + activity_class(inherited[row, column])
            if liked:
                context += MAX_LEVELS * ACTIVITY_CLASSES * (1 + like_class(like_magnitude[row, column]))
            best = float32(np.inf)
            for number in range(4 if level else 3):
                vy, vx = tries[number, 0], tries[number, 1]
                if number and vy == 0 and vx == 0:
                    continue
                bits = residual_bits(int32(vy), int32(vx), other_y, other_x, context, cost_bits)
                cost = lagrangian * bits
                if cost >= best:
                    continue
                cost += _error(target, tensor, y, x, base_y + vy, base_x + vx, stride, thin, lagrangian)
                if cost < best:
                    best = cost
                    out[0, row, column], out[1, row, column] = int32(vy), int32(vx)


@inlined
def _rounded(value):  # type: ignore[no-untyped-def]
    return min(max(np.rint(value), -float32(MAX_VECTOR)), float32(MAX_VECTOR))


@inlined
def _error(target, tensor, y, x, vector_y, vector_x, stride, thin, lagrangian):  # type: ignore[no-untyped-def]
    """Quadratic error of all points that would follow the vector of the one at (y, x) of the finest grid, each at most
    a residual's cost; all but the point itself, which nothing below can correct.

    Wide levels look at a thinned grid, each point standing for those left out.
    """
    _, rows, columns = target.shape
    most = float32(RESIDUAL_BITS) * lagrangian
    share = float32(1) / float32(stride)
    total = float32(0)
    for down in range(1 - stride, stride):
        row = y + (down << thin)
        if row < 0 or row >= rows:
            continue
        hat_y = float32(1) - abs(down) * share
        for across in range(1 - stride, stride):
            column = x + (across << thin)
            if column < 0 or column >= columns:
                continue
            dy, dx = vector_y - target[0, row, column], vector_x - target[1, row, column]
            error = tensor[0, row, column] * dy * dy + tensor[1, row, column] * dx * dx
            error += float32(2) * tensor[2, row, column] * dy * dx
            if (down or across) and error > most:
                error = most
            total += hat_y * (float32(1) - abs(across) * share) * error
    return total * float32(1 << (2 * thin))


@inlined
def residual_bits(residual_y, residual_x, other_y, other_x, context, cost_bits):  # type: ignore[no-untyped-def]
    """Of one residual: motion_field.to_symbols and its contexts."""
    follows = (other_y != 0 or other_x != 0) and residual_y == other_y and residual_x == other_x
    first = residual_y + (1 if residual_y >= OTHER else 0)
    second = residual_x + (1 if residual_x >= OTHER else 0)
    if follows:
        first, second = OTHER, 0
    size = abs(first)
    cls = FIRST_CLASSES if follows else 1 + (1 if size > 0 else 0) + (1 if size > 2 else 0)
    return _symbol_bits(cost_bits, context, first) + _symbol_bits(cost_bits, context + POINT_CONTEXTS * cls, second)


@inlined
def _symbol_bits(cost_bits, row, value):  # type: ignore[no-untyped-def]
    size = abs(value)
    if size <= LARGEST:
        return cost_bits[row, value + LARGEST]
    return cost_bits[row, 2 * LARGEST + 1] + float32(2) * np.log2(float32(size)) + float32(1)


def weighted_means(target: np.ndarray, tensor: np.ndarray, top: int) -> list[np.ndarray]:
    """Per level the tensor-weighted mean of the targets under each point: full weighting, as in multigrid."""
    yy, xx, yx = tensor
    ty, tx = target
    stack = np.stack((yy, xx, yx, yy * ty + yx * tx, yx * ty + xx * tx))
    means = [target]
    for _ in range(top):
        stack, mean = _halved(stack)
        means.append(mean)
    return means


@kernel
def _halved(stack):  # type: ignore[no-untyped-def]
    """The weighted sums ``[5, h, w]`` of the next level, and its means."""
    _, height, width = stack.shape
    rows, columns = (height - 1) // 2 + 1, (width - 1) // 2 + 1
    out = np.zeros((5, rows, columns), np.float32)
    mean = np.empty((2, rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            for dy in range(-1, 2):
                y = 2 * row + dy
                if y < 0 or y >= height:
                    continue
                for dx in range(-1, 2):
                    x = 2 * column + dx
                    if x < 0 or x >= width:
                        continue
                    weight = float32(1.0 if dy == 0 else 0.5) * float32(1.0 if dx == 0 else 0.5)
                    for part in range(5):
                        out[part, row, column] += weight * stack[part, y, x]
            damp = float32(1e-4) + float32(1e-3) * (out[0, row, column] + out[1, row, column])
            a, b, c = out[0, row, column] + damp, out[1, row, column] + damp, out[2, row, column]
            by, bx = out[3, row, column], out[4, row, column]
            determinant = a * b - c * c
            mean[0, row, column] = (b * by - c * bx) / determinant
            mean[1, row, column] = (a * bx - c * by) / determinant
    return out, mean
