"""4:2:0 planes as one tensor at 1/8 resolution, and back; exact.

Channels 0-63 hold an 8×8 luma block, 64-79 the 4×4 block of u under it, 80-95 that of v, each in the order of
``torch.nn.functional.pixel_unshuffle``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.errors import UsageError

LUMA_CHANNELS, CHANNELS = 64, 96


def pack(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """y ``[N, H, W]``, u and v ``[N, H/2, W/2]``, H and W multiples of 8, to ``[N, 96, H/8, W/8]``."""
    if (
        y.shape[-2] % 8
        or y.shape[-1] % 8
        or u.shape != v.shape
        or tuple(u.shape[-2:]) != (y.shape[-2] // 2, y.shape[-1] // 2)
    ):
        raise UsageError(f"planes {tuple(y.shape)}, {tuple(u.shape)}, {tuple(v.shape)} are not 4:2:0 in multiples of 8")
    chroma = torch.stack((u, v), 1)
    return torch.cat((F.pixel_unshuffle(y[:, None], 8), F.pixel_unshuffle(chroma, 4)), 1)


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `pack`."""
    if packed.shape[1] != CHANNELS:
        raise UsageError(f"packed frames have {CHANNELS} channels, not {packed.shape[1]}")
    chroma = F.pixel_shuffle(packed[:, LUMA_CHANNELS:], 4)
    return F.pixel_shuffle(packed[:, :LUMA_CHANNELS], 8)[:, 0], chroma[:, 0], chroma[:, 1]
