"""Finds out what records a file has: from its index, or without it from the records themselves."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from stpcodec.container.finding import Finding
from stpcodec.container.index import BadIndex, Entry, OtherEntry, SegmentEntry, decode_index, end_of_entries
from stpcodec.container.layout import END_MARK, FOOT, PREAMBLE, RECORD, SEGMENT_HEAD, Record, RecordType
from stpcodec.container.limits import BLOCK_SLACK, MAX_INDEX_RAW, MAX_PTS
from stpcodec.container.scan import Gap, Survey, read_record, survey
from stpcodec.container.segment import FIXED_BYTES, SegmentError, SegmentHead
from stpcodec.container.source import Source


@dataclass(frozen=True)
class Contents:
    """All records of a file but the index, by sequence number.

    `complete`: an intact index ends the file and agrees with where the records stand. `rebuilt`: there was no
    intact index anywhere. `damage` is empty when complete.
    """

    segments: list[SegmentEntry]
    others: list[OtherEntry]
    file_id: int | None
    complete: bool
    rebuilt: bool
    damage: list[Finding]


def find_contents(source: Source, *, thorough: bool = False) -> Contents:
    """Contents by the index at the file's end, in a few reads; by a survey of all records if that fails.

    `thorough`: believe an intact index only where a survey finds every record in its place, so that records
    which stand elsewhere (swapped, moved by lost bytes) are found too.
    """
    first = read_record(source, PREAMBLE.size, None)
    if found := index_at_end(source):
        index, entries = found
        undisturbed = end_of_entries(entries) == index.offset
        if undisturbed and (first is None or first.file_id == index.file_id):
            contents = _contents(entries, index.file_id, complete=True, rebuilt=False)
            if not thorough:
                return contents
            surveyed = survey(source, index.file_id)
            return contents if surveyed.undisturbed else contents_of_survey(source, surveyed)
    file_id = first.file_id if first else found[0].file_id if found else None
    return contents_of_survey(source, survey(source, file_id))


def contents_of_survey(source: Source, found: Survey) -> Contents:
    """Contents by an intact index among the surveyed records, or else by the heads of the segments."""
    file_id = found.records[0].file_id if found.records else None
    index = next((record for record in reversed(found.records) if record.is_a(RecordType.INDEX)), None)
    entries = _read_index(source, index) if index else None
    intact = entries is not None
    if entries is None:
        entries = _rebuild(source, found)
    else:
        standing = {record.sequence: record.offset for record in _by_sequence(found)}
        entries = [replace(entry, offset=standing.get(entry.sequence, entry.offset)) for entry in entries]
    contents = _contents(entries, file_id, complete=False, rebuilt=not intact)
    contents.damage.extend(describe_damage(source, found, contents))
    return contents


def _contents(entries: list[Entry], file_id: int | None, *, complete: bool, rebuilt: bool) -> Contents:
    segments = [entry for entry in entries if isinstance(entry, SegmentEntry)]
    others = [entry for entry in entries if isinstance(entry, OtherEntry)]
    return Contents(segments, others, file_id, complete, rebuilt, [])


def index_at_end(source: Source) -> tuple[Record, list[Entry]] | None:
    """The index that the file's last bytes point to, if it is intact."""
    if source.size < PREAMBLE.size + RECORD.size + FOOT.size:
        return None
    size, mark = FOOT.unpack(source.read(source.size - FOOT.size, FOOT.size))
    if mark != END_MARK or not RECORD.size + FOOT.size <= size <= source.size - PREAMBLE.size:
        return None
    index = read_record(source, source.size - size, None)
    if index is None or not index.is_a(RecordType.INDEX) or index.end != source.size:
        return None
    entries = _read_index(source, index)
    return None if entries is None else (index, entries)


def _read_index(source: Source, index: Record) -> list[Entry] | None:
    if index.length > MAX_INDEX_RAW + BLOCK_SLACK or index.end > source.size:
        return None
    if source.check(index.payload_offset, index.length) != index.payload_check:
        return None
    payload = source.read(index.payload_offset, index.length)
    try:
        return decode_index(payload, sequence=index.sequence, file_size=source.size)
    except BadIndex:
        return None


def _rebuild(source: Source, found: Survey) -> list[Entry]:
    """Entries from the records' headers and the segments' heads.

    Segments that contradict those before are left out.
    """
    entries: list[Entry] = []
    expected_sequence, expected_frame, last_pts, lost = 0, 0, -MAX_PTS - 1, False
    for record in _by_sequence(found):
        lost = lost or record.sequence != expected_sequence
        expected_sequence = record.sequence + 1
        if not record.is_a(RecordType.SEGMENT):
            if not record.is_a(RecordType.INDEX):
                size = record.end - record.offset
                entries.append(OtherEntry(record.offset, size, record.type, record.flags, record.sequence))
            continue
        entry = _entry_of_segment(source, record)
        if (
            entry is None
            or entry.first_pts <= last_pts
            or entry.first_frame < expected_frame
            or (entry.first_frame > expected_frame and not lost)
        ):
            lost = True
            continue
        entries.append(entry)
        expected_frame, last_pts, lost = entry.end_frame, entry.last_pts, False
    return entries


def _by_sequence(found: Survey) -> list[Record]:
    """Every record once; one out of sequence where none of its number stands in its place."""
    records = {record.sequence: record for record in [*reversed(found.misplaced), *found.records]}
    return sorted(records.values(), key=lambda record: record.sequence)


def _entry_of_segment(source: Source, record: Record) -> SegmentEntry | None:
    if record.length < FIXED_BYTES:
        return None
    try:
        head = SegmentHead.parse(source.read_up_to(record.payload_offset, SEGMENT_HEAD.size))
    except SegmentError:
        return None
    return SegmentEntry(
        record.offset,
        record.end - record.offset,
        head.first_frame,
        head.frame_count,
        head.first_pts,
        head.last_pts,
        record.sequence,
    )


def describe_damage(source: Source, found: Survey, contents: Contents) -> list[Finding]:
    """What a survey found wrong, in file order, with the frames and times lost according to `contents`."""
    findings = [_describe_gap(gap, contents) for gap in found.gaps]
    for record in found.misplaced:
        findings.append(
            Finding(
                "misplaced",
                record.offset,
                record.end - record.offset,
                False,
                f"record {record.sequence} stands where a later one belongs",
            )
        )
    known = {entry.sequence for entry in contents.segments}
    for record in found.records:
        if record.is_a(RecordType.SEGMENT) and record.sequence not in known:
            lost = _lost_between(contents, record.sequence, record.sequence + 1)
            findings.append(
                replace(
                    lost,
                    kind="segment",
                    offset=record.offset,
                    length=record.end - record.offset,
                    message="the segment's head is damaged",
                )
            )
    if not contents.complete and (contents.rebuilt or found.records[-1].end != source.size):
        findings.append(
            Finding(
                "index",
                source.size,
                0,
                False,
                "no intact index ends the file: it was cut off, is still being written, or its end is damaged",
            )
        )
    return sorted(findings, key=lambda finding: finding.offset)


def _describe_gap(gap: Gap, contents: Contents) -> Finding:
    lost = _lost_between(contents, gap.first_sequence, gap.end_sequence)
    count = None if gap.end_sequence is None else gap.end_sequence - gap.first_sequence
    what = f"{gap.length} bytes hold no valid record" if gap.length else "nothing stands here"
    if gap.damaged:
        size = gap.damaged.end - gap.offset
        what = f"record {gap.damaged.sequence} should take {size} bytes, {gap.length} are there"
    missing = "" if count == 0 else f"; records are missing from number {gap.first_sequence} on"
    if count:
        missing = f"; {count} record(s) from number {gap.first_sequence} on are missing"
    return replace(lost, kind="gap", offset=gap.offset, length=gap.length, message=what + missing)


def _lost_between(contents: Contents, first: int, end: int | None) -> Finding:
    """The frames and times of records [first, end), in a Finding whose other fields are still to be set."""
    segments = contents.segments
    i = bisect_left(segments, first, key=lambda entry: entry.sequence)
    j = len(segments) if end is None else bisect_left(segments, end, key=lambda entry: entry.sequence)
    inside, before, after = (
        segments[i:j],
        segments[i - 1] if i else None,
        segments[j] if j < len(segments) else None,
    )
    nothing = Finding("", 0, 0, False, "")
    if inside:
        lost = replace(
            nothing,
            segment=i if j == i + 1 else None,
            first_frame=inside[0].first_frame,
            end_frame=inside[-1].end_frame,
            first_pts=inside[0].first_pts,
            end_pts=after.first_pts if after else inside[-1].last_pts + 1,
        )
        return _widened(lost, before, inside, after, first, end) if contents.rebuilt else lost
    first_frame = before.end_frame if before else 0
    if not contents.rebuilt or first == end or (after and after.first_frame == first_frame):
        return nothing
    return replace(
        nothing,
        first_frame=first_frame,
        end_frame=after.first_frame if after else None,
        first_pts=before.last_pts + 1 if before else None,
        end_pts=after.first_pts if after else None,
    )


def _widened(
    lost: Finding,
    before: SegmentEntry | None,
    inside: list[SegmentEntry],
    after: SegmentEntry | None,
    first: int,
    end: int | None,
) -> Finding:
    """Without an index, some of the records [first, end) may be known (they stand elsewhere) and others not at all."""
    if inside[0].sequence > first:
        first_frame = before.end_frame if before else 0
        lost = replace(lost, first_frame=first_frame, first_pts=before.last_pts + 1 if before else None)
    if end is None or inside[-1].sequence + 1 < end:
        lost = replace(lost, end_frame=after.first_frame if after else None, end_pts=after.first_pts if after else None)
    return lost
