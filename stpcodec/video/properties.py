"""What a decoded stream says about itself: geometry, colour, orientation, tags."""

from __future__ import annotations

import io
import re
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stpcodec.video.frames import COLOR_UNSPECIFIED, DISPLAY_MATRIX, FIELD_ORDER, VideoInfo
from stpcodec.video.pixels import Conversion
from stpcodec.video.pyav import fraction, open_for_writing
from stpcodec.video.source import seconds

# Containers whose header says how long the video is. Others estimate it from what is there, so a comparison
# with what is there would say nothing.
_DECLARES_DURATION = {"mov", "mp4", "matroska", "webm", "avi", "flv", "asf", "mxf"}
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_PROGRESSIVE_FIELD_ORDERS = (0, 1)  # AV_FIELD_UNKNOWN, AV_FIELD_PROGRESSIVE

_NOT_CARRIED = {
    SideDataType.MASTERING_DISPLAY_METADATA: "HDR mastering display",
    SideDataType.CONTENT_LIGHT_LEVEL: "HDR light level",
    SideDataType.DYNAMIC_HDR_PLUS: "HDR10+",
    SideDataType.DYNAMIC_HDR_VIVID: "HDR Vivid",
    SideDataType.DOVI_RPU_BUFFER: "Dolby Vision",
    SideDataType.DOVI_METADATA: "Dolby Vision",
    SideDataType.A53_CC: "closed captions inside the video",
    SideDataType.STEREO3D: "stereo 3D layout",
    SideDataType.SPHERICAL: "spherical projection",
    SideDataType.ICC_PROFILE: "ICC profile",
}


def describe(
    path: str, container: InputContainer, stream: VideoStream, first: VideoFrame, conversion: Conversion
) -> VideoInfo:
    """Everything decode needs to give the same video back, from the stream and its first picture."""
    codec = stream.codec_context
    rotation, carried = _orientation(first)
    order = int(codec.field_order)
    interlaced = bool(first.interlaced_frame) or order not in _PROGRESSIVE_FIELD_ORDERS
    if interlaced and order not in _PROGRESSIVE_FIELD_ORDERS:
        carried[FIELD_ORDER] = str(order)
    duration = declared_end(container, stream) or _loose_duration(container, stream)
    rate = fraction(stream.average_rate) or fraction(stream.guessed_rate)
    frames = stream.frames or (round(duration * rate) if duration and rate else 0)
    time_base = fraction(first.time_base) or fraction(stream.time_base)
    assert time_base is not None  # a stream that delivered a frame has one
    return VideoInfo(
        path=path,
        width=first.width,
        height=first.height,
        bit_depth=conversion.bit_depth,
        time_base=time_base,
        average_rate=rate,
        source_pixel_format=first.format.name,
        color_range=conversion.color_range,
        color_primaries=_either(first.color_primaries, codec.color_primaries),
        color_transfer=_either(first.color_trc, codec.color_trc),
        color_space=conversion.color_space,
        chroma_location=_chroma_location(container, stream, first),
        sample_aspect_ratio=fraction(stream.sample_aspect_ratio),
        rotation=rotation,
        interlaced=interlaced,
        duration_seconds=float(duration) if duration else None,
        frame_count_estimate=frames or None,
        metadata=_readable(container.metadata),
        stream_metadata=_readable(stream.metadata) | carried,
    )


def not_carried(first: VideoFrame) -> list[str]:
    """Names of what the first picture carries beside its samples and the codec cannot keep."""
    kinds = [kind for kind in _NOT_CARRIED if kind in first.side_data]
    return list(dict.fromkeys(_NOT_CARRIED[kind] for kind in kinds))


def declared_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """The time in seconds at which the container's header says the video ends; None where it does not."""
    if not _DECLARES_DURATION & set(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base:
        return seconds((stream.start_time or 0) + stream.duration, stream.time_base)
    for key in ("DURATION", "DURATION-eng"):  # written by FFmpeg and mkvmerge for each Matroska track
        if match := _CLOCK.match(stream.metadata.get(key, "")):
            hours, minutes, rest = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(rest)
    if len(container.streams) == 1 and container.duration:
        return Fraction(container.duration, av.time_base)
    return None


def _loose_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return seconds(stream.duration, stream.time_base)
    return Fraction(container.duration, av.time_base) if container.duration else None


def _either(value: int, fallback: int) -> int:
    return int(fallback) if int(value) == COLOR_UNSPECIFIED else int(value)


def _readable(tags: dict[str, str]) -> dict[str, str]:
    """Tags as valid Unicode: the bytes of tags in other encodings become replacement characters."""
    return {text(key): text(value) for key, value in tags.items()}


def text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _orientation(first: VideoFrame) -> tuple[int, dict[str, str]]:
    """Rotation in counter-clockwise degrees, plus the whole matrix where a rotation does not say it all."""
    if SideDataType.DISPLAYMATRIX not in first.side_data:
        return 0, {}
    rotation = int(first.rotation)
    matrix = np.frombuffer(bytes(first.side_data[SideDataType.DISPLAYMATRIX]), np.int32, 9)  # type: ignore
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    mirrored = a * d - b * c < 0
    moved = bool(matrix[6] or matrix[7])
    if mirrored or moved or rotation % 90:
        return rotation, {DISPLAY_MATRIX: " ".join(str(int(n)) for n in matrix)}
    return rotation, {}


def _chroma_location(container: InputContainer, stream: VideoStream, first: VideoFrame) -> int:
    """FFmpeg's AVChromaLocation. PyAV 18 does not show it, but muxers write it into headers we can read."""
    if hasattr(first, "chroma_location"):  # from PyAV 19
        return int(first.chroma_location)
    if container.format.name == "yuv4mpegpipe":
        header = _header(stream, "yuv4mpegpipe")
        for name, location in ((b"C420mpeg2", 1), (b"C420paldv", 3), (b"C420jpeg", 2)):
            if name in header:
                return location
        return 0
    header = _header(stream, "matroska")
    # EBML elements ChromaSitingHorz 55B7 and ChromaSitingVert 55B8, one byte each: 1 = collocated, 2 = half.
    horizontal, vertical = header.find(b"\x55\xb7\x81"), header.find(b"\x55\xb8\x81")
    if min(horizontal, vertical) < 0:
        return 0
    siting = (header[horizontal + 3], header[vertical + 3])
    return {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}.get(siting, 0)


def _header(stream: VideoStream, format_name: str) -> bytes:
    target = io.BytesIO()
    try:
        with open_for_writing(target, format_name) as container:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
    except (av.FFmpegError, ValueError):
        pass  # this muxer cannot hold the codec: the location stays unspecified
    return target.getvalue()
