"""Reading a video: any file PyAV opens becomes a description and a stream of 4:2:0 frames."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.video.frame import VideoFrame

from stpcodec.errors import InputError
from stpcodec.video.frames import Frame, VideoInfo, Warn, log_warning
from stpcodec.video.pixels import PlaneReader
from stpcodec.video.properties import declared_end, describe, not_carried
from stpcodec.video.pyav import Ratio
from stpcodec.video.source import STDIN, open_input, pick_video_stream, seconds
from stpcodec.video.steady import SteadySource

# FFmpeg's frame threads can hang beside torch's; slice threads, and few of them, do not.
_DECODER_THREADS = min(4, os.cpu_count() or 1)
# A header rounds its duration, and a last frame may lack one: less than this is not a cut.
_TRUNCATION_SLACK_SECONDS = Fraction(1, 4)
_TRUNCATION_SLACK_FRAMES = 3


class VideoReader:
    """The video stream of `path` ("-" is standard input), one `Frame` at a time, in constant memory.

    8 and 10-bit 4:2:0 comes out as it is in the file; other formats are converted with one `warn` line that
    names the loss. Timestamps are the file's, in `info.time_base`, strictly increasing. What is damaged or
    missing is named in one `warn` line when the last frame has been read; with `strict` it raises at once.

    Raises InputError: no such file, not a video, no frame in it, a frame of another size, a file that gets shorter or
    unreadable meanwhile, damage if strict.
    """

    def __init__(self, path: str | Path, *, strict: bool = False, warn: Warn = log_warning) -> None:
        self.path = "standard input" if str(path) == STDIN else str(path)
        self._strict = strict
        self._warn = warn
        self._source = SteadySource(path)
        self._container = open_input(path, strict=strict)
        try:
            self._stream = pick_video_stream(self._container, path)
            self._configure_decoder()
            self._damaged = 0
            self._first_damage: Fraction | None = None
            self._ends_at: Fraction | None = None  # time at which the last decoded frame ends
            self._read_error: str | None = None
            self._pictures = self._decode()
            first = next(self._pictures, None)
            if first is None:
                raise InputError(
                    f"{self.path}: has a video stream but no frame in it can be decoded; "
                    "the file is damaged or cut off at its start"
                )
            self._planes = PlaneReader(first)
            self.info: VideoInfo = describe(self.path, self._container, self._stream, first, self._planes.first)
            self._frames = self._timed(first)
            self._warn_about_losses(first, str(path) == STDIN)
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        """The frames that have not been read yet. A reader can be read once."""
        return self._frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._frames.close()
        self._pictures.close()
        self._container.close()

    def _configure_decoder(self) -> None:
        codec = self._stream.codec_context
        codec.thread_type = ThreadType.SLICE
        codec.thread_count = _DECODER_THREADS
        if self._strict:
            codec.options = {"err_detect": "crccheck+bitstream+buffer+explode"}

    def _warn_about_losses(self, first: VideoFrame, piped: bool) -> None:
        if self._planes.first.lost:
            self._warn(f"{self.path}: {first.format.name} is converted: {self._planes.first.lost}")
        if lost := not_carried(first):
            self._warn(f"{self.path}: not kept: {', '.join(lost)}")
        if self.info.interlaced:
            self._warn(
                f"{self.path}: is interlaced: both fields are coded as one frame, which costs bits; "
                "deinterlace it first for small files"
            )
        others = [s.type for s in self._container.streams if s.index != self._stream.index]
        if piped and others:
            self._warn(f"{self.path}: only the video of a pipe is kept, not its {', '.join(others)}")

    def _decode(self) -> Generator[VideoFrame]:
        """Pictures of the video stream in presentation order, concealed where the data is damaged."""
        for packet in self._demux():
            if packet.stream_index != self._stream.index:
                continue
            try:
                pictures = self._stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError as error:
                self._note_damage(packet.pts, packet.time_base, str(error.strerror), error)
                continue
            for picture in pictures:
                if picture.is_corrupt:
                    self._note_damage(picture.pts, picture.time_base, "the data is damaged")
                yield picture

    def _demux(self) -> Iterator[Packet]:
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as error:
            self._read_error = str(error.strerror)
            if self._strict:
                raise InputError(f"{self.path}: cannot be read to its end: {error.strerror}") from error
            # What was read before may still sit in the decoder.
            yield from self._flush_packet()

    def _flush_packet(self) -> Iterator[Packet]:
        packet: Packet = Packet()
        packet.stream = self._stream
        yield packet

    def _note_damage(
        self, pts: int | None, time_base: Ratio | None, reason: str, cause: Exception | None = None
    ) -> None:
        at = self._ends_at if pts is None else seconds(pts, time_base)
        self._damaged += 1
        if self._first_damage is None:
            self._first_damage = at or Fraction(0)
        if self._strict:
            raise InputError(
                f"{self.path}: frame at {float(self._first_damage):.3f} s cannot be decoded: {reason}; "
                "without --strict it is concealed"
            ) from cause

    def _timed(self, first: VideoFrame) -> Generator[Frame]:
        """Frames with strictly increasing pts, then the verdict on what was missing."""
        rate = self.info.average_rate or 25
        nominal = max(1, round(1 / (rate * self.info.time_base)))
        moved = 0
        picture: VideoFrame | None = first
        pts = 0 if first.pts is None else first.pts
        while picture is not None:
            self._check_size(picture)
            following = next(self._pictures, None)
            # With B-frames MP4 holds distances between decoding times; what counts is the next frame's time.
            duration = max(0, int(picture.duration or 0))
            next_pts = pts + (duration or nominal)
            if following is not None:
                if following.pts is None or following.pts <= pts:
                    next_pts = pts + (nominal if following.pts is None else 1)
                    moved += 1
                else:
                    next_pts = following.pts
                duration = next_pts - pts
            self._ends_at = next_pts * self.info.time_base
            y, u, v = self._planes.planes(picture)
            yield Frame(y, u, v, pts, duration)
            picture, pts = following, next_pts
        if moved:
            self._warn(f"{self.path}: {moved} frames had no time of their own; they follow the one before")
        self._report_damage()

    def _check_size(self, picture: VideoFrame) -> None:
        if (picture.width, picture.height) != (self.info.width, self.info.height):
            at = float(self._ends_at or 0)
            raise InputError(
                f"{self.path}: the picture changes from {self.info.width}x{self.info.height} to "
                f"{picture.width}x{picture.height} at {at:.3f} s; split the file there and encode the parts"
            )

    def _report_damage(self) -> None:
        if self._read_error:
            self._source.require_readable()
        change = self._source.change()
        problems = [] if change is None else [change]
        if self._damaged:
            problems.append(
                f"damaged data at {self._damaged} frames, concealed or lost, "
                f"the first at {float(self._first_damage or 0):.3f} s"
            )
        promised = declared_end(self._container, self._stream)
        rate = self.info.average_rate or 25
        slack = max(_TRUNCATION_SLACK_SECONDS, Fraction(_TRUNCATION_SLACK_FRAMES) / rate)
        if promised is not None and self._ends_at is not None and promised - self._ends_at > slack:
            problems.append(
                f"the header promises {float(promised):.3f} s of video, "
                f"there are {float(self._ends_at):.3f} s: the file is cut off"
            )
        elif self._read_error:
            problems.append(f"reading stopped at {float(self._ends_at or 0):.3f} s: {self._read_error}")
        if not problems:
            return
        if self._strict:
            raise InputError(f"{self.path}: {'; '.join(problems)}; without --strict the rest is used")
        self._warn(f"{self.path}: {'; '.join(problems)}; what could be read is used")
