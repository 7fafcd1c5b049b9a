"""Opening a media file, and saying in one line why it cannot be opened."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stpcodec.errors import InputError
from stpcodec.video.pyav import Ratio, fraction, open_for_reading

STDIN = "-"
# libavformat draws plain text files as ANSI art and calls that a video.
_TEXT_AS_VIDEO = {"ansi", "bintext", "idf", "xbin"}
_PICTURE_ONLY = Disposition.attached_pic | Disposition.timed_thumbnails
_NUMBERED = re.compile(r"%0?\d*d")


def open_input(path: str | Path, *, strict: bool = False) -> InputContainer:
    """Open `path` ("-" is standard input, "%04d" and "*" an image sequence). Raises InputError."""
    name = str(path)
    options = {"err_detect": "explode"} if strict else {}
    file: BinaryIO | str = sys.stdin.buffer if name == STDIN else name
    format_name = None
    if _is_sequence(name):
        format_name = "image2"
        options |= _sequence_options(name)
    elif name != STDIN:
        _check_file(name)
    try:
        return open_for_reading(file, format_name=format_name, options=options)
    except av.FFmpegError as error:
        raise InputError(f"{_shown(name)}: {_reason(name, error)}") from error
    except OSError as error:
        raise InputError(f"{_shown(name)}: cannot be read: {error.strerror or error}") from error


def pick_video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    """The stream to code: the best real video stream; cover pictures do not count. Raises InputError."""
    name = _shown(str(path))
    streams = [s for s in container.streams.video if not s.disposition & _PICTURE_ONLY]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise InputError(f"{name}: has no video stream (only {kinds}); give a file with video")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise InputError(f"{name}: no decoder for its video stream; convert it to H.264 or FFV1 first")
    if stream.codec_context.name in _TEXT_AS_VIDEO:
        raise InputError(f"{name}: is a text file, not a video; give a video file")
    return stream


def is_cover(stream: Stream) -> bool:
    """A still picture that illustrates the file (cover art), which containers list as video."""
    return bool(stream.disposition & Disposition.attached_pic)


def seconds(count: int, time_base: Ratio | None) -> Fraction:
    return count * (fraction(time_base) or Fraction(0))


def _check_file(name: str) -> None:
    if "://" in name:
        return
    path = Path(name)
    if path.is_dir():
        raise InputError(f"{name}: is a folder; name a video file, or an image sequence like {name}/%04d.png")
    if not path.exists():
        raise InputError(f"{name}: does not exist; check the spelling")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{name}: is empty (0 bytes); give a video file")


def _is_sequence(name: str) -> bool:
    if name == STDIN or "://" in name or Path(name).exists():
        return False
    return bool(_NUMBERED.search(Path(name).name)) or "*" in name


def _sequence_options(name: str) -> dict[str, str]:
    """FFmpeg finds a sequence that starts below 5; look for the first number ourselves."""
    if "*" in name:
        if not any(Path(name).parent.glob(Path(name).name)):
            raise InputError(f"{name}: no file matches; check the pattern")
        return {"pattern_type": "glob"}
    path = Path(name)
    before, after = _NUMBERED.split(path.name, maxsplit=1)
    number = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = [int(m.group(1)) for f in path.parent.glob("*") if (m := number.fullmatch(f.name))]
    if not found:
        raise InputError(f"{name}: no numbered image matches; check the pattern")
    return {"start_number": str(min(found))}


def _reason(name: str, error: av.FFmpegError) -> str:
    if not isinstance(error, av.InvalidDataError | av.EOFError):
        return f"cannot be opened: {error.strerror}"
    if name == STDIN:
        return "holds no video that can be read from a pipe; pipe y4m, Matroska or MPEG-TS, or name the file"
    with open(name, "rb") as file:
        head = file.read(4096)
    if head and b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return "is a text file, not a video; give a video file"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "is an MP4 or MOV file without its index: it was cut off; copy or record it again"
    return "is not a video, or is damaged at its start; give a file that FFmpeg can play"


def _shown(name: str) -> str:
    return "standard input" if name == STDIN else name
