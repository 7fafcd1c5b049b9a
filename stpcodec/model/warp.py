"""Motion compensation: control points to dense flow, and bicubic warping of 4:2:0 planes.

Float arithmetic on pixels: it may differ by rounding between devices, which only moves pixels, never a
probability (DESIGN.md §5, exactness).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE
from stpcodec.latents.motion_kernels import TEAR
from stpcodec.model.planes import Planes


def dense_flow(
    field: Tensor, height: int, width: int, *, step: int = 1, lines: slice = slice(None)
) -> Tensor:
    """Control points to vectors at the centres of luma samples (or of step×step blocks of them).

    Bilinear inside a cell whose corners agree, the nearest corner's where they differ by more than TEAR.
    field: ``[N, 2, rows, columns]`` in luma samples, any float; lines: those of the result that are wanted. Returns
    ``[N, 2, height/step, width/step]``.
    """
    rows, columns = height // SPACING + 1, width // SPACING + 1
    field = field[..., :rows, :columns]
    down, across = (_interpolation(length // step, step, field) for length in (height, width))
    # Training runs all of this in mixed precision, and in bfloat16 a vector of 20 samples is off by a sixteenth.
    with torch.autocast(field.device.type, enabled=False):
        smooth = down[lines] @ field @ across.T
    spread = F.max_pool2d(field, 2, stride=1) + F.max_pool2d(-field, 2, stride=1)
    torn = spread.amax(1, keepdim=True) > TEAR / UNITS_PER_SAMPLE
    if not bool(torn.any()):
        return smooth
    y, x = (_positions(length // step, step, field) for length in (height, width))
    y = y[lines]
    torn = torn.index_select(-2, y.long()).index_select(-1, x.long())
    nearest = field.index_select(-2, (y + 0.5).long()).index_select(-1, (x + 0.5).long())
    return torch.where(torn, nearest, smooth)


def _positions(length: int, step: int, like: Tensor) -> Tensor:
    """Centres of `length` blocks of `step` samples, in cells."""
    return (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) * (step / SPACING)


def _interpolation(length: int, step: int, like: Tensor) -> Tensor:
    """Linear interpolation along one axis as a matrix ``[length, length·step/SPACING + 1]``."""
    points = length * step // SPACING + 1
    distance = _positions(length, step, like)[:, None] - torch.arange(points, device=like.device, dtype=like.dtype)
    return (1 - distance.abs()).clamp(min=0)


def warp(plane: Tensor, flow: Tensor, *, mode: str = "bicubic", top: int = 0) -> Tensor:
    """Samples ``plane [N, C, H, W]`` at each position plus ``flow [N, 2, h, W]`` (dy, dx in its own samples).

    top: the position of the flow's first line; from there on it has h of them.
    """
    height, width = plane.shape[-2:]
    y = torch.arange(top, top + flow.shape[-2], device=flow.device, dtype=flow.dtype).view(1, -1, 1) + 0.5
    x = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, -1) + 0.5
    grid = torch.stack(((flow[:, 1] + x) * (2 / width) - 1, (flow[:, 0] + y) * (2 / height) - 1), dim=-1)
    return F.grid_sample(plane, grid, mode=mode, padding_mode="border", align_corners=False)


def warp_planes(reference: Planes, field: Tensor, lines: slice = slice(None)) -> Planes:
    """Predicts a frame from each of N references: field ``[N, 2, rows, columns]`` in quarter samples.

    lines: the luma lines that are wanted, from and to an even one.
    """
    height, width = reference.height, reference.width
    field = field.to(reference.y.dtype) / UNITS_PER_SAMPLE
    flow = dense_flow(field, height, width, lines=lines)
    top = lines.start or 0
    warped_y = warp(reference.y[:, None], flow, top=top)
    chroma = torch.stack((reference.u, reference.v), 1)
    # The mean over four luma samples is the vector in their middle, and half of it counts chroma samples.
    warped_chroma = warp(chroma, F.avg_pool2d(flow, 2) / 2, top=top // 2)
    return Planes(warped_y[:, 0], warped_chroma[:, 0], warped_chroma[:, 1])
