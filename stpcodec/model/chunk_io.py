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


def predict(reference: Planes, field: Tensor, lines: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """reference: B frames; field ``[B, 2, rows, columns]`` in quarter samples; lines: of luma, in multiples of 8.

    Returns the prediction and the packed reference, each ``[B, 96, H/8, W/8]``.
    """
    return pack_frames(warp_planes(reference, field, lines), 1), pack_frames(reference.lines(lines), 1)


def warped_pair(past: Planes, future: Planes, fields: Tensor, lines: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """B frames each, moved by fields ``[B, 2, 2, rows, columns]`` in quarter samples; packed ``[B, 96, H/8, W/8]``.

    lines: of luma, in multiples of 8.
    """
    pairs = ((past, fields[:, 0]), (future, fields[:, 1]))
    first, second = (pack_frames(warp_planes(frame, field, lines), 1) for frame, field in pairs)
    return first, second


def blend(pair: tuple[Tensor, Tensor], choice: Tensor) -> tuple[Tensor, Tensor]:
    """What two warped references say together; choice ``[B, H/16, W/16]`` (latents/blend.py).

    Returns the prediction, and half of what the two disagree about it, zero where only one of them counts.
    """
    first, second = pair
    weight = blend_weights(choice)[:, None].to(first.dtype)
    difference = first - second
    return second + weight * difference, difference * (weight * (1 - weight) * 2)
