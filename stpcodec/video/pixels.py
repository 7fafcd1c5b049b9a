"""Pixel formats: any decoded picture to 8 or 10-bit 4:2:0 planes, and planes to a picture for an encoder.

4:2:0 planes of 8 or 10 bits are copied, never computed. Everything else goes through swscale with source and
target range set equal, because swscale otherwise rescales luma for full-range and grey formats.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from stpcodec.errors import InputError
from stpcodec.video.frames import RANGE_FULL, RANGE_LIMITED, RANGE_UNSPECIFIED, Plane

TARGET_BY_DEPTH = {8: "yuv420p", 10: "yuv420p10le"}
MATRIX_RGB, MATRIX_BT709, MATRIX_BT2020 = 0, 1, 9
PRIMARIES_BT2020 = 9

_COPIED = {"yuv420p": 8, "yuvj420p": 8, "yuv420p10le": 10}
# On the direct way from these to 4:2:0 swscale 9 reads and leaves unwritten memory when a side is odd; the way
# over a planar format of the same sampling is sound.
_PLANAR_FIRST = {
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
}
_SUBSAMPLING = {
    (16, 16): "4:4:4",
    (8, 16): "4:2:2",
    (16, 8): "4:4:0",
    (8, 8): "4:2:0",
    (4, 16): "4:1:1",
    (4, 4): "4:1:0",
}
_SCALER = int(
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Conversion:
    """How pictures of one pixel format become planes, and what that loses (`lost`, "" = nothing)."""

    bit_depth: int
    copied: bool
    source_range: int
    target_range: int
    color_range: int
    color_space: int
    lost: str


def plan_conversion(picture: VideoFrame, bit_depth: int | None = None) -> Conversion:
    """Decide from the first picture of a stream. `bit_depth` forces 8 or 10; None follows the source.

    Raises InputError for the few pictures that cannot be converted.
    """
    name, tagged, matrix = picture.format.name, int(picture.color_range), int(picture.colorspace)
    if _COPIED.get(name) is not None and bit_depth in (None, _COPIED[name]):
        full = RANGE_FULL if name == "yuvj420p" else tagged
        return Conversion(_COPIED[name], True, full, full, full, matrix, "")
    if name.startswith("bayer") and (picture.width % 2 or picture.height % 2):
        raise InputError(  # swscale would end the whole process with a failed assertion
            f"a Bayer picture of odd size {picture.width}x{picture.height} cannot be read; develop it first"
        )
    bits = max(c.bits for c in picture.format.components if not c.is_alpha)
    depth = bit_depth or (8 if bits <= 8 else 10)
    alpha = any(c.is_alpha for c in picture.format.components)
    lost = ["transparency is dropped"] if alpha else []
    if bits > depth:
        lost.append(f"{bits}-bit samples are rounded to {depth} bits")
    if _is_grey(picture.format):
        lost.append("grey becomes 4:2:0 with neutral chroma, luma as it was")
        # swscale and players read grey without a tag as full range.
        return Conversion(depth, False, RANGE_FULL, RANGE_FULL, tagged or RANGE_FULL, matrix, "; ".join(lost))
    if _is_rgb(picture.format):
        wide = int(picture.color_primaries) == PRIMARIES_BT2020
        space, matrix_name = (MATRIX_BT2020, "BT.2020") if wide else (MATRIX_BT709, "BT.709")
        lost.insert(0, f"RGB becomes 4:2:0 {matrix_name} limited range, colour at half resolution")
        return Conversion(depth, False, RANGE_FULL, RANGE_LIMITED, RANGE_LIMITED, space, "; ".join(lost))
    grid = _SUBSAMPLING.get((picture.format.chroma_width(16), picture.format.chroma_height(16)), "its")
    if grid != "4:2:0":
        lost.insert(0, f"{grid} chroma is resampled to 4:2:0")
    both = RANGE_FULL if name.startswith("yuvj") else tagged or RANGE_LIMITED
    kept = both if name.startswith("yuvj") else tagged
    return Conversion(depth, False, both, both, kept, matrix, "; ".join(lost))


def _is_grey(pixel_format: VideoFormat) -> bool:
    return pixel_format.name.startswith(("gray", "ya8", "ya16", "yaf", "mono"))


def _is_rgb(pixel_format: VideoFormat) -> bool:
    return pixel_format.is_rgb or pixel_format.has_palette or pixel_format.name.startswith("xyz")


class PlaneReader:
    """Turns decoded pictures into planes; the target depth is settled by the first picture."""

    def __init__(self, first: VideoFrame) -> None:
        self.first = plan_conversion(first)
        self._plans = {first.format.name: self.first}
        self._scaler = VideoReformatter()

    def planes(self, picture: VideoFrame) -> tuple[Plane, Plane, Plane]:
        """y [H, W], u and v [ceil(H/2), ceil(W/2)], freshly allocated; uint8 or uint16."""
        plan = self._plans.get(picture.format.name)
        if plan is None:
            plan = plan_conversion(picture, self.first.bit_depth)
            self._plans[picture.format.name] = plan
        if not plan.copied:
            # Between YUV formats only the sampling changes: naming one matrix on both sides keeps swscale
            # from converting colours. From RGB it is the matrix to use.
            matrix = self.first.color_space if plan.target_range != plan.source_range else MATRIX_BT709
            if between := _PLANAR_FIRST.get(picture.format.name):
                picture = self._reformat(picture, between, matrix, plan)
            picture = self._reformat(picture, TARGET_BY_DEPTH[plan.bit_depth], matrix, plan)
        if plan.bit_depth == 8:
            y, u, v = (view_plane(plane, np.dtype(np.uint8)).copy() for plane in picture.planes[:3])
        else:
            # Words of raw video may be larger than 10 bits allow; the codec relies on the range.
            top = np.uint16(2**plan.bit_depth - 1)
            views = (view_plane(plane, np.dtype(np.uint16)) for plane in picture.planes[:3])
            y, u, v = (np.minimum(view, top) for view in views)
        return y, u, v

    def _reformat(self, picture: VideoFrame, target: str, matrix: int, plan: Conversion) -> VideoFrame:
        return self._scaler.reformat(
            picture,
            format=target,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=plan.source_range,
            dst_color_range=plan.target_range,
            interpolation=_SCALER,
            threads=1,
        )


def view_plane(plane: VideoPlane, dtype: np.dtype) -> Plane:
    """The visible samples of a plane, [H, W], without the padding at the end of each line. No copy."""
    samples = np.frombuffer(memoryview(plane), dtype, plane.height * plane.line_size // dtype.itemsize)
    return samples.reshape(plane.height, -1)[:, : plane.width]


def picture_from_planes(y: Plane, u: Plane, v: Plane, pixel_format: str) -> VideoFrame:
    """A picture of a planar 4:2:0 or 4:4:4 format. For 4:4:4 each chroma sample is repeated 2 by 2.

    Repeating loses nothing: every second sample of the result is the plane that came in.
    """
    height, width = y.shape
    picture = av.VideoFrame(width, height, pixel_format)
    if pixel_format.startswith("yuv444"):
        u, v = (p.repeat(2, axis=0).repeat(2, axis=1)[:height, :width] for p in (u, v))
    for plane, samples in zip(picture.planes, (y, u, v), strict=True):
        view_plane(plane, samples.dtype)[:] = samples
    return picture


def range_for_scaler(color_range: int) -> int:
    """A range to name on both sides of a conversion that must not change it."""
    return RANGE_LIMITED if color_range == RANGE_UNSPECIFIED else color_range
