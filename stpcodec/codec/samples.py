"""Between the integer samples of video frames and the float planes of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stpcodec.model.planes import Planes
from stpcodec.patches.padding import crop_planes, pad_planes


class Picture(Protocol):
    """What of a frame is coded: y ``[H, W]``, u and v ``[ceil(H/2), ceil(W/2)]``, uint8 or uint16."""

    @property
    def y(self) -> np.ndarray: ...
    @property
    def u(self) -> np.ndarray: ...
    @property
    def v(self) -> np.ndarray: ...


def peak(bit_depth: int) -> int:
    """The largest sample value: 255 or 1023."""
    return (1 << bit_depth) - 1


def to_planes(frames: Sequence[Picture], *, bit_depth: int, multiple: int, device: torch.device) -> Planes:
    """Frames of one size as planes in [0, 1], padded by replication to multiples of `multiple` samples."""

    def stack(planes: list[np.ndarray]) -> Tensor:
        joined = np.stack(planes)
        if joined.dtype == np.uint16:  # 10-bit samples fit int16, which every device knows
            joined = joined.view(np.int16)
        return torch.from_numpy(joined).to(device)

    y, u, v = stack([f.y for f in frames]), stack([f.u for f in frames]), stack([f.v for f in frames])
    padded = pad_planes(y, u, v, multiple)  # as integers: a quarter of the memory
    return Planes(*(plane.to(torch.float32).div_(peak(bit_depth)) for plane in padded))


def to_samples(
    planes: Planes, *, height: int, width: int, bit_depth: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The (y, u, v) arrays of every frame: cropped to `height` × `width`, rounded to `bit_depth` bits."""

    def round_to_depth(plane: Tensor) -> np.ndarray:
        whole = plane.to(torch.float32).mul(peak(bit_depth)).round_().clamp_(0, peak(bit_depth))
        if bit_depth == 8:
            return whole.to(torch.uint8).cpu().numpy()
        return whole.to(torch.int16).cpu().numpy().view(np.uint16)

    cropped = crop_planes(planes.y, planes.u, planes.v, height, width)
    # On the CPU one by one, which needs less memory; from a GPU all at once, which takes fewer transfers.
    at_once = 1 if planes.y.device.type == "cpu" else len(planes)
    samples: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(planes), at_once):
        y, u, v = (round_to_depth(plane[start : start + at_once].contiguous()) for plane in cropped)
        samples += zip(y, u, v, strict=True)
    return samples
