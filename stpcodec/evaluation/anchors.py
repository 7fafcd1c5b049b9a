"""Other codecs on the very same frames: libx264, libx265 and SVT-AV1 through PyAV, VVenC through `vvenc`.

Presets are what people use (`medium`, SVT-AV1's 6, VVenC's `fast`), everything else stays at its default: GOP,
B-frames, psycho-visual tuning. Rate is the bytes of the coded video packets, without any container. x264 and x265 also
put a text about themselves into the first packet (675 and 2,329 bytes: up to half of a short clip at a low
rate). It holds no picture, so it is counted apart and not charged to them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from stpcodec.errors import UsageError
from stpcodec.evaluation import vvenc
from stpcodec.evaluation.ffmpeg import with_encoder
from stpcodec.evaluation.metrics import Psnr
from stpcodec.evaluation.quality import PSNR_ONLY, Instruments, Quality, QualityMeter
from stpcodec.evaluation.traces import Span
from stpcodec.evaluation.vvenc import even_planes
from stpcodec.video.frames import Frame, Plane, VideoInfo
from stpcodec.video.pixels import TARGET_BY_DEPTH, PlaneReader, picture_from_planes
from stpcodec.video.scheduling import usual_scheduling

DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Anchor:
    """A codec with its settings. `crf`: the values that make its curve, from good to small, of the option `knob`.

    threaded: options in place of those of the same name for several threads, whose number stands for `{threads}`.
    """

    name: str
    encoder: str
    decoder: str
    options: tuple[tuple[str, str], ...]
    crf: tuple[int, ...]
    knob: str = "crf"
    threaded: tuple[tuple[str, str], ...] = ()

    def options_for(self, threads: int) -> dict[str, str]:
        more = {name: value.format(threads=threads) for name, value in self.threaded} if threads > 1 else {}
        return dict(self.options) | more


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
            threaded=(("x265-params", "log-level=none:pools={threads}"),),
        ),
        Anchor(
            "svtav1",
            "libsvtav1",
            "libdav1d",
            (("preset", "6"), ("svtav1-params", "lp=1")),
            (22, 30, 38, 46, 54, 62),
            threaded=(("svtav1-params", "lp={threads}"),),
        ),
        Anchor("vvenc", "libvvenc", "vvc", (("preset", "fast"),), (22, 27, 32, 37, 42, 47), knob="qp"),
    )
}


@dataclass(frozen=True)
class AnchorPoint:
    """One encode. payload_bytes: the rate; message_bytes: on top of it, the encoder's text about itself.

    spans: (1, bytes) of every frame in order of display.
    """

    payload_bytes: int
    message_bytes: int
    quality: Quality
    spans: tuple[Span, ...]
    encode_seconds: float
    decode_seconds: float

    @property
    def psnr(self) -> Psnr:
        return self.quality.psnr


def find_anchor(name: str) -> Anchor:
    """Raises UsageError when there is no anchor of this name."""
    if name not in ANCHORS:
        raise UsageError(f"anchor {name!r}: there are {', '.join(ANCHORS)}")
    return ANCHORS[name]


def anchor_version(anchor: Anchor) -> str:
    """Of the library that encodes. A cached point of another version is measured again.

    Raises NotAvailable: this installation cannot encode with it.
    """
    if anchor.encoder == vvenc.ENCODER:
        return f"ffmpeg {with_encoder(vvenc.ENCODER).version}"
    return f"PyAV {av.__version__}"


def measure_anchor(
    anchor: Anchor, info: VideoInfo, frames: Iterable[Frame], *, crf: int, instruments: Instruments = PSNR_ONLY
) -> AnchorPoint:
    """Encode, decode at once and measure, holding only the frames that are still inside the encoder.

    Frames are numbered one by one at the clip's mean rate; odd sizes are padded by one repeated row or
    column, which is cropped again before measuring.

    Raises:
        UsageError: the encoder cannot take the clip.
        NotAvailable: this installation does not have the encoder.
    """
    waiting: deque[Frame] = deque()
    seconds = {"encode": 0.0, "decode": 0.0}
    with (
        closing(_coded(anchor, info, frames, crf, waiting, seconds)) as packets,
        QualityMeter(info, instruments) as meter,
    ):
        decoder, planes = _decoder(anchor), None
        sizes: dict[int, int] = {}
        order: list[int] = []
        messages = 0
        for packet in _and_flush(packets):
            if packet is not None:
                about_itself = message_bytes(bytes(packet), anchor.decoder)
                messages += about_itself
                sizes[packet.pts or 0] = packet.size - about_itself
            started = time.perf_counter()
            pictures = decoder.decode(packet)
            seconds["decode"] += time.perf_counter() - started
            for picture in pictures:
                planes = planes or PlaneReader(picture)
                reference = waiting.popleft()
                meter.add(reference, _like(reference, planes.planes(picture), info.bit_depth))
                order.append(picture.pts or 0)
        if waiting:
            raise UsageError(f"{anchor.name} {anchor.knob} {crf}: {len(waiting)} frames never came out of the decoder")
        quality = meter.result()
    spans = tuple((1, sizes.get(number, 0)) for number in order)
    return AnchorPoint(sum(sizes.values()), messages, quality, spans, seconds["encode"], seconds["decode"])


def _like(reference: Frame, planes: tuple[Plane, Plane, Plane], bit_depth: int) -> Frame:
    """Decoded planes without the padding, and with the clip's bit depth if the codec knows 10 bits only."""
    cropped: list[Plane] = []
    for samples, wanted in zip(planes, (reference.y, reference.u, reference.v), strict=True):
        samples = samples[: wanted.shape[0], : wanted.shape[1]]
        cropped.append(vvenc.eight_bits(samples) if bit_depth == 8 and samples.dtype == np.uint16 else samples)
    y, u, v = cropped
    return Frame(y, u, v, pts=reference.pts)


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
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(anchor.encoder, "w"))
    except ValueError:
        raise UsageError(f"anchor {anchor.name}: this PyAV has no {anchor.encoder}") from None
    configure(context, anchor, info, crf)
    return context


def configure(context: VideoCodecContext, anchor: Anchor, info: VideoInfo, crf: int, *, threads: int = 1) -> None:
    """Settings of an encoder of `anchor` for the clip, before it is opened."""
    if anchor.encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; there is no option for it
    rate = info.average_rate or DEFAULT_RATE
    context.width, context.height = info.width + info.width % 2, info.height + info.height % 2
    context.pix_fmt = TARGET_BY_DEPTH[info.bit_depth]
    context.time_base, context.framerate = 1 / rate, rate
    context.thread_count = threads
    context.color_range, context.colorspace = info.color_range, info.color_space
    context.color_primaries, context.color_trc = info.color_primaries, info.color_transfer
    context.options = {**anchor.options_for(threads), anchor.knob: str(crf)}


def _cannot(encoder: VideoCodecContext, info: VideoInfo, pixel_format: str, error: av.FFmpegError) -> UsageError:
    return UsageError(f"{encoder.name} cannot encode {info.width}x{info.height} {pixel_format}: {error.strerror}")


def _decoder(anchor: Anchor) -> VideoCodecContext:
    context = cast(VideoCodecContext, av.CodecContext.create(anchor.decoder, "r"))
    context.thread_count = 1
    return context


def _coded(
    anchor: Anchor,
    info: VideoInfo,
    frames: Iterable[Frame],
    crf: int,
    waiting: deque[Frame],
    seconds: dict[str, float],
) -> Generator[Packet, None, None]:
    """Coded packets; every frame that went in is added to `waiting`. pts: what the decoded picture will have."""
    if anchor.encoder == vvenc.ENCODER:
        options = [*anchor.options, (anchor.knob, str(crf))]
        rate = info.average_rate or DEFAULT_RATE
        yield from vvenc.packets(with_encoder(vvenc.ENCODER), info, rate, frames, options, waiting, seconds)
        return
    encoder = _encoder(anchor, info, crf)
    pixel_format = TARGET_BY_DEPTH[info.bit_depth]
    started = time.perf_counter()
    try:
        with usual_scheduling():
            encoder.open()
    except av.FFmpegError as error:
        raise _cannot(encoder, info, pixel_format, error) from error
    seconds["encode"] += time.perf_counter() - started
    for number, frame in enumerate(frames):
        waiting.append(frame)
        picture = picture_from_planes(*even_planes(frame), pixel_format)
        picture.pts, picture.time_base = number, encoder.time_base
        started = time.perf_counter()
        try:
            packets = encoder.encode(picture)
        except av.FFmpegError as error:
            raise _cannot(encoder, info, pixel_format, error) from error
        seconds["encode"] += time.perf_counter() - started
        yield from packets
    started = time.perf_counter()
    packets = encoder.encode(None)
    seconds["encode"] += time.perf_counter() - started
    yield from packets


def _and_flush(packets: Iterable[Packet]) -> Iterator[Packet | None]:
    yield from packets
    yield None
