"""Frames on their way through the model: 4:2:0 planes as float tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Planes:
    """y ``[N, H, W]``, u and v ``[N, H/2, W/2]`` in [0, 1]; inside the codec H and W are multiples of 16."""

    y: Tensor
    u: Tensor
    v: Tensor

    def __len__(self) -> int:
        return self.y.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Planes:
        return Planes(self.y[index], self.u[index], self.v[index])

    @property
    def height(self) -> int:
        return self.y.shape[-2]

    @property
    def width(self) -> int:
        return self.y.shape[-1]

    def map(self, function) -> Planes:  # type: ignore[no-untyped-def]
        return Planes(function(self.y), function(self.u), function(self.v))

    def lines(self, wanted: slice) -> Planes:
        """The luma lines `wanted`, from and to an even one, and their chroma."""
        start, stop, _ = wanted.indices(self.height)
        chroma = slice(start // 2, stop // 2)
        return Planes(self.y[:, start:stop], self.u[:, chroma], self.v[:, chroma])

    def room_for(self, count: int) -> Planes:
        """Frames like these, of no particular content, to be filled."""
        return self.map(lambda plane: plane.new_empty(count, *plane.shape[1:]))

    def put(self, number: int, frame: Planes) -> None:
        """Copies a single frame into the place of frame `number`."""
        for plane, part in ((self.y, frame.y), (self.u, frame.u), (self.v, frame.v)):
            plane[number].copy_(part[0])

    def clamp(self) -> Planes:
        return self.map(lambda plane: plane.clamp(0.0, 1.0))

    def to(self, device: torch.device | str) -> Planes:
        return self.map(lambda plane: plane.to(device))


def empty_frame(height: int, width: int, device: torch.device) -> Planes:
    """One frame of no particular content, to be filled."""
    return Planes(*(torch.empty(1, height // part, width // part, device=device) for part in (1, 2, 2)))


def join_frames(parts: Sequence[Planes]) -> Planes:
    """The frames of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Planes(*(torch.cat([getattr(part, name) for part in parts]) for name in ("y", "u", "v")))
