"""A `ChunkCodec` without a network: quantised differences, zlib. Exact, fast, and with both kinds of memory.

Pixels depend on the history (the last reconstructed frame), streams on the previous chunk's integers, so a
conductor that mixes up either is found out. Near lossless at quality 100.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash

from stpcodec.errors import CorruptFile
from stpcodec.latents.gop import Picture, coding_order
from stpcodec.model.planes import Planes

PLANES = ("y", "u", "v")


@dataclass(frozen=True)
class FakeLatents:
    """One picture that holds all frames of its chunk, and the chunk of it alone."""

    integers: dict[str, np.ndarray]
    quality: int
    first_frame = 0

    @property
    def pictures(self) -> tuple[FakeLatents]:
        return (self,)

    @property
    def frame_count(self) -> int:
        return len(self.integers["y"])

    def hash_into(self, hasher: xxhash.xxh3_128) -> None:
        for name in PLANES:
            hasher.update(np.ascontiguousarray(self.integers[name]).tobytes())

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self.integers)


@dataclass(frozen=True)
class FakeEncoded:
    streams: tuple[bytes, ...]
    latents: FakeLatents
    history: FakeHistory
    reconstruction: Planes


@dataclass(frozen=True)
class FakeHistory:
    latents: FakeLatents
    last: Planes


def step(quality: int) -> float:
    return (101 - quality) / 1023


@dataclass
class FakeEncoding:
    """A chunk of one picture."""

    codec: FakeChunkCodec
    frames: Planes
    quality: int
    history: FakeHistory | None
    coded: FakeEncoded | None = None

    @property
    def order(self) -> tuple[Picture, ...]:
        return coding_order(len(self.frames))[:1]

    def ready(self, picture: Picture) -> bool:
        return True

    def code(self, picture: Picture) -> None:
        self.coded = self.codec.encode(self.frames, quality=self.quality, history=self.history)

    def leaves(self) -> FakeHistory:
        assert self.coded is not None
        return self.coded.history

    def result(self, *, shown: bool = True) -> FakeEncoded:
        assert self.coded is not None
        return self.coded


class FakeChunkCodec:
    chunk_frames = 4
    plans_chunks = False
    alignment = 16

    def begin(
        self, frames: Planes, *, quality: int, history: FakeHistory | None, qualities: Sequence[int] | None = None,
        weights: torch.Tensor | None = None,
    ) -> FakeEncoding:
        return FakeEncoding(self, frames, qualities[0] if qualities else quality, history)

    @staticmethod
    def picture_count(frame_count: int) -> int:
        return 1

    def encode(self, frames: Planes, *, quality: int, history: FakeHistory | None) -> FakeEncoded:
        assert len(frames) == 1 if history is None else 1 <= len(frames) <= self.chunk_frames
        assert frames.height % self.alignment == frames.width % self.alignment == 0
        integers = {}
        for name in PLANES:
            base = getattr(history.last, name) if history else 0.5
            difference = (getattr(frames, name) - base) / step(quality)
            integers[name] = difference.round().to(torch.int16).cpu().numpy()
        latents = FakeLatents(integers, quality)
        streams = tuple(
            zlib.compress(self._residual(integers[name], history.latents if history else None, name).tobytes(), 1)
            for name in PLANES
        )
        reconstruction, new_history = self.synthesise(latents, history=history)
        return FakeEncoded(streams, latents, new_history, reconstruction)

    def decode_latents(
        self,
        streams: Sequence[bytes],
        *,
        frame_count: int,
        height: int,
        width: int,
        quality: int,
        previous: FakeLatents | None,
    ) -> FakeLatents:
        if len(streams) != len(PLANES):
            raise CorruptFile(f"{len(streams)} streams, expected {len(PLANES)}")
        integers = {}
        for name, stream in zip(PLANES, streams, strict=True):
            rows, columns = (height, width) if name == "y" else (height // 2, width // 2)
            try:
                residual = np.frombuffer(zlib.decompress(stream), np.int16).reshape(frame_count, rows, columns)
            except (zlib.error, ValueError) as error:
                raise CorruptFile(f"stream {name} does not decode: {error}") from error
            integers[name] = residual + (previous.integers[name][-1] if previous else np.int16(0))
        return FakeLatents(integers, quality)

    def synthesise(self, latents: FakeLatents, *, history: FakeHistory | None) -> tuple[Planes, FakeHistory]:
        parts = {}
        for name in PLANES:
            base = getattr(history.last, name) if history else 0.5
            parts[name] = base + torch.from_numpy(latents.integers[name]).to(torch.float32) * step(latents.quality)
        planes = Planes(**parts)
        return planes, FakeHistory(latents, planes[-1:])

    @staticmethod
    def _residual(integers: np.ndarray, previous: FakeLatents | None, name: str) -> np.ndarray:
        return integers - (previous.integers[name][-1] if previous else np.int16(0))
