"""Writing a video: raw frames as .y4m or .nut or to a pipe, or an encoded .mkv, .mp4 or .mov with all its tracks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av

from stpcodec.errors import OutputError, StpError, UsageError
from stpcodec.video import nut, y4m
from stpcodec.video.encoding import DEFAULT_CODEC
from stpcodec.video.frames import ByteSink, Frame, Seconds, VideoInfo, Warn, log_warning
from stpcodec.video.muxing import ContainerWriter
from stpcodec.video.source import STDIN

Y4M, NUT = "y4m", "nut"
FORMAT_BY_SUFFIX = {".y4m": Y4M, ".nut": NUT, ".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
_ALIASES = {"yuv4mpegpipe": Y4M, "mkv": "matroska"}
_WRITE_BUFFER_BYTES = 1 << 20


class VideoWriter:
    """Writes `Frame`s to `path`: a file name, "-" for standard output, or an open binary stream.

    The suffix chooses the format, `format_name` ("y4m", "nut", "matroska", "mp4", "mov") overrides it; streams and
    "-" are y4m unless it says otherwise. Containers use `vcodec` (default libx264, crf 12, preset fast; in nut raw
    frames) with FFmpeg's `options`, carry colour, rotation, pixel aspect, tags and exact times of `info`, and take
    back the tracks, chapters and attachments of `sidecar`. What the format cannot hold is named in `warn`.

    `start_seconds` and `end_seconds` say, in the source's time, that only this part of the video will come:
    all times move so that its first frame is at zero, and the sidecar is cut to it. `name` stands for the
    file in messages, for writing under a temporary name.

    `close` completes the file. Leaving the `with` block by an exception abandons it, incomplete.
    Raises UsageError (format, encoder, options), OutputError (no space, no permission), InputError (sidecar).
    """

    def __init__(
        self,
        path: str | Path | ByteSink,
        info: VideoInfo,
        *,
        format_name: str | None = None,
        vcodec: str | None = None,
        options: dict[str, str] | None = None,
        sidecar: Path | None = None,
        start_seconds: Seconds | None = None,
        end_seconds: Seconds | None = None,
        name: str | None = None,
        warn: Warn = log_warning,
    ) -> None:
        own_name, named = _name_of(path)
        chosen = _format(own_name, named, format_name)
        self.name = name or own_name
        self._closed = False
        self._opened = self._open(path) if isinstance(path, str | Path) and str(path) != STDIN else None
        self._file: ByteSink = self._opened or (sys.stdout.buffer if isinstance(path, str | Path) else path)
        try:
            if chosen == Y4M:
                self._check_raw(vcodec, options)
                if lost := y4m.not_held(info, other_streams=sidecar is not None):
                    warn(f"{self.name}: y4m cannot hold {', '.join(lost)}; .mkv and .mp4 can")
                self._writer: y4m.Y4mWriter | ContainerWriter = y4m.Y4mWriter(
                    self._file, info, name=self.name, warn=warn
                )
            else:
                self._check_seekable(chosen)
                if chosen == NUT and (lost := nut.not_held(info)):
                    warn(f"{self.name}: nut cannot hold {', '.join(lost)}; .mkv and .mp4 can")
                self._writer = ContainerWriter(
                    self._file,
                    info,
                    chosen,
                    name=self.name,
                    vcodec=vcodec or (nut.CODEC if chosen == NUT else DEFAULT_CODEC),
                    options=options,
                    sidecar=sidecar,
                    start_seconds=start_seconds,
                    end_seconds=end_seconds,
                    warn=warn,
                )
        except BaseException as error:
            self._let_go()
            self._raise_named(error)
            raise

    def write(self, frame: Frame) -> None:
        try:
            self._writer.write(frame)
        except Exception as error:
            self._raise_named(error)
            raise

    def close(self) -> None:
        """Complete the file. A second call does nothing."""
        if self._closed:
            return
        try:
            self._writer.close()
            self._file.flush()
        except BaseException as error:
            self.abort()
            self._raise_named(error)
            raise
        self._closed = True
        try:
            if self._opened is not None:
                self._opened.close()
        except OSError as error:
            self._raise_named(error)

    def abort(self) -> None:
        """Give up: release everything and leave an incomplete file. Never raises."""
        if self._closed:
            return
        self._closed = True
        if isinstance(self._writer, ContainerWriter):
            self._writer.abort()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _open(self, path: str | Path) -> BinaryIO:
        try:
            return open(path, "wb", buffering=_WRITE_BUFFER_BYTES)
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written: {error.strerror}; choose another folder") from error

    def _check_raw(self, vcodec: str | None, options: dict[str, str] | None) -> None:
        if vcodec or options:
            raise UsageError(f"{self.name}: y4m holds raw frames, so --vcodec and its options do not apply")

    def _check_seekable(self, format_name: str) -> None:
        if format_name in ("mp4", "mov") and not self._file.seekable():
            raise UsageError(f"{self.name}: {format_name} cannot be written to a pipe; use matroska, nut or y4m")

    def _let_go(self) -> None:
        try:
            if self._opened is not None:
                self._opened.close()
        except OSError:
            pass  # the first error is being reported; the file is incomplete anyway

    def _raise_named(self, error: BaseException) -> None:
        """Turn what the system or FFmpeg says into one line; other exceptions pass."""
        if isinstance(error, StpError):
            return
        if isinstance(error, BrokenPipeError):
            raise OutputError(f"{self.name}: the program reading it has closed the pipe") from error
        if isinstance(error, OSError):
            raise OutputError(
                f"{self.name}: cannot be written: {error.strerror or error}; free space or choose another folder"
            ) from error
        if isinstance(error, av.FFmpegError):
            raise OutputError(
                f"{self.name}: FFmpeg cannot write it: {error.strerror}; try .mkv or another --vcodec"
            ) from error


def _name_of(path: str | Path | ByteSink) -> tuple[str, bool]:
    """The name for messages, and whether its suffix chooses the format."""
    if not isinstance(path, str | Path):
        return str(getattr(path, "name", "the output stream")), False
    return ("standard output", False) if str(path) == STDIN else (str(path), True)


def _format(name: str, named: bool, format_name: str | None) -> str:
    if format_name is not None:
        chosen = _ALIASES.get(format_name, format_name)
        if chosen not in FORMAT_BY_SUFFIX.values():
            raise UsageError(f"{format_name}: cannot be written; choose y4m, nut, matroska, mp4 or mov")
        return chosen
    if not named:
        return Y4M
    suffix = Path(name).suffix.lower()
    if suffix not in FORMAT_BY_SUFFIX:
        raise UsageError(f"{name}: the suffix says no format; name it .y4m, .nut, .mkv, .mp4 or .mov")
    return FORMAT_BY_SUFFIX[suffix]
