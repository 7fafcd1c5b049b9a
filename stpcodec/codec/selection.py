"""Which frames a span of time asks for, and which segments hold them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from stpcodec.codec.gaps import first_pts as first_pts_of
from stpcodec.container import SegmentEntry, StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, UsageError
from stpcodec.video.frames import Warn


@dataclass(frozen=True)
class Selection:
    """Frames with first_pts <= pts < end_pts, all in the segments with these numbers."""

    segments: range
    first_pts: int
    end_pts: int

    def holds(self, pts: int) -> bool:
        return self.first_pts <= pts < self.end_pts


def seconds_of(stream: StpReader, pts: int) -> float:
    """Time of a pts, counted from the first frame that is known."""
    origin = stream.segments[0].first_pts if stream.segments else 0
    return float((pts - origin) * Fraction(*stream.header.time_base))


def select(
    stream: StpReader, *, start: float | None, end: float | None, name: str, conceal: bool = False, warn: Warn
) -> Selection:
    """Frames shown from `start` to before `end`, in seconds from the first frame; None: all there are.

    A file without an index that is whole up to some segment was cut off or is still being written: it is taken
    up to there, with a warning. conceal: missing frames are no error; the segments chosen then reach to the next
    intact one on either side, because the span may begin or end in a gap.

    Raises:
        UsageError: no frame lies there.
        CorruptFile: some of the frames are missing from a damaged file.
    """
    for value in (start, end):
        if value is not None and not math.isfinite(value):
            raise UsageError(f"time {value}: must be a number of seconds")
    entries = stream.segments
    if not entries:
        raise CorruptFile(f"{name}: holds no intact segment; copy it again from its source")
    origin, time_base = entries[0].first_pts, Fraction(*stream.header.time_base)

    def pts_at(
        seconds: float,
    ) -> int:  # by way of its decimal digits: 0.1 means a tenth, not the nearest double
        return origin + math.ceil(Fraction(str(seconds)) / time_base)

    known_end = entries[-1].last_pts + 1
    first_pts = (first_pts_of(stream) if conceal else origin) if start is None else pts_at(start)
    end_pts = known_end if end is None else pts_at(end)
    if stream.index_rebuilt:
        if not conceal:
            _refuse_gaps(stream, first_pts, None if end is None else end_pts, name)
        if end is None or end_pts > known_end:
            warn(
                f"{name}: was cut off, is still being written, or its end is damaged; decoded up to its last complete "
                f"segment, {stream.frame_count} frames, {seconds_of(stream, known_end):.3f} s"
            )
    low = next((i for i, entry in enumerate(entries) if entry.last_pts >= first_pts), len(entries))
    high = next((i for i in reversed(range(len(entries))) if entries[i].first_pts < end_pts), -1)
    if conceal and low < len(entries) and high >= 0:
        low, high = _next_intact(stream, low, -1), _next_intact(stream, high, 1)
    if low > high or first_pts >= end_pts:
        raise no_frame(stream, start, end, name)
    return Selection(range(low, high + 1), first_pts, end_pts)


def _next_intact(stream: StpReader, number: int, step: int) -> int:
    """The first segment beside `number` in the direction of `step` that can be read, or the last there is."""
    while 0 <= number + step < len(stream.segments):
        number += step
        try:
            stream.read_segment(number)
            break
        except CorruptSegment:
            pass
    return number


def no_frame(stream: StpReader, start: float | None, end: float | None, name: str) -> UsageError:
    """What to raise when no frame lies in a span."""
    return UsageError(
        f"{name}: no frame lies from {start or 0} s to {'the end' if end is None else f'{end} s'}; "
        f"the last one is shown at {seconds_of(stream, stream.segments[-1].last_pts):.3f} s"
    )


def _refuse_gaps(stream: StpReader, first_pts: int, end_pts: int | None, name: str) -> None:
    """Without an index frames may be missing: what is asked must lie in one unbroken run of segments.

    end_pts: None asks for all to the end, which such a file does not know. Where one run begins the file and nothing
    is known behind it, only the end is missing, and what is there may be had.
    """
    runs = list(_runs(stream.segments))
    cut_off = len(runs) == 1 and stream.segments[0].first_frame == 0
    for first, last in runs:
        reaches = cut_off or (end_pts is not None and end_pts <= last.last_pts + 1)
        if first.first_pts <= first_pts <= last.last_pts and reaches:
            return
    time_base = Fraction(*stream.header.time_base)
    origin = stream.segments[0].first_pts
    parts = []
    for first, last in runs[:3]:
        start = math.ceil(1000 * (first.first_pts - origin) * time_base) / 1000
        end = math.floor(1000 * (last.last_pts + 1 - origin) * time_base) / 1000
        parts.append(f"{start:.3f} to {end:.3f} s")
    more = " and more" if len(runs) > 3 else ""
    raise CorruptFile(
        f"{name}: is damaged or cut off; intact: {', '.join(parts)}{more}; decode that with "
        f"--start and --end, or all with --conceal; `stpcodec verify` says more"
    )


def _runs(entries: Sequence[SegmentEntry]) -> Iterator[tuple[SegmentEntry, SegmentEntry]]:
    """(first, last) of every run of segments without a missing frame between them."""
    first = entries[0]
    for before, after in pairwise(entries):
        if after.first_frame != before.end_frame:
            yield first, before
            first = after
    yield first, entries[-1]
