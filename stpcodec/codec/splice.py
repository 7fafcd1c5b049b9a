"""Cutting and joining .stp files by copying their segments: nothing is decoded, no model is needed.

    cut       | 0 | 1 | 2 | 3 |   ─►   | 1 | 2 |          whole segments, numbered anew, times from zero
                  [ asked ]
    concat    | 0 | 1 | + | 0 | 1 |   ─►   | 0 | 1 | 2 | 3 |   the later file's times follow the earlier's
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.output import OutputFile, check_target
from stpcodec.codec.selection import seconds_of, select
from stpcodec.codec.sidecars import write_cut_sidecar, write_joined_sidecars
from stpcodec.container import Segment, StpReader, StpWriter, StreamHeader
from stpcodec.errors import CorruptFile, UsageError
from stpcodec.video.frames import DISPLAY_MATRIX, Warn, log_warning
from stpcodec.video.tags import content_tags

_MUST_AGREE = {
    "width": "width",
    "height": "height",
    "bit_depth": "bit depth",
    "time_base": "time base",
    "model": "model",
    "weights_sha256": "weights",
    "quality": "quality",
    "segment_frames": "longest segment",
    "tile": "tile size",
    "tile_overlap": "tile overlap",
    "tilt": "tilt",
    # Beyond FORMAT.md §9: one header serves all frames, so they would be shown wrongly.
    "color_range": "colour range",
    "color_primaries": "colour primaries",
    "color_transfer": "colour transfer",
    "color_space": "colour matrix",
    "chroma_location": "chroma location",
    "sample_aspect_ratio": "pixel aspect ratio",
    "rotation": "rotation",
    "interlaced": "interlacing",
}


@dataclass(frozen=True)
class CutReport:
    """What was kept: whole segments, so that start and end (seconds from the source's first frame) may lie outside of
    what was asked. sidecar_bytes: of bytes_written, other streams."""

    frames: int
    segments: int
    start_seconds: float
    end_seconds: float
    bytes_written: int
    sidecar_bytes: int


@dataclass(frozen=True)
class ConcatReport:
    """What was joined. sidecar_bytes: of bytes_written, other streams."""

    files: int
    frames: int
    segments: int
    duration_seconds: float
    bytes_written: int
    sidecar_bytes: int


def cut(
    source: str | Path,
    target: str | Path,
    *,
    start: float | None = None,
    end: float | None = None,
    picture_only: bool = False,
    overwrite: bool = False,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> CutReport:
    """Write the segments that hold any frame with start <= time < end, in seconds from the first frame.

    Cut is at the ends of segments, outward. A part that does not begin the file starts at time zero, and so do the
    sound and other streams beside it. picture_only: leave those out.

    Raises:
        UsageError, InputError, OutputError: as their names say; then nothing new stands under the target's name.
    """
    check_target(target, source=source, overwrite=overwrite)
    with (
        StpReader(source) as stream,
        OutputFile(target, source=source, overwrite=overwrite) as output,
    ):
        require_complete(stream)
        numbers = select(stream, start=start, end=end, name=str(source), warn=warn).segments
        output.require_space(sum(stream.segments[number].length for number in numbers), "the part")
        header, entries, time_base = stream.header, stream.segments, Fraction(*stream.header.time_base)
        is_start, is_end = numbers.start == 0, numbers.stop == len(entries)
        first_pts = entries[numbers.start].first_pts
        end_pts = _end_pts(stream) if is_end else entries[numbers.stop].first_pts
        writer = StpWriter(output.file())
        writer.write_header(header)
        sidecar_bytes = 0
        if not picture_only:
            sidecar_bytes = write_cut_sidecar(
                writer, stream, output, warn=warn,
                start=None if is_start else first_pts * time_base, end=None if is_end else end_pts * time_base,
            )  # fmt: skip
        joint = _Joint(writer, progress, sum(entries[number].frame_count for number in numbers), "cut")
        for number in numbers:
            joint.add(stream.read_segment(number), pts_shift=0 if is_start else -first_pts)
        return CutReport(
            frames=joint.frames,
            segments=len(numbers),
            start_seconds=seconds_of(stream, first_pts),
            end_seconds=seconds_of(stream, end_pts),
            bytes_written=writer.finish(),
            sidecar_bytes=sidecar_bytes,
        )


def concat(
    sources: Sequence[str | Path],
    target: str | Path,
    *,
    picture_only: bool = False,
    overwrite: bool = False,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> ConcatReport:
    """Write one file that shows those of `sources` one after the other, with their sound and other streams.

    They must have been coded alike: size, bit depth, time base, model, weights, quality, tiles, colour. Tags are those
    of the first. picture_only: leave the other streams out.

    Raises:
        UsageError: they cannot be joined; how they differ is said. InputError, OutputError: as their names say. Nothing
            new stands under the target's name then.
    """
    if not sources:
        raise UsageError("nothing to join: name at least one .stp file and the output")
    for source in sources:
        check_target(target, source=source, overwrite=overwrite)
    header, starts, end, frames, size = _survey(sources, warn)
    with OutputFile(target, source=sources[0], overwrite=overwrite) as output:
        output.require_space(size, "the joined file")
        writer = StpWriter(output.file())
        writer.write_header(header)
        sidecar_bytes = 0
        if not picture_only:
            sidecar_bytes = write_joined_sidecars(writer, sources, starts, output, warn=warn)
        joint = _Joint(writer, progress, frames, "concat")
        for source, start in zip(sources, starts, strict=True):
            with StpReader(source) as stream:
                shift = start - stream.segments[0].first_pts
                for number in range(len(stream.segments)):
                    joint.add(stream.read_segment(number), pts_shift=shift)
        return ConcatReport(
            files=len(sources),
            frames=joint.frames,
            segments=joint.segments,
            duration_seconds=float((end - starts[0]) * Fraction(*header.time_base)),
            bytes_written=writer.finish(),
            sidecar_bytes=sidecar_bytes,
        )


class _Joint:
    """Segments on their way into another file, numbered anew."""

    def __init__(self, writer: StpWriter, progress: ProgressCallback, frames_total: int, phase: str) -> None:
        self._writer, self._progress, self._total, self._phase = writer, progress, frames_total, phase
        self._clock = time.monotonic()
        self.frames = self.segments = 0

    def add(self, segment: Segment, *, pts_shift: int) -> None:
        pts = tuple(pts + pts_shift for pts in segment.pts)
        self._writer.write_segment(replace(segment, first_frame=self.frames, pts=pts))
        self.frames, self.segments = self.frames + segment.frame_count, self.segments + 1
        elapsed = time.monotonic() - self._clock
        self._progress(Progress(self._phase, self.frames, self._total, self._writer.bytes_written, elapsed))


def require_complete(stream: StpReader) -> None:
    """Raises CorruptFile if frames may be missing."""
    if not stream.complete or not stream.segments:
        raise CorruptFile(f"{stream.path}: is damaged or cut off; `stpcodec repair` makes a sound file of what is left")


def _survey(sources: Sequence[str | Path], warn: Warn) -> tuple[StreamHeader, list[int], int, int, int]:
    """The joined header, the pts at which each file begins, the one at which all end, frames and bytes of all."""
    headers: list[StreamHeader] = []
    starts: list[int] = []
    end = frames = size = 0
    for source in sources:
        with StpReader(source) as stream:
            require_complete(stream)
            headers.append(stream.header)
            _check_alike(headers[0], stream.header, str(sources[0]), str(source))
            first_pts = stream.segments[0].first_pts
            starts.append(end if starts else first_pts)
            end = starts[-1] + _end_pts(stream) - first_pts
            frames, size = frames + stream.frame_count, size + stream.size
    first = headers[0]
    if any(_tags(header) != _tags(first) for header in headers):
        warn(f"{sources[0]}: the other files have other tags; those of this one are kept")
    same_rate = all(header.average_rate == first.average_rate for header in headers)
    return replace(first, average_rate=first.average_rate if same_rate else None), starts, end, frames, size


def _tags(header: StreamHeader) -> list[dict[str, str]]:
    return [content_tags(tags) for tags in (header.metadata, header.stream_metadata)]


def _check_alike(first: StreamHeader, other: StreamHeader, first_name: str, name: str) -> None:
    pairs = [(label, getattr(first, field), getattr(other, field)) for field, label in _MUST_AGREE.items()]
    ours, theirs = (header.stream_metadata.get(DISPLAY_MATRIX) for header in (first, other))
    pairs.append(("display matrix", ours, theirs))
    differ = [
        f"{label} {_shown(theirs)} instead of {_shown(ours)}" for label, ours, theirs in pairs if theirs != ours
    ]
    if differ:
        raise UsageError(
            f"{name}: is not coded like {first_name} ({', '.join(differ)}), and cannot be joined without coding anew; "
            f"encode its source with the same options"
        )


def _shown(value: object) -> str:
    match value:
        case (numerator, denominator):
            return f"{numerator}/{denominator}"
        case str():
            return value[:16] or "none"
    return str(value)


def _end_pts(stream: StpReader) -> int:
    """When the last frame is over: by its duration, else as long as the frame before it, else at the average rate."""
    segment = stream.read_segment(len(stream.segments) - 1)
    last = segment.pts[-1]
    if segment.durations and segment.durations[-1]:
        return last + segment.durations[-1]
    if len(segment.pts) > 1:
        return last + segment.pts[-1] - segment.pts[-2]
    entries = stream.segments
    if len(entries) > 1:
        distances = [after.first_pts - before.last_pts for before, after in pairwise(entries)]
        return last + distances[-1]
    rate = stream.header.average_rate
    return last + max(1, round(1 / (Fraction(*rate) * Fraction(*stream.header.time_base)))) if rate else last + 1
