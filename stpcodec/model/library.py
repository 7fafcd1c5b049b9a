"""Pictures that a model brings along: what an encoder and its decoder know before the first byte.

Footage of one camera shows the same place again and again. A picture of it without what moves is part of a model that
was adapted to it (training/library.py), and a segment may begin from that instead of an intra frame: as the library
pictures of AVS3 (IEEE 1857.10), which are coded in a stream of their own there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.model.planes import Planes
from stpcodec.model.rates import squared_error

MOST_PICTURES = 16
MOST_BYTES = 32 << 20
"""Of all pictures together: ten of 1920×1080. They take as much of every process that codes."""
LARGEST_SIDE = 8192
"""Samples; larger frames are coded in tiles, which begin with intra frames."""
PREFIX = "library."
_PLANES = "y", "u", "v"
_ALIGNED = 16


def eight_bits(picture: Planes) -> Planes:
    """A picture (N = 1, padded to multiples of 16, in [0, 1]) as a library has it: uint8."""
    return picture.map(lambda plane: (255 * plane).round().clamp(0, 255).byte())


def in_unit_range(picture: Planes) -> Planes:
    """A library's picture as the codec takes frames."""
    return picture.map(lambda plane: plane.float() / 255)


def nearest(frame: Planes, library: Sequence[Planes]) -> int | None:
    """The number of the picture that differs least from a frame (N = 1) of its size; None where none has its size."""
    errors = {
        number: float(squared_error(in_unit_range(picture), frame).mean())
        for number, picture in enumerate(library)
        if (picture.height, picture.width) == (frame.height, frame.width)
    }
    return min(errors, key=errors.__getitem__) if errors else None


def fitting(library: Sequence[Planes]) -> list[Planes]:
    """The first pictures, as many as a library may have."""
    kept: list[Planes] = []
    left = MOST_BYTES
    for picture in library[:MOST_PICTURES]:
        left -= _bytes(picture)
        if left < 0:
            break
        kept.append(picture)
    return kept


def library_tensors(library: Sequence[Planes]) -> dict[str, Tensor]:
    """As a weights file holds them: uint8 ``library.N.y`` ``[H, W]``, ``.u`` and ``.v`` ``[H/2, W/2]``."""
    return {
        f"{PREFIX}{number}.{name}": getattr(picture, name)[0].cpu()
        for number, picture in enumerate(library)
        for name in _PLANES
    }


def read_library(tensors: dict[str, Tensor], path: Path, device: torch.device) -> tuple[Planes, ...]:
    """tensors: those of a weights file whose names begin with PREFIX. Raises ModelError naming what does not fit."""
    count = len(tensors) // len(_PLANES)
    if tensors.keys() != {f"{PREFIX}{number}.{name}" for number in range(count) for name in _PLANES}:
        raise ModelError(f"{path}: the planes of its library are not those of {count} pictures; adapt the model again")
    pictures = ([tensors[f"{PREFIX}{number}.{name}"] for name in _PLANES] for number in range(count))
    library = tuple(_picture(planes, path, device) for planes in pictures)
    if len(fitting(library)) < count:
        raise ModelError(
            f"{path}: a library of {count} pictures, {sum(map(_bytes, library))} bytes; there are at most "
            f"{MOST_PICTURES} pictures and {MOST_BYTES} bytes"
        )
    return library


def _bytes(picture: Planes) -> int:
    return picture.height * picture.width * 3 // 2


def _picture(planes: list[Tensor], path: Path, device: torch.device) -> Planes:
    luma, *chroma = planes
    sound = luma.ndim == 2 and all(16 <= side <= LARGEST_SIDE and side % _ALIGNED == 0 for side in luma.shape)
    halves = tuple(side // 2 for side in luma.shape)
    sound = sound and all(tuple(plane.shape) == halves for plane in chroma)
    if not sound or any(plane.dtype != torch.uint8 for plane in planes):
        raise ModelError(
            f"{path}: a picture of its library is {', '.join(str(tuple(plane.shape)) for plane in planes)}, not 4:2:0 "
            f"of uint8 with sides that are multiples of 16 up to {LARGEST_SIDE}; adapt the model again"
        )
    return Planes(*(plane.to(device)[None] for plane in planes))
