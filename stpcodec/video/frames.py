"""What passes between a video file and the codec: one description of the stream, and frames as planes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]
Seconds = float | Fraction
Warn = Callable[[str], None]

# Facts of the source that have no field of their own in VideoInfo travel in `stream_metadata` under this
# prefix, survive in the .stp header with it, and are taken out again by the writer.
CARRIED = "stpcodec_"
DISPLAY_MATRIX = CARRIED + "display_matrix"  # nine integers, when a rotation alone does not say it (mirrored)
FIELD_ORDER = CARRIED + "field_order"  # FFmpeg's AVFieldOrder of an interlaced source

RANGE_UNSPECIFIED, RANGE_LIMITED, RANGE_FULL = 0, 1, 2
COLOR_UNSPECIFIED = 2  # the same number in FFmpeg's primaries, transfer and matrix enumerations


class ByteSink(Protocol):
    """What a video can be written to: a binary file, a pipe, or something that passes bytes on."""

    def write(self, data: memoryview, /) -> int: ...
    def flush(self) -> None: ...
    def seekable(self) -> bool: ...


def log_warning(message: str) -> None:
    """The default `warn`: the logger ``stpcodec``, which prints to standard error unless configured."""
    logging.getLogger("stpcodec").warning("%s", message)


@dataclass(frozen=True)
class VideoInfo:
    """The video stream of a file. Colour fields are FFmpeg's enumeration numbers (ITU-T H.273).

    `width` and `height` are pixels before rotation. `rotation` is counter-clockwise degrees. `time_base` is
    the exact length in seconds of one unit of `Frame.pts`. None and 0 mean "the file does not say".
    """

    path: str
    width: int
    height: int
    bit_depth: int
    time_base: Fraction
    average_rate: Fraction | None = None
    source_pixel_format: str = "yuv420p"
    color_range: int = RANGE_UNSPECIFIED
    color_primaries: int = COLOR_UNSPECIFIED
    color_transfer: int = COLOR_UNSPECIFIED
    color_space: int = COLOR_UNSPECIFIED
    chroma_location: int = 0
    sample_aspect_ratio: Fraction | None = None
    rotation: int = 0
    interlaced: bool = False
    duration_seconds: float | None = None
    frame_count_estimate: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    stream_metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Frame:
    """One 4:2:0 picture. y: [H, W], u and v: [ceil(H/2), ceil(W/2)], uint8 (8 bits) or uint16 (10 bits).

    `pts` and `duration` count in the stream's `time_base`. A read frame lasts until the next one, the last
    as long as the file says; 0 means unknown.
    """

    y: Plane
    u: Plane
    v: Plane
    pts: int
    duration: int = 0

    @property
    def size_bytes(self) -> int:
        return self.y.nbytes + self.u.nbytes + self.v.nbytes
