"""Cuts the stream of frames into segments, and segments into chunks, with a few frames in memory.

frames   0 1 2 3 4 5 6 7 8 9 | 0 1 2 3 …        | a scene cut
chunks  [0][1 2 3 4][5 6 7 8][9] [0][1 2 3 4] …   chunk_frames = 4
         ^ opens a segment         ^ opens a segment
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from stpcodec.errors import UsageError


class HasLuma(Protocol):
    """What the partition needs of a frame: luma [H, W], uint8 or uint16."""

    @property
    def y(self) -> np.ndarray: ...


class CutDetector(Protocol):
    """Told the luma of every frame in order, says which start a new shot."""

    def push(self, y: np.ndarray, /) -> bool: ...


FrameT = TypeVar("FrameT", bound=HasLuma)


@dataclass(frozen=True)
class Chunk(Generic[FrameT]):
    """Frames to be coded together, in order, at least one. `opens_segment`: the first chunk of its segment."""

    frames: tuple[FrameT, ...]
    opens_segment: bool


def chunks(
    frames: Iterable[FrameT], *, chunk_frames: int, segment_frames: int = 128, detector: CutDetector
) -> Iterator[Chunk[FrameT]]:
    """All `frames` in chunks, holding at most `chunk_frames` of them.

    A segment opens with a chunk of one frame; chunks of `chunk_frames` follow, the last may be shorter. It ends
    before a frame that `detector` says starts a shot, after `segment_frames` frames, or with the video.
    Raises UsageError for sizes below 1.
    """
    if chunk_frames < 1 or segment_frames < 1:
        raise UsageError(f"chunk_frames is {chunk_frames}, segment_frames {segment_frames}; both must be at least 1")
    return _chunks(frames, chunk_frames, segment_frames, detector)


def _chunks(
    frames: Iterable[FrameT], chunk_frames: int, segment_frames: int, detector: CutDetector
) -> Iterator[Chunk[FrameT]]:
    waiting: list[FrameT] = []
    in_segment = 0  # frames of the current segment, the waiting ones included
    for frame in frames:
        is_cut = detector.push(frame.y)
        if is_cut or in_segment in (0, segment_frames):
            if waiting:
                yield Chunk(tuple(waiting), opens_segment=False)
                waiting = []
            yield Chunk((frame,), opens_segment=True)
            in_segment = 1
            continue
        waiting.append(frame)
        in_segment += 1
        if len(waiting) == chunk_frames:
            yield Chunk(tuple(waiting), opens_segment=False)
            waiting = []
    if waiting:
        yield Chunk(tuple(waiting), opens_segment=False)
