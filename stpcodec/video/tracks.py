"""Copying tracks between containers: what a container can hold, and each packet as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import CodecContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from stpcodec.video.frames import Warn
from stpcodec.video.pyav import fraction, open_for_writing
from stpcodec.video.source import is_cover
from stpcodec.video.tags import track_tags

_COVER_IN_MP4 = {"mjpeg", "png", "bmp"}
_COVER_FILE = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
_TEXT_ENCODER = {"matroska": "subrip", "mp4": "mov_text", "mov": "mov_text"}
# What FFmpeg's mov muxer puts between two subtitles; it makes new ones when it writes.
_MOV_TEXT_GAP = b"\0\0"

Adapt = Callable[[Packet], Packet | None]


def codec_name(stream: Stream) -> str:
    codec = _codec(stream)
    return codec.name if codec is not None else stream.name or "unknown"


def title(stream: Stream) -> str:
    """How a warning names a track: number, kind, codec, language."""
    language = stream.metadata.get("language", "und")
    spoken = "" if language == "und" else f", {language}"
    return f"track {stream.index} ({stream.type} {codec_name(stream)}{spoken})"


def _codec(stream: Stream) -> CodecContext | None:
    """None for attachments, data, and codecs the wheel has no decoder for, whatever the stubs say."""
    return getattr(stream, "codec_context", None)


def comes_from_header(stream: Stream) -> bool:
    """Tracks that muxers make anew from chapters and from the timecode tag: not streams of their own."""
    if stream.type != "data":
        return False
    return int(stream.discard) == int(Discard.all) or "timecode" in stream.metadata


def is_timed(stream: Stream) -> bool:
    """A track of packets with times: no attachment, no cover, nothing that muxers make by themselves."""
    return stream.type != "attachment" and not is_cover(stream) and not comes_from_header(stream)


def can_hold(format_name: str, stream: Stream) -> bool:
    """Whether a container of this format can take `stream` as it is: found by writing a header to memory."""
    if is_cover(stream):
        if format_name == "matroska":
            return codec_name(stream) in _COVER_FILE
        return format_name == "mp4" and codec_name(stream) in _COVER_IN_MP4
    try:
        with open_for_writing(io.BytesIO(), format_name) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def can_convert_text(format_name: str, stream: Stream) -> bool:
    """Whether text subtitles can be rewritten in the target's own form, keeping words and times."""
    codec = _codec(stream)
    if stream.type != "subtitle" or codec is None or format_name not in _TEXT_ENCODER:
        return False
    return bool(codec.codec.text_sub)


@dataclass
class Track:
    """A track of the output and the way packets of the source take there."""

    output: Stream
    adapt: Adapt
    timeless: bool = False  # a cover picture: at zero, wherever the rest moves
    last_dts: int | None = None

    def place(self, packet: Packet, shift: Fraction) -> Packet | None:
        """`packet` for the output, `shift` seconds earlier, with increasing dts. None: nothing to write."""
        adapted = self.adapt(packet)
        if adapted is None:
            return None
        adapted.stream = self.output
        if self.timeless:
            return adapted
        ticks = round(shift / (fraction(adapted.time_base) or 1))
        if adapted.pts is not None:
            adapted.pts -= ticks
        if adapted.dts is not None:
            adapted.dts -= ticks
            # Coarse clocks (Matroska's milliseconds) give two short packets one time; MP4 refuses that.
            if self.last_dts is not None and adapted.dts <= self.last_dts:
                adapted.dts = self.last_dts + 1
                adapted.pts = max(adapted.dts, adapted.pts or 0)
            self.last_dts = adapted.dts
        return adapted


def add_copy(target: OutputContainer, stream: Stream, tags: dict[str, str]) -> Track:
    """A track that takes the packets of `stream` unchanged."""
    output = target.add_stream_from_template(stream, opaque=True)
    output.metadata.clear()
    output.metadata.update(tags)
    output.disposition = stream.disposition
    if is_cover(stream):
        return Track(output, _cover_packet, timeless=True)
    return Track(output, _drop_gaps if codec_name(stream) == "mov_text" else _as_it_is)


def add_cover_attachment(target: OutputContainer, stream: Stream, picture: bytes) -> None:
    """Matroska keeps cover art as an attached file, written with the header."""
    name, mimetype = _COVER_FILE[codec_name(stream)]
    target.add_attachment(stream.metadata.get("filename", name), stream.metadata.get("mimetype", mimetype), picture)


def add_converted_text(target: OutputContainer, stream: Stream, format_name: str, *, name: str, warn: Warn) -> Track:
    """A text subtitle track in the target's own form."""
    output = target.add_stream(_TEXT_ENCODER[format_name])
    decoder, encoder = stream.codec_context, output.codec_context
    assert isinstance(decoder, SubtitleCodecContext)
    assert isinstance(encoder, SubtitleCodecContext)
    decoder.open(strict=False)
    encoder.subtitle_header = decoder.subtitle_header
    encoder.time_base = output.time_base = Fraction(1, 1000)
    output.metadata.update(track_tags(stream.metadata, format_name)[0])
    output.disposition = stream.disposition
    warn(f"{name}: {title(stream)} is rewritten as {_TEXT_ENCODER[format_name]}: same words and times")

    def convert(packet: Packet) -> Packet | None:
        if bytes(packet) == _MOV_TEXT_GAP:
            return None
        subtitles = decoder.decode2(packet)
        if subtitles is None or not len(subtitles):
            return None
        text = encoder.encode_subtitle(subtitles)
        text.time_base = packet.time_base
        text.pts = text.dts = packet.pts
        text.duration = packet.duration
        return text

    return Track(output, convert)


def cover_bytes(container: InputContainer, stream: Stream) -> bytes:
    """The picture of a cover stream, from a container opened for this alone."""
    for packet in container.demux(container.streams[stream.index]):
        if packet.size:
            return bytes(packet)
    return b""


def _as_it_is(packet: Packet) -> Packet:
    return packet


def _drop_gaps(packet: Packet) -> Packet | None:
    return None if packet.size == 2 and bytes(packet) == _MOV_TEXT_GAP else packet


def _cover_packet(packet: Packet) -> Packet:
    packet.pts = packet.dts = 0
    packet.is_keyframe = True
    return packet
