"""Between planes and the networks' packed tensors."""

from __future__ import annotations

from torch import Tensor

from stpcodec.model.planes import Planes
from stpcodec.model.warp import warp_planes
from stpcodec.patches.packing import CHANNELS, pack, unpack


def pack_frames(frames: Planes, count: int) -> Tensor:
    """N = B·count frames to ``[B, 96·count, H/8, W/8]``."""
    packed = pack(frames.y, frames.u, frames.v)
    return packed.view(-1, count * CHANNELS, *packed.shape[2:])


def unpack_frames(packed: Tensor, count: int) -> Planes:
    """The inverse of `pack_frames`, in float32."""
    return Planes(*unpack(packed.float().reshape(-1, packed.shape[1] // count, *packed.shape[2:])))


def predict(reference: Planes, fields: Tensor) -> tuple[Tensor, Tensor]:
    """reference: B frames; fields ``[B, T, 2, rows, columns]`` in quarter samples.

    Returns the prediction ``[B, 96·T, H/8, W/8]`` and the packed reference ``[B, 96, H/8, W/8]``.
    """
    warped = warp_planes(reference, fields.flatten(0, 1))
    return pack_frames(warped, fields.shape[1]), pack_frames(reference, 1)
