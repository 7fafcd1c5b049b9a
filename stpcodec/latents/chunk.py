"""The integers of one chunk: everything that the entropy coder carries and every device must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class ChunkLatents:
    """One chunk, on the CPU.

    y: decoded latents in sixteenths of a quantiser step, int32 ``[C, H/16, W/16]``. z: hyper-latents, int32
    ``[hyper, h', w']``. field: motion in quarter samples, int32 ``[frame_count, 2, rows, columns]``; None in an
    intra chunk. quality: 1..100, of this chunk. mode: the transform's own choice, 0..127.
    """

    y: Tensor
    z: Tensor
    field: Tensor | None
    frame_count: int
    quality: int
    mode: int

    @property
    def intra(self) -> bool:
        return self.field is None

    def arrays(self) -> dict[str, np.ndarray]:
        """The integers by name, as numpy arrays."""
        named = {"y": self.y, "z": self.z} | ({} if self.field is None else {"motion": self.field})
        return {name: tensor.numpy() for name, tensor in named.items()}

    def hash_into(self, digest: Hash) -> None:
        """Feeds shapes and values, little-endian int32, to a hash such as xxh3_128 (FORMAT.md, latents hash)."""
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}q{self.quality}m{self.mode}n{self.frame_count}".encode())
            digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())


def to_integers(tensor: Tensor) -> Tensor:
    """Integer-valued floats, any device, to int32 on the CPU."""
    return tensor.to("cpu", torch.int32)
