"""A damaged file as what can be decoded and what cannot, in order of time::

    segments    |  0  |  1  | ✗✗✗ |  3  | ✗✗✗ ✗✗✗ |  6  |
    survivors   Segment Segment Gap Segment   Gap   Segment

Where the index knows a lost segment, its first and last time are known; where nothing does, its frames are
spread evenly between their neighbours, or before the first segment at the average rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from stpcodec.container import Segment, SegmentEntry, StpReader, limits
from stpcodec.errors import CorruptSegment


@dataclass(frozen=True)
class Times:
    """`count` frame times (pts) in even steps: first_pts + ⌊i · distance / parts⌋."""

    first_pts: int
    count: int
    distance: int = 0
    parts: int = 1

    def __iter__(self) -> Iterator[int]:
        return (self.first_pts + i * self.distance // self.parts for i in range(self.count))


@dataclass(frozen=True)
class Gap:
    """Lost frames [first_frame, end_frame), whose times are `runs` one after the other.

    They last from first_pts to before end_pts. Bytes [offset, end_offset): where they should stand.
    """

    first_frame: int
    end_frame: int
    first_pts: int
    end_pts: int
    offset: int
    end_offset: int
    runs: tuple[Times, ...]
    reason: str

    def times(self) -> Iterator[int]:
        for run in self.runs:
            yield from run


def survivors(
    stream: StpReader, numbers: range | None = None, *, check: Callable[[Segment], None] = lambda segment: None
) -> Iterator[Segment | Gap]:
    """The intact segments among `numbers` (None: all) and the gaps between them; adjoining gaps are one.

    check: may raise CorruptSegment for segments whose bytes are intact. A gap before the first segment of the
    file is there, one behind the last segment known is not: nobody knows how long it is.
    """
    entries = stream.segments
    open_gap: Gap | None = None
    for number in range(len(entries)) if numbers is None else numbers:
        entry = entries[number]
        before = entries[number - 1] if number else None
        lost = _missing_before(stream, before, entry)
        segment: Segment | None = None
        try:
            segment = stream.read_segment(number)
            check(segment)
        except CorruptSegment as error:
            end_pts = entries[number + 1].first_pts if number + 1 < len(entries) else entry.last_pts + 1
            lost, segment = _joined(lost, _lost_segment(entry, end_pts, str(error))), None
        open_gap = _joined(open_gap, lost)
        if segment is not None:
            if open_gap is not None:
                yield open_gap
            open_gap = None
            yield segment
    if open_gap is not None:
        yield open_gap


def first_pts(stream: StpReader) -> int:
    """Time of the first frame, lost ones before the first segment included."""
    gap = _missing_before(stream, None, stream.segments[0])
    return gap.first_pts if gap else stream.segments[0].first_pts


def _missing_before(stream: StpReader, before: SegmentEntry | None, entry: SegmentEntry) -> Gap | None:
    """The frames between two known segments, of which nothing is left; None before the first: the file's start."""
    first_frame = before.end_frame if before else 0
    count = entry.first_frame - first_frame
    if not count:
        return None
    if before is not None:
        room = entry.first_pts - before.last_pts
        count = min(count, room - 1)  # forged frame numbers may promise more frames than there are times for
        times = Times(before.last_pts + room // (count + 1), count, room, count + 1)
        start = before.last_pts + 1
    else:
        step = _mean_step(stream, entry)
        start = entry.first_pts - count * step
        times = Times(start, count, step)
        if start < -limits.MAX_PTS:
            return None
    return Gap(
        first_frame,
        entry.first_frame,
        start,
        entry.first_pts,
        before.offset + before.length if before else 0,
        entry.offset,
        (times,) if count else (),
        f"{stream.path}: nothing is left of the segment(s) before byte {entry.offset}",
    )


def _mean_step(stream: StpReader, entry: SegmentEntry) -> int:
    """Distance between frames in units of the time base: by the average rate, else as in `entry`."""
    header = stream.header
    if header.average_rate:
        return max(1, round(1 / (Fraction(*header.average_rate) * Fraction(*header.time_base))))
    return max(1, (entry.last_pts - entry.first_pts) // max(1, entry.frame_count - 1))


def _lost_segment(entry: SegmentEntry, end_pts: int, reason: str) -> Gap:
    count = entry.frame_count
    times = Times(entry.first_pts, count, entry.last_pts - entry.first_pts, max(1, count - 1))
    return Gap(
        entry.first_frame,
        entry.end_frame,
        entry.first_pts,
        end_pts,
        entry.offset,
        entry.offset + entry.length,
        (times,),
        reason,
    )


def _joined(before: Gap | None, after: Gap | None) -> Gap | None:
    if before is None or after is None:
        return before or after
    return Gap(
        before.first_frame,
        after.end_frame,
        before.first_pts,
        after.end_pts,
        min(before.offset, after.offset),
        max(before.end_offset, after.end_offset),
        before.runs + after.runs,
        before.reason,
    )
