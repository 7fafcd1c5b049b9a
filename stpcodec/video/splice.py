"""Sidecars cut to a part of the video, and joined one behind the other, without coding anything anew::

    cut       |pkt|pkt|pkt|pkt|pkt|          packets that begin inside [start, end), moved to zero
                  [ start .. end )
    joined    |pkt|pkt|pkt| |pkt|pkt|        each part's packets that begin beside its own picture
              [  part 0   )[ part 1 )
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer, OutputContainer
from av.stream import Stream

from stpcodec.errors import OutputError, UsageError
from stpcodec.video.frames import Warn
from stpcodec.video.pyav import fraction, open_for_writing
from stpcodec.video.restore import SidecarTracks
from stpcodec.video.sidecar import choose_format, sidecar_options
from stpcodec.video.source import open_input
from stpcodec.video.tracks import codec_name, comes_from_header, is_timed, title

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists for type checkers only

# libavformat appends one with the file's own bit rates to the setup of a mov_text track, at every copy.
_BIT_RATE_BOX = b"\0\0\0\x14btrt"


@dataclass(frozen=True)
class SidecarPart:
    """The sidecar of one of several videos that are joined; times in seconds.

    path: None where it has none. Its picture is shown from `start` to before `end` in its own time, and from `at` on
    in the joined one.
    """

    path: Path | None
    start: Fraction
    end: Fraction
    at: Fraction
    name: str


def cut_sidecar(
    path: Path, target: Path, *, start: Fraction | None, end: Fraction | None, name: str, warn: Warn
) -> None:
    """Write what begins from `start` to before `end`, moved so that `start` is zero; None: from (to) where it is.

    Raises InputError (damaged) and OutputError (cannot be written).
    """
    with _output_like(path, target) as (output, format_name), closing(
        SidecarTracks(path, output, format_name, name=name, warn=warn)
    ) as tracks:  # fmt: skip
        tracks.begin(start or Fraction(0), trim_start=start is not None, end=end)
        output.start_encoding()
        _copy(tracks, output)


def join_sidecars(parts: Sequence[SidecarPart], target: Path, *, warn: Warn) -> bool:
    """Write the sidecars of several videos as one; False where none of them has any.

    Raises UsageError where their tracks are not of the same kinds, InputError and OutputError as `cut_sidecar`.
    """
    present = [part for part in parts if part.path is not None]
    if not present:
        return False
    first = present[0]
    assert first.path is not None
    for part in present[1:]:
        _check_alike(first, part, warn)
    for part in parts:
        if part.path is None:
            warn(f"{part.name}: has no sound or other streams; there is none beside its picture")
    with _output_like(first.path, target) as (output, format_name), closing(
        SidecarTracks(first.path, output, format_name, name=first.name, warn=warn)
    ) as tracks:  # fmt: skip
        later = [tracks.continued_by(part.path) for part in present[1:] if part.path is not None]
        sources = [tracks, *later]
        chapters: list[Chapter] = []
        try:
            for part, source in zip(present, sources, strict=True):
                end = None if part is parts[-1] else part.end
                chapters += source.choose(part.start - part.at, trim_start=part is not parts[0], end=end)
            output.set_chapters(_merged(chapters))
            output.start_encoding()
            for source in sources:
                _copy(source, output)
        finally:
            for source in later:
                source.close()
    return True


@contextmanager
def _output_like(path: Path, target: Path) -> Iterator[tuple[OutputContainer, str]]:
    """A container to write in the format of the sidecar at `path`, and that format's name."""
    with open_input(path) as container:
        streams = [stream for stream in container.streams if not comes_from_header(stream)]
        format_name = choose_format(container, streams)[0] if streams else "ffmetadata"
        options = sidecar_options(format_name, streams)
    try:
        with open(target, "wb") as file, open_for_writing(file, format_name, options) as output:
            yield output, format_name
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written: {error.strerror or error}; free space or choose another folder"
        ) from error


def _copy(tracks: SidecarTracks, output: OutputContainer) -> None:
    for packet in tracks.packets(None):
        output.mux(packet)


def _check_alike(first: SidecarPart, part: SidecarPart, warn: Warn) -> None:
    assert first.path is not None
    assert part.path is not None
    with open_input(first.path) as ours, open_input(part.path) as theirs:
        kinds = [[_kind(stream) for stream in side.streams if is_timed(stream)] for side in (ours, theirs)]
        if kinds[0] != kinds[1]:
            raise UsageError(
                f"{part.name}: its sound and other streams ({_titles(theirs)}) are not coded like those of "
                f"{first.name} ({_titles(ours)}); only the same kinds in the same order can be joined; "
                f"--picture-only leaves all out"
            )
        if any(not is_timed(stream) and not comes_from_header(stream) for stream in theirs.streams):
            warn(f"{part.name}: attachments and covers are those of {first.name} alone")


def _kind(stream: Stream) -> tuple[object, ...]:
    """What must be the same for packets of one track to be played as those of another."""
    codec = getattr(stream, "codec_context", None)
    sound = (codec.sample_rate, codec.layout.name, codec.format.name) if stream.type == "audio" and codec else ()
    setup = bytes(getattr(codec, "extradata", None) or b"").split(_BIT_RATE_BOX)[0]
    return (stream.type, codec_name(stream), setup, *sound)


def _titles(container: InputContainer) -> str:
    return ", ".join(title(stream) for stream in container.streams if is_timed(stream)) or "none"


def _merged(chapters: list[Chapter]) -> list[Chapter]:
    """Chapters in order; one that goes on where the one of the same title before it ends is that one."""
    merged: list[Chapter] = []
    for chapter in chapters:
        last = merged[-1] if merged else None
        if last is not None and last["metadata"] == chapter["metadata"] and _ends(last) == _starts(chapter):
            last["end"] = round(_ends(chapter) / (fraction(last["time_base"]) or 1))
        else:
            merged.append(chapter.copy())
    return [chapter | {"id": number} for number, chapter in enumerate(merged, 1)]  # type: ignore[misc]


def _starts(chapter: Chapter) -> Fraction:
    return chapter["start"] * (fraction(chapter["time_base"]) or Fraction(0))


def _ends(chapter: Chapter) -> Fraction:
    return chapter["end"] * (fraction(chapter["time_base"]) or Fraction(0))
