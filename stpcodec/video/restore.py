"""Putting a sidecar's tracks back beside the decoded video: which fit, in step with it, cut to its part::

source time   ────────┬───────────────┬────────
frames                [ start .. end )           the part that is written
sound         ....|pkt|pkt|pkt|pkt|pkt|pkt|..    packets that begin inside, moved with the frames
subtitles     ...[  shown  ]....                 clipped to the part
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from stpcodec.errors import InputError
from stpcodec.video.frames import Warn
from stpcodec.video.pyav import fraction
from stpcodec.video.source import is_cover, open_input, seconds
from stpcodec.video.tags import track_tags
from stpcodec.video.tracks import (
    Track,
    add_converted_text,
    add_copy,
    add_cover_attachment,
    can_convert_text,
    can_hold,
    comes_from_header,
    cover_bytes,
    is_timed,
    title,
)

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists for type checkers only


class SidecarTracks:
    """The tracks of a sidecar file (None: no sidecar), added to an output that has no header yet."""

    def __init__(self, path: Path | None, output: OutputContainer, format_name: str, *, name: str, warn: Warn) -> None:
        self._output = output
        self._tracks: dict[int, Track] = {}
        self.has_cover = False
        self._container: InputContainer | None = open_input(path) if path is not None else None
        self._waiting: Packet | None = None
        self._packets: Iterator[Packet] = iter(())
        if self._container is None or path is None:
            return
        try:
            for stream in self._container.streams:
                if not comes_from_header(stream):
                    self._add(path, stream, format_name, name, warn)
        except BaseException:
            self.close()
            raise

    def start_times(self) -> list[Fraction]:
        """When each track starts, in seconds of the source."""
        return [
            seconds(stream.start_time, stream.time_base)
            for stream in self._streams()
            if stream.start_time is not None and not is_cover(stream)
        ]

    def begin(self, shift: Fraction, *, trim_start: bool, end: Fraction | None) -> None:
        """Settle by how many seconds everything moves and which part is wanted. Before the first packet."""
        chapters = self.choose(shift, trim_start=trim_start, end=end)
        if self._container is not None:
            self._output.set_chapters(chapters)

    def choose(self, shift: Fraction, *, trim_start: bool, end: Fraction | None) -> list[Chapter]:
        """As `begin`, but returns the chapters of the part instead of giving them to the output."""
        self._shift, self._start, self._end = shift, shift if trim_start else None, end
        if self._container is None:
            return []
        wanted = self._streams()
        self._packets = self._container.demux(wanted) if wanted else iter(())
        chapters = [_moved(c, shift, self._start, end) for c in self._container.chapters()]
        return [c for c in chapters if c is not None]

    def continued_by(self, path: Path) -> SidecarTracks:
        """The timed tracks of another sidecar on the same tracks of the output, in their order."""
        later = SidecarTracks(None, self._output, "", name="", warn=lambda _: None)
        later._container = open_input(path)
        ours = [track for index, track in self._tracks.items() if is_timed(self._stream(index))]
        theirs = [stream.index for stream in later._container.streams if is_timed(stream)]
        later._tracks = dict(zip(theirs, ours, strict=True))
        return later

    def packets(self, until: Fraction | None) -> Iterator[Packet]:
        """The packets up to `until` seconds of the output's time; None: all that are left."""
        while True:
            packet = self._waiting or self._next()
            self._waiting = None
            if packet is None:
                return
            if until is not None and _time(packet) > until:
                self._waiting = packet
                return
            yield packet

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None

    def _add(self, path: Path, stream: Stream, format_name: str, name: str, warn: Warn) -> None:
        tags, refused = track_tags(stream.metadata, format_name)
        if can_hold(format_name, stream):
            if is_cover(stream) and format_name == "matroska":
                with open_input(path) as again:
                    add_cover_attachment(self._output, stream, cover_bytes(again, stream))
                return
            self.has_cover |= is_cover(stream)
            self._tracks[stream.index] = add_copy(self._output, stream, tags)
        elif can_convert_text(format_name, stream):
            self._tracks[stream.index] = add_converted_text(self._output, stream, format_name, name=name, warn=warn)
        else:
            warn(f"{name}: {format_name} cannot hold {title(stream)} of the source: not written")
            return
        if refused and stream.type != "attachment" and not is_cover(stream):
            warn(f"{name}: {format_name} cannot hold the tags {', '.join(refused)} of {title(stream)}")

    def _streams(self) -> list[Stream]:
        return [] if self._container is None else [self._stream(index) for index in self._tracks]

    def _stream(self, index: int) -> Stream:
        assert self._container is not None  # no tracks without one
        return self._container.streams[index]

    def _next(self) -> Packet | None:
        """The next packet of the part, with the output's times."""
        try:
            for packet in self._packets:
                if packet.size and self._wanted(packet):
                    placed = self._tracks[packet.stream_index].place(packet, self._shift)
                    if placed is not None:
                        return placed
        except av.FFmpegError as error:
            raise InputError(f"the sidecar cannot be read: {error.strerror}; its file is damaged") from error
        return None

    def _wanted(self, packet: Packet) -> bool:
        """Whether the packet belongs to the part; shortens subtitles to it. Covers always belong."""
        if packet.pts is None:
            return True
        base = fraction(packet.time_base) or Fraction(1)
        begins = packet.pts * base
        if self._end is not None and begins >= self._end:
            return False
        ends = begins + (packet.duration or 0) * base
        if self._end is not None and ends > self._end and packet.stream.type == "subtitle":
            packet.duration = round((self._end - begins) / base)
        if self._start is None or begins >= self._start:
            return self._can_start_with(packet)
        if packet.stream.type != "subtitle" or ends <= self._start:
            return False
        packet.pts = packet.dts = round(self._start / base)
        packet.duration = round((min(ends, self._end or ends) - self._start) / base)
        return True

    def _can_start_with(self, packet: Packet) -> bool:
        """A second video track that is cut can only begin at a key frame."""
        first = self._tracks[packet.stream_index].last_dts is None
        cut = self._start is not None and packet.stream.type == "video"
        return bool(packet.is_keyframe) or not (first and cut)


def _time(packet: Packet) -> Fraction:
    count = packet.dts if packet.dts is not None else packet.pts
    return seconds(count or 0, packet.time_base)


def _moved(chapter: Chapter, shift: Fraction, start: Fraction | None, end: Fraction | None) -> Chapter | None:
    """A chapter in the output's time, clipped to the part; None if nothing of it is in the part."""
    base = fraction(chapter["time_base"]) or Fraction(1, av.time_base)
    first, last = chapter["start"] * base, chapter["end"] * base
    first = first if start is None else max(first, start)
    last = last if end is None else min(last, end)
    if last <= first and (start is not None or end is not None):
        return None
    moved = chapter.copy()
    moved["start"], moved["end"] = round((first - shift) / base), round((last - shift) / base)
    return moved
