"""Padding of 4:2:0 planes to the multiple that the model's transforms need, and the crop back; exact."""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.errors import UsageError


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The least height and width that are multiples of `multiple` and hold the frame."""
    if multiple < 2 or multiple % 2:
        raise UsageError(f"multiple is {multiple}, must be even: chroma has half the size")
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def pad_planes(y: Tensor, u: Tensor, v: Tensor, multiple: int) -> tuple[Tensor, Tensor, Tensor]:
    """Repeat the last row and column until luma is a multiple of `multiple` (even) high and wide.

    y [..., H, W], u and v [..., ceil(H/2), ceil(W/2)], any dtype, to y [..., H', W'], u and v [..., H'/2, W'/2].
    Raises UsageError where the planes are not 4:2:0 of one size.
    """
    height, width = y.shape[-2:]
    if not u.shape[-2:] == v.shape[-2:] == ((height + 1) // 2, (width + 1) // 2):
        raise UsageError(f"planes {tuple(y.shape)}, {tuple(u.shape)}, {tuple(v.shape)} are not 4:2:0 of one size")
    high, wide = padded_size(height, width, multiple)
    return _extend(y, high, wide), _extend(u, high // 2, wide // 2), _extend(v, high // 2, wide // 2)


def crop_planes(y: Tensor, u: Tensor, v: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The planes of the `height` × `width` frame that was padded: views of y, u, v."""
    if not (0 < height <= y.shape[-2] and 0 < width <= y.shape[-1]):
        raise UsageError(f"cannot crop planes {tuple(y.shape)} to {height} x {width}")
    rows, columns = (height + 1) // 2, (width + 1) // 2
    return y[..., :height, :width], u[..., :rows, :columns], v[..., :rows, :columns]


def _extend(plane: Tensor, height: int, width: int) -> Tensor:
    """By index, because `torch.nn.functional.pad` replicates floats only."""
    for dim, size in ((-2, height), (-1, width)):
        have = plane.shape[dim]
        if have < size:
            index = torch.arange(size, device=plane.device).clamp_(max=have - 1)
            plane = plane.index_select(dim, index)
    return plane
