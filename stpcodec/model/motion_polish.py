"""The last word on a field's finest points: by the error that warping really leaves, and the bits that it costs.

What the search has found so far rests on a quadratic model of the error around each point, which is wrong wherever
things move apart. Three quarters of all points lie on the finest level and no other point is predicted from them, so
each can be chosen alone: of what its surroundings do, of what would cost nothing, and of small steps from there.
Measured: docs/ablations.md.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numba import float32, int32
from torch import Tensor

from stpcodec.latents.motion_field import MAX_VECTOR, SPACING, UNITS_PER_SAMPLE, walk
from stpcodec.model.motion_quantise import residual_bits
from stpcodec.model.motion_steps import flow_line, is_torn, sample
from stpcodec.model.motion_windows import inlined, kernel
from stpcodec.model.side_by_side import side_by_side

ROUNDS = 2
LEAST_GAIN = 2.0
"""Bits: a point whose error is not worth more is left alone."""
LARGEST_STEP = 2
"""Quarter samples. These three are choices; others were not compared."""


def polish(
    frame: Tensor, reference: Tensor, levels: list[Tensor], predicted: Tensor, like: list[Tensor] | None,
    cost_bits: np.ndarray, lagrangian: float,
) -> list[Tensor]:  # fmt: skip
    """Better residuals of the finest level.

    frame, reference ``[H, W]``: luma, float32. levels, finest first, and predicted: as `motion_search.search` returns
    and takes them; like: levels of the like field (motion_field.like_levels); cost_bits, lagrangian: as search has
    them. All on the CPU. The result does not depend on how many threads there are.
    """
    height, width = frame.shape
    *_, (_, context, coded, other, parents) = walk(levels, like, height, width)
    rows, columns = height // SPACING + 1, width // SPACING + 1
    base = predicted + parents[0]
    vectors = ((base + levels[0][0]).float() / UNITS_PER_SAMPLE).contiguous().numpy()
    known = (
        base.int().contiguous().numpy(), other[0].int().contiguous().numpy(), context[0].int().contiguous().numpy(),
        cost_bits, np.float32(lagrangian),
    )  # fmt: skip
    planes = frame.contiguous().numpy(), reference.contiguous().numpy()
    finest = coded[0].numpy()[:rows, :columns]
    stale, middle = finest, rows // 2
    for _ in range(ROUNDS):
        changed = np.zeros_like(stale)
        bands = [(0, middle), (middle + 1, rows)]
        side_by_side([partial(polish_rows, *planes, vectors, *known, stale, *band, changed) for band in bands])
        # A row that both bands look at, and neither changes.
        polish_rows(*planes, vectors, *known, stale, middle, middle + 1, changed)
        stale = _around(changed) & finest
    polished = torch.from_numpy((vectors * UNITS_PER_SAMPLE).round()).int() - base
    return [torch.where(coded[:, None], polished[None], levels[0]), *levels[1:]]


def _around(points: np.ndarray) -> np.ndarray:
    """The points and their eight neighbours: bool ``[rows, columns]``."""
    padded = np.pad(points, 1)
    across = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    return across[:-2] | across[1:-1] | across[2:]


@kernel
def polish_rows(  # type: ignore[no-untyped-def]
    frame, reference, field, base, other, context, cost_bits, lagrangian, stale, first, last, changed
):  # fmt: skip
    """Points of rows first to last that are stale, one after the other; changes `field`, float32 ``[2, rows, columns]``
    in luma samples, and notes in `changed` where."""
    rows, columns = stale.shape
    tries = np.empty((6, 2), np.float32)
    flow = np.empty((2, SPACING), np.float32)
    unit = float32(1 / UNITS_PER_SAMPLE)
    for row in range(first, last):
        for column in range(columns):
            if not stale[row, column]:
                continue
            old_y, old_x = field[0, row, column], field[1, row, column]
            bits = _price(old_y, old_x, row, column, base, other, context, cost_bits)
            best = lagrangian * bits + _error_around(frame, reference, field, row, column, flow, float32(np.inf))
            if best < lagrangian * float32(LEAST_GAIN):
                continue
            count = 2
            base_y, base_x = base[0, row, column], base[1, row, column]
            tries[0, 0], tries[0, 1] = base_y * unit, base_x * unit
            tries[1, 0] = (base_y + other[0, row, column]) * unit
            tries[1, 1] = (base_x + other[1, row, column]) * unit
            for side in range(4):
                beside_y, beside_x = row + (side == 0) - (side == 1), column + (side == 2) - (side == 3)
                if 0 <= beside_y < rows and 0 <= beside_x < columns:
                    tries[count, 0], tries[count, 1] = field[0, beside_y, beside_x], field[1, beside_y, beside_x]
                    count += 1
            best = _offer(
                frame, reference, field, row, column, tries[:count], base, other, context, cost_bits, lagrangian, flow,
                best,
            )  # fmt: skip
            step = LARGEST_STEP
            while step:
                centre_y, centre_x = field[0, row, column], field[1, row, column]
                for side in range(4):
                    tries[side, 0] = centre_y + ((side == 0) - (side == 1)) * step * unit
                    tries[side, 1] = centre_x + ((side == 2) - (side == 3)) * step * unit
                best = _offer(
                    frame, reference, field, row, column, tries[:4], base, other, context, cost_bits, lagrangian, flow,
                    best,
                )  # fmt: skip
                if field[0, row, column] == centre_y and field[1, row, column] == centre_x:
                    step //= 2
            changed[row, column] = field[0, row, column] != old_y or field[1, row, column] != old_x


@kernel
def _offer(  # type: ignore[no-untyped-def]
    frame, reference, field, row, column, tries, base, other, context, cost_bits, lagrangian, flow, best
):  # fmt: skip
    """Gives a point the cheapest of its vector, whose cost is `best`, and of `tries`; returns the cost."""
    limit = float32(MAX_VECTOR / UNITS_PER_SAMPLE)
    best_y, best_x = field[0, row, column], field[1, row, column]
    for number in range(tries.shape[0]):
        vector_y, vector_x = tries[number, 0], tries[number, 1]
        if vector_y == best_y and vector_x == best_x:
            continue
        if abs(vector_y) > limit or abs(vector_x) > limit:
            continue
        cost = lagrangian * _price(vector_y, vector_x, row, column, base, other, context, cost_bits)
        if cost >= best:
            continue
        field[0, row, column], field[1, row, column] = vector_y, vector_x
        cost += _error_around(frame, reference, field, row, column, flow, best - cost)
        if cost < best:
            best, best_y, best_x = cost, vector_y, vector_x
    field[0, row, column], field[1, row, column] = best_y, best_x
    return best


@inlined
def _price(vector_y, vector_x, row, column, base, other, context, cost_bits):  # type: ignore[no-untyped-def]
    """Bits of a vector in luma samples."""
    residual_y = int32(np.rint(vector_y * UNITS_PER_SAMPLE)) - base[0, row, column]
    residual_x = int32(np.rint(vector_x * UNITS_PER_SAMPLE)) - base[1, row, column]
    other_y, other_x = other[0, row, column], other[1, row, column]
    return residual_bits(residual_y, residual_x, other_y, other_x, context[row, column], cost_bits)


@kernel
def _error_around(frame, reference, field, row, column, flow, most):  # type: ignore[no-untyped-def]
    """Squared error of the four cells that a point has a say in, or of some of them if that is `most` already."""
    cells_down, cells_across = frame.shape[0] // SPACING, frame.shape[1] // SPACING
    total = float32(0)
    for down in range(max(row - 1, 0), min(row + 1, cells_down)):
        for across in range(max(column - 1, 0), min(column + 1, cells_across)):
            torn = is_torn(field, down, across)
            for inner in range(SPACING):
                y = down * SPACING + inner
                flow_line(field, down, across, inner, torn, flow)
                for along in range(SPACING):
                    x = across * SPACING + along
                    error = sample(reference, y + flow[0, along], x + flow[1, along]) - frame[y, x]
                    total += error * error
            if total >= most:
                return total
    return total
