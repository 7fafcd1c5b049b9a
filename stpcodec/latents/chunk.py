"""The integers of one chunk: everything that the entropy coder carries and every device must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

PATCH = 16
"""Luma samples of a patch's sides: what one position of the grid of latents stands for."""


class Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class PictureLatents:
    """One coded picture, on the CPU.

    y: decoded latents in sixteenths of a quantiser step, int32 ``[C, H/16, W/16]``. z: hyper-latents, int32
    ``[hyper, h', w']``. field: motion in quarter samples, int32 ``[references, 2, rows, columns]`` (of `dct`, which has
    none, zeros ``[frame_count, ...]``); None of an intra picture. choice: int32 ``[H/16, W/16]`` of a picture
    between two references, see latents/blend.py. regions: int32 ``[⌈H/64⌉, ⌈W/64⌉]`` of a picture whose mode says so,
    see latents/regions.py. first_frame: counted in its chunk. quality: 1..100, of this picture.
    mode: the transform's own choice, 0..7 or 64. levels: int32 ``[⌈H/32⌉, ⌈W/32⌉]``, see latents/levels.py; None: all
    are 0. library: of a segment's first picture, the number of the model's picture that it is predicted from.
    loop_filter: int32 ``[FILTER_SIZE]``, the one that holds from this picture on, see latents/loop_filter.py; None:
    there was none yet. filtered: whether this picture went through it.
    """

    y: Tensor
    z: Tensor
    field: Tensor | None
    choice: Tensor | None
    first_frame: int
    frame_count: int
    quality: int
    mode: int
    regions: Tensor | None = None
    levels: Tensor | None = None
    library: int | None = None
    loop_filter: Tensor | None = None
    filtered: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the padded frame."""
        return PATCH * self.y.shape[1], PATCH * self.y.shape[2]

    @property
    def intra(self) -> bool:
        return self.field is None

    def arrays(self) -> dict[str, np.ndarray]:
        """The integers by name, as numpy arrays."""
        named = {"y": self.y, "z": self.z}
        if self.field is not None:
            named["motion"] = self.field
        if self.choice is not None:
            named["blend"] = self.choice
        if self.regions is not None:
            named["regions"] = self.regions
        if self.levels is not None:
            named["levels"] = self.levels
        if self.filtered:
            assert self.loop_filter is not None
            named["filter"] = self.loop_filter
        return {name: tensor.numpy() for name, tensor in named.items()}

    def hash_into(self, digest: Hash) -> None:
        """Feeds shapes and values, little-endian int32, to a hash such as xxh3_128 (FORMAT.md, latents hash)."""
        origin = "" if self.library is None else f"l{self.library}"
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}q{self.quality}m{self.mode}n{self.frame_count}{origin}".encode())
            digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())


@dataclass(frozen=True)
class ChunkLatents:
    """The pictures of a chunk in the order of coding; the first one is, in time, the last."""

    pictures: tuple[PictureLatents, ...]

    @property
    def frame_count(self) -> int:
        return sum(picture.frame_count for picture in self.pictures)

    @property
    def anchor(self) -> PictureLatents:
        return self.pictures[0]

    def hash_into(self, digest: Hash) -> None:
        for picture in self.pictures:
            picture.hash_into(digest)


def to_integers(tensor: Tensor) -> Tensor:
    """Integer-valued floats, any device, to int32 on the CPU."""
    return tensor.to("cpu", torch.int32)
