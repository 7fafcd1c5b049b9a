"""The sidecar: everything of a file that is not the coded video, kept bit-exact in a container of its own.

Its format follows the source, because no single one holds everything: MP4 keeps the exact times and the
subtitles of MP4 and of most others, Matroska keeps attachments and tracks with free tags. A file with
chapters and nothing else becomes an FFmpeg metadata file. Readers recognise which one it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from stpcodec.errors import InputError, OutputError
from stpcodec.video.frames import Warn, log_warning
from stpcodec.video.pyav import open_for_writing
from stpcodec.video.source import STDIN, is_cover, open_input, pick_video_stream
from stpcodec.video.tags import track_tags
from stpcodec.video.tracks import (
    Track,
    add_copy,
    add_cover_attachment,
    can_hold,
    comes_from_header,
    cover_bytes,
    title,
)

_LARGEST_TIMESCALE = 2**31 - 1
# Without this, muxers move all tracks so that none starts before zero, and sound would not fit the video.
KEEP_TIMES = {"avoid_negative_ts": "disabled"}


def extract_sidecar(source: str | Path, target: Path, *, warn: Warn = log_warning) -> bool:
    """Write the other streams, chapters and attachments of `source` to `target`; False if there are none.

    Packets, times, languages, titles and dispositions stay as they are. A stream that no container can hold
    is named in one `warn` line. Raises InputError (cannot be read) and OutputError (cannot be written).
    """
    if str(source) == STDIN:
        return False  # a pipe cannot be read a second time; the reader has said so
    with open_input(source) as container:
        video = pick_video_stream(container, source)
        streams = [s for s in container.streams if s.index != video.index and not comes_from_header(s)]
        chapters = container.chapters()
        format_name, held = choose_format(container, streams)
        for stream in streams:
            if stream not in held:
                warn(f"{source}: {title(stream)} cannot be kept: no container that we write holds it")
        if not held and not chapters:
            return False
        try:
            with open(target, "wb") as file:
                _remux(source, container, held, file, format_name if held else "ffmetadata")
        except OSError as error:
            raise OutputError(
                f"{target}: cannot be written: {error.strerror or error}; free space or choose another folder"
            ) from error
    return True


def is_readable(path: Path) -> bool:
    """Whether a sidecar that was damaged can still be demuxed to its end; its packets may be damaged all the same."""
    try:
        with open_input(path) as container:
            for _ in container.demux(*container.streams) if container.streams else ():
                pass
    except (InputError, av.FFmpegError):
        return False
    return True


def movie_timescale(format_name: str, streams: Iterable[Stream]) -> dict[str, str]:
    """MP4 holds the delay of a track in units of its movie timescale, by default a coarse 1/1000 s."""
    if format_name not in ("mp4", "mov"):
        return {}
    scale = math.lcm(1000, *(s.time_base.denominator for s in streams if s.time_base))
    return {"movie_timescale": str(min(scale, _LARGEST_TIMESCALE))}


def sidecar_options(format_name: str, streams: Iterable[Stream]) -> dict[str, str]:
    """How a sidecar is muxed: times as they are, and no random track numbers and no date, so that the same streams
    always give the same bytes."""
    return KEEP_TIMES | movie_timescale(format_name, streams) | {"fflags": "+bitexact"}


def choose_format(container: InputContainer, streams: list[Stream]) -> tuple[str, list[Stream]]:
    """The container format that keeps the most of `streams`, and those it keeps."""
    matroska_first = "matroska" in container.format.name or any(track_tags(s.metadata, "mp4")[1] for s in streams)
    order = ("matroska", "mp4", "mov") if matroska_first else ("mp4", "matroska", "mov")
    held = {name: [s for s in streams if can_hold(name, s)] for name in order}
    best = max(order, key=lambda name: len(held[name]))  # the first of equals
    return best, held[best]


def _remux(
    source: str | Path, container: InputContainer, streams: list[Stream], file: object, format_name: str
) -> None:
    tracks: dict[int, Track] = {}
    with open_for_writing(file, format_name, sidecar_options(format_name, streams)) as output:
        for stream in streams:
            if is_cover(stream) and format_name == "matroska":
                with open_input(source) as again:
                    add_cover_attachment(output, stream, cover_bytes(again, stream))
                continue
            tags = dict(stream.metadata)
            if "name" in tags:  # how MP4 reads back what is written as the title
                tags.setdefault("title", tags["name"])
            tracks[stream.index] = add_copy(output, stream, tags)
        output.set_chapters(container.chapters())
        output.start_encoding()
        wanted = [container.streams[index] for index in tracks]
        try:
            for packet in container.demux(wanted) if wanted else ():
                placed = tracks[packet.stream_index].place(packet, Fraction(0)) if packet.size else None
                if placed is not None:
                    output.mux(placed)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise InputError(f"{source}: sound or subtitles cannot be copied: {error.strerror}") from error
