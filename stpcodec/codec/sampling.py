"""What a quality would cost and give, from a few pieces of the video instead of all of it.

One pass over the source finds where its segments begin and keeps the first frames of a few, spread evenly. A trial
codes those; first frames and frames after them are counted apart, because a segment has one of the former and many of
the latter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from stpcodec.codec.comparison import Judge, MakeJudge, PlanePsnr
from stpcodec.codec.events import Progress, ProgressCallback
from stpcodec.codec.models import LoadedCodec
from stpcodec.codec.qualities import Qualities
from stpcodec.codec.segments import SegmentCodec
from stpcodec.container import StreamHeader
from stpcodec.errors import InputError
from stpcodec.patches.partition import chunks
from stpcodec.patches.scenes import SceneCutDetector
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader

PIECES = 6
PIECE_FRAMES = 17
_MEMORY_BYTES = 1 << 28
_SEGMENT_BYTES = 100  # of a segment that are no chunk: record header, hash, times
_FILE_BYTES = 400


@dataclass(frozen=True)
class Trial:
    """Of the whole video, estimated: bytes without sound and other streams, mean PSNR 6:1:1, what a judge says."""

    video_bytes: float
    psnr_db: float
    score: float | None = None


@dataclass(frozen=True)
class Sample:
    """frames, segments, duration_seconds: of the whole video. pieces: chunks of the first frames of some segments."""

    frames: int
    segments: int
    duration_seconds: Fraction
    pieces: tuple[tuple[tuple[Frame, ...], ...], ...]

    @property
    def is_everything(self) -> bool:
        """Nothing is saved by looking at a part."""
        return 2 * sum(len(chunk) for piece in self.pieces for chunk in piece) >= self.frames

    def trial(
        self, header: StreamHeader, loaded: LoadedCodec, qualities: Qualities, judge: MakeJudge | None = None
    ) -> Trial:
        """Code the pieces with `qualities`, each as a first segment, and decode them again."""
        with closing(judge(header)) if judge else nullcontext() as judging:
            return self._trial(header, loaded, qualities, judging)

    def _trial(self, header: StreamHeader, loaded: LoadedCodec, qualities: Qualities, judge: Judge | None) -> Trial:
        codec = SegmentCodec(replace(header, quality=qualities.of_file), loaded.codec, loaded.device, qualities)
        psnr = PlanePsnr(header.bit_depth)
        first_bytes = later_bytes = later_frames = 0
        for piece in self.pieces:
            with codec.pool() as pool:
                builder = codec.open(0, pool)
                for chunk in piece:
                    builder.add(chunk)
                segment = builder.close()
            sizes = [sum(map(len, chunk.streams)) for chunk in segment.chunks]
            first_bytes, later_bytes = first_bytes + sizes[0], later_bytes + sum(sizes[1:])
            later_frames += segment.frame_count - 1
            sources = (frame for chunk in piece for frame in chunk)
            for decoded, source in zip(codec.frames(segment), sources, strict=True):
                psnr.add(decoded, source)
                if judge is not None:
                    judge.add(source, decoded)
        per_first = first_bytes / len(self.pieces) + _SEGMENT_BYTES
        per_later = later_bytes / later_frames if later_frames else 0.0
        video_bytes = _FILE_BYTES + self.segments * per_first + (self.frames - self.segments) * per_later
        return Trial(video_bytes, psnr.result()["yuv"], judge.result() if judge is not None else None)


def take_sample(
    source: str | Path, *, chunk_frames: int, segment_frames: int, strict: bool, progress: ProgressCallback
) -> Sample:
    """Read the whole source once. Memory: that of the pieces.

    Raises InputError.
    """
    collector = _Collector()
    frames = segments = 0
    first_pts = end_pts = 0
    clock = time.monotonic()
    with VideoReader(source, strict=strict, warn=lambda _: None) as reader:
        total, time_base = reader.info.frame_count_estimate, reader.info.time_base
        parts: Iterator = chunks(
            reader, chunk_frames=chunk_frames, segment_frames=segment_frames, detector=SceneCutDetector()
        )
        for chunk in parts:
            if not frames:
                first_pts = chunk.frames[0].pts
            frames, segments = frames + len(chunk.frames), segments + chunk.opens_segment
            end_pts = chunk.frames[-1].pts + max(1, chunk.frames[-1].duration)
            collector.add(chunk.frames, opens_segment=chunk.opens_segment)
            progress(Progress("scan", frames, total, 0, time.monotonic() - clock))
    if not frames:
        raise InputError(f"{source}: holds no video frame; is the file complete?")
    return Sample(frames, segments, (end_pts - first_pts) * time_base, collector.pieces())


class _Collector:
    """The beginnings of every n-th segment; n doubles whenever there are too many."""

    def __init__(self) -> None:
        self._kept: dict[int, list[tuple[Frame, ...]]] = {}
        self._stride, self._number = 1, -1
        self._longest = PIECE_FRAMES

    def add(self, frames: tuple[Frame, ...], *, opens_segment: bool) -> None:
        if opens_segment:
            self._number += 1
            if self._number % self._stride == 0:
                if len(self._kept) == PIECES:
                    self._stride *= 2
                    self._kept = {n: piece for n, piece in self._kept.items() if n % self._stride == 0}
                if self._number % self._stride == 0:
                    self._kept[self._number] = []
            room = _MEMORY_BYTES // (PIECES * frames[0].size_bytes)
            self._longest = max(5, min(PIECE_FRAMES, room))
        piece = self._kept.get(self._number)
        if piece is not None and sum(map(len, piece)) < self._longest:
            piece.append(frames)

    def pieces(self) -> tuple[tuple[tuple[Frame, ...], ...], ...]:
        return tuple(tuple(piece) for piece in self._kept.values())
