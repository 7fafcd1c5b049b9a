"""How many frames the chunks of a segment hold, found by coding them: for `--effort`.

planning.py guesses from small pictures. Here a run of frames is coded as one chunk, and as its two halves, each found
the same way: four passes over all frames. The cheaper is kept, and what follows is coded behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.model.planes import Planes
from stpcodec.model.rates import lagrange_lambda, squared_error

REFERENCE_WORTH = 3.0
"""The last frame's error counts this much once more: what follows is predicted from it. Measured: docs/ablations.md."""
CHUNK_BITS = 24.0
"""What a chunk costs beside its streams, about."""


@dataclass(frozen=True)
class Coded:
    """A run of chunks. cost: bits, and errors by what they are worth; last: of the last frame's error."""

    lengths: tuple[int, ...]
    cost: float
    last: float
    history: History

    @property
    def total(self) -> float:
        return self.cost + REFERENCE_WORTH * self.last


def coded_lengths(codec: ChunkCodec, parts: Iterable[Planes], quality: int) -> tuple[int, ...]:
    """Of all chunks of a segment. parts: its first frame, then runs of at most `codec.chunk_frames`, which no chunk
    crosses. quality: of all pictures."""
    history: History | None = None
    lengths: list[int] = []
    for frames in parts:
        found = _cheapest(codec, frames, quality, history)
        history = found.history
        lengths += found.lengths
    return tuple(lengths)


def code_run(
    codec: ChunkCodec, frames: Planes, lengths: Sequence[int], quality: int, history: History | None
) -> Coded:  # fmt: skip
    """Frames in chunks of these lengths."""
    start, parts = 0, list[Coded]()
    for length in lengths:
        parts.append(_code(codec, frames[slice(start, start + length)], quality, history))
        start, history = start + length, parts[-1].history
    return Coded(tuple(lengths), sum(part.cost for part in parts), parts[-1].last, parts[-1].history)


def _cheapest(codec: ChunkCodec, frames: Planes, quality: int, history: History | None) -> Coded:
    count = len(frames)
    whole = _code(codec, frames, quality, history)
    if count == 1:
        return whole
    # The first half is the longer one: what is left of eight frames at a segment's end is cut as the eight are.
    middle = 1 << (count - 1).bit_length() - 1
    first = _cheapest(codec, frames[slice(0, middle)], quality, history)
    second = _cheapest(codec, frames[slice(middle, count)], quality, first.history)
    halves = Coded(first.lengths + second.lengths, first.cost + second.cost, second.last, second.history)
    return min(whole, halves, key=lambda coded: coded.total)


def _code(codec: ChunkCodec, frames: Planes, quality: int, history: History | None) -> Coded:
    chunk = codec.encode(frames, quality=quality, history=history)
    worth = float(lagrange_lambda(torch.tensor(quality))) * frames.height * frames.width
    errors = [worth * float(error) for error in squared_error(chunk.reconstruction, frames)]
    bits = CHUNK_BITS + 8 * sum(map(len, chunk.streams))
    return Coded((len(frames),), bits + sum(errors), errors[-1], chunk.history)
