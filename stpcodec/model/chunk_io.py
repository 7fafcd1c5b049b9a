"""Between planes and the networks' packed tensors."""

from __future__ import annotations

from torch import Tensor

from stpcodec.latents.blend import blend_weights
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


def predict(reference: Planes, field: Tensor) -> tuple[Tensor, Tensor]:
    """reference: B frames; field ``[B, 2, rows, columns]`` in quarter samples.

    Returns the prediction and the packed reference, each ``[B, 96, H/8, W/8]``.
    """
    return pack_frames(warp_planes(reference, field), 1), pack_frames(reference, 1)


def warped_pair(past: Planes, future: Planes, fields: Tensor) -> tuple[Tensor, Tensor]:
    """B frames each, moved by fields ``[B, 2, 2, rows, columns]`` in quarter samples; packed ``[B, 96, H/8, W/8]``."""
    first, second = (pack_frames(warp_planes(frame, fields[:, i]), 1) for i, frame in enumerate((past, future)))
    return first, second


def blend(pair: tuple[Tensor, Tensor], choice: Tensor) -> tuple[Tensor, Tensor]:
    """What two warped references say together; choice ``[B, H/16, W/16]`` (latents/blend.py).

    Returns the prediction, and half of what the two disagree about it, zero where only one of them counts.
    """
    first, second = pair
    weight = blend_weights(choice)[:, None].to(first.dtype)
    difference = first - second
    return second + weight * difference, difference * (weight * (1 - weight) * 2)
