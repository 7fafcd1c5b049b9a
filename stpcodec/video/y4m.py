"""YUV4MPEG2 (.y4m): raw frames behind a one-line header, the form that every video tool reads from a pipe.

Format: `YUV4MPEG2 W.. H.. F.. I. A.. C..` newline, then per frame `FRAME` newline and the planes y, u, v.
Extensions as FFmpeg reads and writes them: `C420p10` (little-endian 16-bit words), `XCOLORRANGE`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from stpcodec.video.frames import (
    COLOR_UNSPECIFIED,
    DISPLAY_MATRIX,
    FIELD_ORDER,
    RANGE_FULL,
    RANGE_LIMITED,
    ByteSink,
    Frame,
    VideoInfo,
)
from stpcodec.video.tags import content_tags

DEFAULT_RATE = Fraction(25)

_SITING = {1: "420mpeg2", 3: "420paldv"}
_RANGE = {RANGE_LIMITED: " XCOLORRANGE=LIMITED", RANGE_FULL: " XCOLORRANGE=FULL"}
_FIELDS = {"2": "t", "3": "b", "4": "t", "5": "b"}  # AVFieldOrder: which field is shown first
_FRAME = memoryview(b"FRAME\n")


def header(info: VideoInfo) -> bytes:
    """The first line of the file."""
    rate = info.average_rate or DEFAULT_RATE
    aspect = info.sample_aspect_ratio
    siting = "420p10 XYSCSS=420P10" if info.bit_depth == 10 else _SITING.get(info.chroma_location, "420jpeg")
    fields = _FIELDS.get(info.stream_metadata.get(FIELD_ORDER, ""), "?") if info.interlaced else "p"
    return (
        f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} I{fields} "
        f"A{aspect.numerator if aspect else 0}:{aspect.denominator if aspect else 0} "
        f"C{siting}{_RANGE.get(info.color_range, '')}\n"
    ).encode("ascii")


def not_held(info: VideoInfo, *, other_streams: bool) -> list[str]:
    """What of this video a .y4m cannot hold."""
    lost = ["audio and other streams"] if other_streams else []
    if info.rotation or DISPLAY_MATRIX in info.stream_metadata:
        lost.append("rotation")
    colour = (info.color_primaries, info.color_transfer, info.color_space)
    if any(value != COLOR_UNSPECIFIED for value in colour):
        lost.append("colour primaries, transfer and matrix")
    if content_tags(info.metadata):
        lost.append("tags")
    return lost


class Y4mWriter:
    """Writes frames to `file`, a binary stream that need not seek. OSError passes through."""

    def __init__(self, file: ByteSink, info: VideoInfo, *, name: str, warn: Callable[[str], None]) -> None:
        self._file = file
        self._name = name
        self._warn = warn
        self._interval = 1 / (info.average_rate or DEFAULT_RATE)
        self._time_base = info.time_base
        self._last_pts: int | None = None
        self._even = True
        file.write(memoryview(header(info)))

    def write(self, frame: Frame) -> None:
        self._watch_times(frame.pts)
        self._file.write(_FRAME)
        for plane in (frame.y, frame.u, frame.v):
            little_endian = plane.astype(plane.dtype.newbyteorder("<"), copy=False)
            self._file.write(np.ascontiguousarray(little_endian).data)

    def close(self) -> None:
        self._file.flush()

    def _watch_times(self, pts: int) -> None:
        """Warn once when the frames are not evenly spaced: beyond one unit of rounding and 5 %."""
        last, self._last_pts = self._last_pts, pts
        if last is None or not self._even:
            return
        deviation = abs((pts - last) * self._time_base - self._interval)
        if deviation > max(self._time_base, self._interval / 20):
            self._even = False
            self._warn(
                f"{self._name}: y4m holds one frame rate; the varying frame times are lost (.mkv and .mp4 keep them)"
            )
