"""Motion compensation: control points to dense flow, and bicubic warping of 4:2:0 planes.

Float arithmetic on pixels: it may differ by rounding between devices, which only moves pixels, never a
probability (DESIGN.md §5, exactness).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE
from stpcodec.model.planes import Planes


def dense_flow(field: Tensor, height: int, width: int, *, step: int = 1) -> Tensor:
    """Bilinear interpolation of control points at the centres of luma samples (or of step×step blocks of them).

    field: ``[N, 2, rows, columns]`` in luma samples, any float; returns ``[N, 2, height/step, width/step]``.
    """
    rows, columns = height // SPACING + 1, width // SPACING + 1
    field = field[..., :rows, :columns]
    return _line(_line(field, height // step, step, -2), width // step, step, -1)


def _line(field: Tensor, length: int, step: int, dim: int) -> Tensor:
    # Separable linear interpolation along one axis as a product with a small constant matrix.
    positions = (torch.arange(length, device=field.device, dtype=field.dtype) + 0.5) * (step / SPACING)
    left = positions.floor().clamp_(max=field.shape[dim] - 2)
    fraction = positions - left
    index = left.long()
    low, high = field.index_select(dim, index), field.index_select(dim, index + 1)
    shape = [1] * field.ndim
    shape[dim] = length
    return torch.lerp(low, high, fraction.view(shape))


def warp(plane: Tensor, flow: Tensor, *, mode: str = "bicubic") -> Tensor:
    """Samples ``plane [N, C, H, W]`` at each position plus ``flow [N, 2, H, W]`` (dy, dx in its own samples)."""
    _, _, height, width = flow.shape
    y = torch.arange(height, device=flow.device, dtype=flow.dtype).view(1, -1, 1) + 0.5
    x = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, -1) + 0.5
    grid = torch.stack(((flow[:, 1] + x) * (2 / width) - 1, (flow[:, 0] + y) * (2 / height) - 1), dim=-1)
    return F.grid_sample(plane, grid, mode=mode, padding_mode="border", align_corners=False)


def warp_planes(reference: Planes, field: Tensor) -> Planes:
    """Predicts T frames from one: reference with N = B frames, field ``[B·T, 2, rows, columns]`` in quarter samples."""
    count, (batch, height, width) = field.shape[0], reference.y.shape
    repeats = count // batch
    field = field.to(reference.y.dtype) / UNITS_PER_SAMPLE
    y = reference.y[:, None].repeat_interleave(repeats, 0)
    chroma = torch.stack((reference.u, reference.v), 1).repeat_interleave(repeats, 0)
    warped_y = warp(y, dense_flow(field, height, width))
    warped_chroma = warp(chroma, dense_flow(field, height, width, step=2) / 2)
    return Planes(warped_y[:, 0], warped_chroma[:, 0], warped_chroma[:, 1])
