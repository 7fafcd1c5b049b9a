"""Finding motion fields: block matching, Gauss-Newton on the control points, rate-distortion-optimised coding.

1. *Start*: whole-sample matches of windows around the control points (motion_match.py).
2. *Refinement*: Lucas-Kanade steps (Lucas & Kanade 1981) on the control points with their bilinear basis
   functions as windows, iteratively reweighted against occlusion, drawn towards the neighbours where the
   picture says nothing.
3. *Quantisation*: the last step leaves a quadratic model of the error around each point (its structure tensor);
   motion_quantise.py chooses the residuals of the hierarchy by it.

The same torch code runs on CPU and GPU. Only the encoder runs it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import (
    MAX_VECTOR,
    SPACING,
    UNITS_PER_SAMPLE,
    Hierarchy,
    like_levels,
    reconstruct,
)
from stpcodec.model.motion_match import match
from stpcodec.model.motion_quantise import FieldQuantiser
from stpcodec.model.warp import dense_flow, warp

REFINEMENTS = 2
"""Gauss-Newton steps. Three gain up to 0.8 dB over one (talking-head-vlog, 8-sample grid); two were not compared."""


def search(
    frame: Tensor, reference: Tensor, *, cost_bits: Tensor, lagrangian: float, predicted: Tensor | None = None,
    like: Tensor | None = None, hints: Sequence[Tensor] = (), thorough: bool = True,
) -> list[Tensor]:  # fmt: skip
    """Motion of one frame against one reference.

    frame, reference ``[H, W]``: luma in [0, 1], multiples of 16. cost_bits ``[KIND_CONTEXTS, 2·LARGEST + 2]``: bits per
    residual, the last column the escape. lagrangian: squared error (luma in [0, 1]) per bit. predicted: the
    field that residuals are added to; like: what the coder's contexts look at (latents/motion_field.py); hints: fields
    to start from beside it, all int32 ``[2, rows, columns]`` in quarter samples. thorough: also match everywhere within
    reach, not only near the hints. Returns residuals per level, finest first, int32 ``[1, 2, h, w]``.
    """
    height, width = frame.shape
    hierarchy, device = Hierarchy.of(height, width), frame.device
    rows, columns = height // SPACING + 1, width // SPACING + 1
    if predicted is None:
        predicted = torch.zeros(2, hierarchy.rows, hierarchy.columns, dtype=torch.int32, device=device)
    predicted = predicted.to(device)[None]
    starts = [h[:, :rows, :columns].to(frame) / UNITS_PER_SAMPLE for h in (predicted[0], *hints)]
    start = match(frame, reference, starts, thorough=thorough)
    field, tensor = _refine(frame[None, None], reference[None, None], _extend(start[None], hierarchy))
    coder = FieldQuantiser(hierarchy, height, width, cost_bits, lagrangian)
    looks_at = like_levels(None if like is None else like.to(device), height, width)
    levels = coder.quantise(field * UNITS_PER_SAMPLE - predicted, tensor, looks_at)
    if not thorough:
        return levels
    return _zero_unless_better(levels, predicted, frame[None, None], reference[None, None], lagrangian)


def _refine(frame: Tensor, reference: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Newton from `start`; also the structure tensors of its last step."""
    field = start
    for _ in range(REFINEMENTS):
        field, tensor = _gauss_newton(frame, reference, field)
    return field, tensor


def _window(values: Tensor, cell: int) -> Tensor:
    """Means over 2-cell windows centred on the control points: ``[N, C, h, w]`` to ``[N, C, h/cell+1, w/cell+1]``."""
    cells = F.avg_pool2d(values, cell)
    return F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 2, stride=1)


def _extend(field: Tensor, hierarchy: Hierarchy) -> Tensor:
    rows, columns = field.shape[-2:]
    return F.pad(field, (0, hierarchy.columns - columns, 0, hierarchy.rows - rows), mode="replicate")


def _gauss_newton(frames: Tensor, references: Tensor, field: Tensor) -> tuple[Tensor, Tensor]:
    """One reweighted Lucas-Kanade step: the new field (luma samples) and the structure tensor
    ``[N, 3, rows, columns]`` (yy, xx, yx), summed over each point's window."""
    height, width = frames.shape[-2:]
    rows, columns = height // SPACING + 1, width // SPACING + 1
    # Bilinear is enough to find the way; the decoder's kernel is bicubic.
    warped = warp(references, dense_flow(field, height, width), mode="bilinear")
    error = frames - warped
    gy, gx = _gradient(warped, 2), _gradient(warped, 3)
    weight = 1.0 / (1.0 + (error * 12.0) ** 2)
    products = torch.cat((gy * gy, gx * gx, gy * gx, gy * error, gx * error), dim=1) * weight
    sums = _window(products, SPACING) * float(SPACING * SPACING)  # the hat function's integral is one cell
    yy, xx, yx, ye, xe = sums.unbind(1)
    current = field[..., :rows, :columns]
    smooth = F.avg_pool2d(F.pad(current, (1, 1, 1, 1), mode="replicate"), 3, stride=1) - current
    # Across the edge of a moving thing neighbours say nothing about each other.
    smooth = smooth.clamp(-1.0, 1.0)
    # Units: gradients per sample; noise of about 1/255 per sample sets the pull to the neighbours.
    pull = 0.004 * SPACING * SPACING / 64
    a, b, c = yy + pull, xx + pull, yx
    determinant = a * b - c * c
    ry, rx = ye + pull * smooth[:, 0], xe + pull * smooth[:, 1]
    dy, dx = (b * ry - c * rx) / determinant, (a * rx - c * ry) / determinant
    delta = torch.stack((dy, dx), 1).clamp(-1.0, 1.0)
    new = (current + delta).clamp(-MAX_VECTOR / UNITS_PER_SAMPLE, MAX_VECTOR / UNITS_PER_SAMPLE)
    hierarchy_rows, hierarchy_columns = field.shape[-2:]
    grow = (0, hierarchy_columns - columns, 0, hierarchy_rows - rows)
    tensor = F.pad(torch.stack((yy, xx, yx), 1), grow)
    return F.pad(new, grow, mode="replicate"), tensor


def _gradient(plane: Tensor, dim: int) -> Tensor:
    length = plane.shape[dim]
    pad = [0, 0, 0, 0]
    pad[0 if dim == 3 else 2] = pad[1 if dim == 3 else 3] = 1
    padded = F.pad(plane, pad, mode="replicate")
    return (padded.narrow(dim, 2, length) - padded.narrow(dim, 0, length)) * 0.5


def _zero_unless_better(
    levels: list[Tensor], predicted: Tensor, frame: Tensor, reference: Tensor, lagrangian: float
) -> list[Tensor]:
    """Drops the residual field when warping with it does not pay (the quadratic model can be wrong)."""
    height, width = frame.shape[-2:]
    residual = reconstruct(levels)
    errors = []
    for field in (predicted, predicted + residual):
        flow = dense_flow(field.to(frame.dtype) / UNITS_PER_SAMPLE, height, width)
        errors.append(float((frame - warp(reference, flow, mode="bilinear")).square().sum()))
    bits = 4.0 * sum(int((level != 0).sum()) for level in levels)
    return levels if errors[1] + lagrangian * bits < errors[0] else [torch.zeros_like(level) for level in levels]
