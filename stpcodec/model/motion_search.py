"""Finding motion fields: block matching, Gauss-Newton on the control points, rate-distortion-optimised coding.

1. *Start*: whole-sample matches of windows around the control points (motion_match.py).
2. *Refinement*: Lucas-Kanade steps (Lucas & Kanade 1981) on the control points with their bilinear basis
   functions as windows, iteratively reweighted against occlusion, drawn towards the neighbours where the
   picture says nothing.
3. *Quantisation*: the last step leaves a quadratic model of the error around each point (its structure tensor);
   motion_quantise.py chooses the residuals of the hierarchy by it.
4. *Polish*: residuals by what is left to code (motion_polish.py).

Runs on the CPU wherever the networks run, by compiled kernels; only the encoder needs it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE, Hierarchy, like_levels, reconstruct
from stpcodec.model.motion_match import match
from stpcodec.model.motion_polish import MOST_PATIENCE, polish
from stpcodec.model.motion_quantise import FieldQuantiser
from stpcodec.model.motion_steps import gauss_newton, squared_error

REFINEMENTS = 2
"""Gauss-Newton steps, usually. Measured: docs/ablations.md."""


def search(
    frame: Tensor, reference: Tensor, *, cost_bits: Tensor, lagrangian: float, caution: float = 1.0,
    predicted: Tensor | None = None, like: Tensor | None = None, hints: Sequence[Tensor] = (), thorough: bool = True,
    beside: Tensor | None = None, last_caution: float | None = None, refinements: int = REFINEMENTS,
    patience: int = MOST_PATIENCE,
) -> list[Tensor]:  # fmt: skip
    """Motion of one frame against one reference.

    frame, reference ``[H, W]``: luma in [0, 1], multiples of 16. cost_bits ``[KIND_CONTEXTS, 2·LARGEST + 2]``: bits per
    residual, the last column the escape. lagrangian: squared error (luma in [0, 1]) per bit of latents; caution: what
    bits of motion count of those. predicted: the field that residuals are added to; like: what the coder's contexts
    look at (latents/motion_field.py); hints: fields to start from beside it, all int32 ``[2, rows, columns]`` in
    quarter samples. thorough: also match everywhere within reach, not only near the hints. beside ``[H, W]``: what else
    predicts the frame; the polish looks at the error of the mean of both, and last_caution is its caution. refinements:
    Gauss-Newton steps, at least 1. patience: of the polish, 0 to MOST_PATIENCE. All may lie on any device.
    Returns residuals per level, finest first, int32 ``[1, 2, h, w]`` on the CPU.
    """
    frame, reference = (plane.float().cpu().contiguous() for plane in (frame, reference))
    height, width = frame.shape
    hierarchy = Hierarchy.of(height, width)
    rows, columns = height // SPACING + 1, width // SPACING + 1
    if predicted is None:
        predicted = torch.zeros(2, hierarchy.rows, hierarchy.columns, dtype=torch.int32)
    predicted = predicted.cpu()
    starts = [h[:, :rows, :columns].cpu() / UNITS_PER_SAMPLE for h in (predicted, *hints)]
    start = match(frame, reference, starts, thorough=thorough)
    own, other = frame.numpy(), reference.numpy()
    field, tensor = _extend(start, hierarchy).numpy(), None
    for _ in range(refinements):
        field, tensor = gauss_newton(own, other, field)
    weighed = caution * lagrangian
    coder = FieldQuantiser(hierarchy, height, width, cost_bits, weighed)
    looks_at = like_levels(None if like is None else like.cpu(), height, width)
    wanted = torch.from_numpy(field) * UNITS_PER_SAMPLE - predicted
    levels = coder.quantise(wanted, torch.from_numpy(tensor), looks_at)
    seen = frame, reference, levels, predicted, wanted, looks_at, coder.cost_bits
    if beside is None:
        levels = polish(*seen, lagrangian, caution, patience)
    else:
        # The mean's error is half of what the field has left of twice the frame less the other prediction.
        twice = 2 * frame - beside.float().cpu()
        levels = polish(twice, *seen[1:], 4 * lagrangian, last_caution or caution, patience)
    if not thorough:
        return levels
    return _zero_unless_better(levels, predicted, frame, reference, weighed)


def _extend(field: Tensor, hierarchy: Hierarchy) -> Tensor:
    rows, columns = field.shape[-2:]
    return F.pad(field[None], (0, hierarchy.columns - columns, 0, hierarchy.rows - rows), mode="replicate")[0]


def _zero_unless_better(
    levels: list[Tensor], predicted: Tensor, frame: Tensor, reference: Tensor, lagrangian: float
) -> list[Tensor]:
    """Drops the residual field when warping with it does not pay (the quadratic model can be wrong)."""
    own, other = frame.numpy(), reference.numpy()
    errors = [
        squared_error(own, other, (field.float() / UNITS_PER_SAMPLE).contiguous().numpy())
        for field in (predicted, predicted + reconstruct(levels)[0])
    ]
    bits = 4.0 * sum(int((level != 0).sum()) for level in levels)
    return levels if errors[1] + lagrangian * bits < errors[0] else [torch.zeros_like(level) for level in levels]
