"""Other codecs on the very same frames: libx264, libx265 and SVT-AV1 through PyAV.

Presets are what people use (`medium`, SVT-AV1's 6), everything else stays at its default: GOP, B-frames,
psycho-visual tuning. Rate is the bytes of the coded video packets, without any container. x264 and x265 also
put a text about themselves into the first packet (675 and 2,329 bytes: up to half of a short clip at a low
rate). It holds no picture, so it is counted apart and not charged to them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from stpcodec.errors import UsageError
from stpcodec.evaluation.metrics import Psnr, PsnrMeter
from stpcodec.video.frames import Frame, VideoInfo
from stpcodec.video.pixels import TARGET_BY_DEPTH, PlaneReader, picture_from_planes

DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Anchor:
    """A codec with its settings. `crf`: the values that make its curve, from good to small."""

    name: str
    encoder: str
    decoder: str
    options: tuple[tuple[str, str], ...]
    crf: tuple[int, ...]


# One thread each: frame threads change what an encoder writes, and a figure must not depend on the machine.
ANCHORS = {
    anchor.name: anchor
    for anchor in (
        Anchor("x264", "libx264", "h264", (("preset", "medium"),), (18, 23, 28, 33, 38, 43)),
        Anchor(
            "x265",
            "libx265",
            "hevc",
            (("preset", "medium"), ("x265-params", "log-level=none:pools=1:frame-threads=1")),
            (18, 23, 28, 33, 38, 43),
        ),
        Anchor(
            "svtav1",
            "libsvtav1",
            "libdav1d",
            (("preset", "6"), ("svtav1-params", "lp=1")),
            (22, 30, 38, 46, 54, 62),
        ),
    )
}


@dataclass(frozen=True)
class AnchorPoint:
    """One encode. payload_bytes: the rate; message_bytes: on top of it, the encoder's text about itself."""

    payload_bytes: int
    message_bytes: int
    psnr: Psnr
    encode_seconds: float
    decode_seconds: float


def find_anchor(name: str) -> Anchor:
    """Raises UsageError when there is no anchor of this name."""
    if name not in ANCHORS:
        raise UsageError(f"anchor {name!r}: there are {', '.join(ANCHORS)}")
    return ANCHORS[name]


def measure_anchor(anchor: Anchor, info: VideoInfo, frames: Iterable[Frame], *, crf: int) -> AnchorPoint:
    """Encode, decode at once and measure, holding only the frames that are still inside the encoder.

    Frames are numbered one by one at the clip's mean rate; odd sizes are padded by one repeated row or
    column, which is cropped again before measuring.

    Raises UsageError when the encoder cannot take the clip.
    """
    encoder, decoder = _encoder(anchor, info, crf), _decoder(anchor)
    meter = PsnrMeter(info.bit_depth)
    waiting: deque[Frame] = deque()
    total = messages = 0
    seconds = {"encode": 0.0, "decode": 0.0}
    packets = _packets(encoder, info, frames, waiting, seconds)
    planes: PlaneReader | None = None
    for packet in _and_flush(packets):
        if packet is not None:
            total += packet.size
            messages += message_bytes(bytes(packet), anchor.decoder)
        started = time.perf_counter()
        pictures = decoder.decode(packet)
        seconds["decode"] += time.perf_counter() - started
        for picture in pictures:
            planes = planes or PlaneReader(picture)
            y, u, v = planes.planes(picture)
            reference = waiting.popleft()
            (height, width), (small_height, small_width) = reference.y.shape, reference.u.shape
            meter.add(
                reference,
                Frame(
                    y[:height, :width],
                    u[:small_height, :small_width],
                    v[:small_height, :small_width],
                    pts=reference.pts,
                ),
            )
    if waiting:
        raise UsageError(f"{anchor.name} crf {crf}: {len(waiting)} frames never came out of the decoder")
    return AnchorPoint(total - messages, messages, meter.result(), seconds["encode"], seconds["decode"])


def message_bytes(packet: bytes, codec: str) -> int:
    """Bytes of user-data SEI units (H.264 and HEVC, Annex B) in a packet: the encoder about itself."""
    if codec not in ("h264", "hevc"):
        return 0
    found = 0
    starts = _unit_starts(packet)
    for begin, end in zip(starts, [*starts[1:], len(packet) + 3], strict=True):
        unit = packet[begin : end - 3]
        if codec == "h264":
            is_message = len(unit) > 2 and unit[0] & 0x1F == 6 and unit[1] == 5
        else:
            is_message = len(unit) > 3 and unit[0] >> 1 & 0x3F == 39 and unit[2] == 5
        if is_message:
            found += len(unit) + 3
    return found


def _unit_starts(packet: bytes) -> list[int]:
    """Offsets behind every 00 00 01."""
    starts, at = [], packet.find(b"\0\0\1")
    while at >= 0:
        starts.append(at + 3)
        at = packet.find(b"\0\0\1", at + 3)
    return starts


def _encoder(anchor: Anchor, info: VideoInfo, crf: int) -> VideoCodecContext:
    if anchor.encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; there is no option for it
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(anchor.encoder, "w"))
    except ValueError:
        raise UsageError(f"anchor {anchor.name}: this PyAV has no {anchor.encoder}") from None
    rate = info.average_rate or DEFAULT_RATE
    context.width, context.height = info.width + info.width % 2, info.height + info.height % 2
    context.pix_fmt = TARGET_BY_DEPTH[info.bit_depth]
    context.time_base, context.framerate = 1 / rate, rate
    context.thread_count = 1
    context.color_range, context.colorspace = info.color_range, info.color_space
    context.color_primaries, context.color_trc = info.color_primaries, info.color_transfer
    context.options = {**dict(anchor.options), "crf": str(crf)}
    return context


def _decoder(anchor: Anchor) -> VideoCodecContext:
    context = cast(VideoCodecContext, av.CodecContext.create(anchor.decoder, "r"))
    context.thread_count = 1
    return context


def _packets(
    encoder: VideoCodecContext,
    info: VideoInfo,
    frames: Iterable[Frame],
    waiting: deque[Frame],
    seconds: dict[str, float],
) -> Iterator[Packet]:
    """Coded packets; every frame that went in is added to `waiting`."""
    pixel_format = TARGET_BY_DEPTH[info.bit_depth]
    for number, frame in enumerate(frames):
        waiting.append(frame)
        picture = picture_from_planes(*_even(frame), pixel_format)
        picture.pts, picture.time_base = number, encoder.time_base
        started = time.perf_counter()
        try:
            packets = encoder.encode(picture)
        except av.FFmpegError as error:
            raise UsageError(
                f"{encoder.name} cannot encode {info.width}x{info.height} {pixel_format}: {error.strerror}"
            ) from error
        seconds["encode"] += time.perf_counter() - started
        yield from packets
    started = time.perf_counter()
    packets = encoder.encode(None)
    seconds["encode"] += time.perf_counter() - started
    yield from packets


def _and_flush(packets: Iterator[Packet]) -> Iterator[Packet | None]:
    yield from packets
    yield None


def _even(frame: Frame) -> tuple[NDArray, NDArray, NDArray]:
    height, width = frame.y.shape
    y = (
        np.pad(frame.y, ((0, height % 2), (0, width % 2)), mode="edge")
        if height % 2 or width % 2
        else frame.y
    )
    return y, frame.u, frame.v
