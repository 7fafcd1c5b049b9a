"""A decoded frame as a small RGB picture as it is meant to be seen, and RGB pictures as PNG files."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from stpcodec.video.frames import COLOR_UNSPECIFIED, RANGE_FULL, Frame, VideoInfo
from stpcodec.video.pixels import MATRIX_BT709, MATRIX_RGB, TARGET_BY_DEPTH, picture_from_planes, range_for_scaler

_BT601 = 5
_HD_HEIGHT = 720  # untagged video from here on is BT.709, as players have it
# Without the last three swscale leaves the last columns of some widths unwritten.
_SCALER = int(
    Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


def small_picture(frame: Frame, info: VideoInfo, *, width: int) -> np.ndarray:
    """`frame` upright and with square pixels as RGB, uint8 [H, width, 3]; never enlarged."""
    rows, columns = frame.y.shape
    aspect = float(info.sample_aspect_ratio or 1) * columns / rows
    turns = round(info.rotation / 90) % 4
    shown_width = min(width, rows if turns % 2 else round(aspect * rows))
    across, down = max(1, shown_width), max(1, round(shown_width / aspect))
    if turns % 2:  # the width that was asked for is that of the turned picture
        across, down = max(1, round(shown_width * aspect)), max(1, shown_width)
    untagged = info.color_space in (MATRIX_RGB, COLOR_UNSPECIFIED)
    matrix = (MATRIX_BT709 if rows >= _HD_HEIGHT else _BT601) if untagged else info.color_space
    picture = picture_from_planes(frame.y, frame.u, frame.v, TARGET_BY_DEPTH[info.bit_depth])
    small = VideoReformatter().reformat(
        picture, width=across, height=down, format="rgb24", interpolation=_SCALER, threads=1,
        src_colorspace=matrix, src_color_range=range_for_scaler(info.color_range), dst_color_range=RANGE_FULL,
    )  # fmt: skip
    return np.rot90(small.to_ndarray(), turns)  # a display matrix counts counter-clockwise, as rot90 does


def png(picture: np.ndarray) -> bytes:
    """A PNG file of an RGB picture, uint8 [H, W, 3]."""
    height, width, _ = picture.shape
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
