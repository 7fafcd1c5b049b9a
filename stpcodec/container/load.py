"""Takes single records out of a file, each verified in full before a byte of it is believed."""

from __future__ import annotations

from stpcodec.container.header import HeaderError, StreamHeader, decode_header
from stpcodec.container.index import OtherEntry, SegmentEntry
from stpcodec.container.layout import SIDECAR_HEAD, Record, RecordType
from stpcodec.container.limits import BLOCK_SLACK, MAX_HEADER_RAW, MAX_SIDECAR_PIECE, max_segment_payload
from stpcodec.container.scan import read_record
from stpcodec.container.segment import SegmentError, SegmentPlan, plan_segment, start_size
from stpcodec.container.source import Source


class RecordError(ValueError):
    """A record does not hold what it should; the message says what, the caller where and what to do."""


def load_header(source: Source, record: Record) -> StreamHeader:
    """The stream header in `record`. Raises RecordError or UnsupportedVersion."""
    if not record.is_a(RecordType.STREAM_HEADER):
        raise RecordError(f"record of type {record.type} where the stream header belongs")
    if record.length > MAX_HEADER_RAW + BLOCK_SLACK:
        raise RecordError(f"stream header of {record.length} bytes, the limit is {MAX_HEADER_RAW}")
    check_payload(source, record)
    if record.payload_check & 0xFFFFFFFF != record.file_id:
        raise RecordError("the stream header belongs to another file")
    try:
        return decode_header(source.read(record.payload_offset, record.length))
    except HeaderError as error:
        raise RecordError(str(error)) from error


def load_plan(source: Source, entry: SegmentEntry, file_id: int | None, header: StreamHeader) -> SegmentPlan:
    """Head and tables of the segment at `entry`, after its whole payload was verified. Raises RecordError.

    Reads 1 MiB at a time and keeps the tables only.
    """
    record = _record_at(source, entry, RecordType.SEGMENT, file_id)
    most = max_segment_payload(header.width, header.height, entry.frame_count)
    if record.length > most:
        raise RecordError(f"{record.length} bytes for {entry.frame_count} frames, the limit is {most}")
    check_payload(source, record)
    try:
        plan = plan_segment(source.read(record.payload_offset, start_size(record.length)), record.length)
    except SegmentError as error:
        raise RecordError(str(error)) from error
    head = plan.head
    if (head.first_frame, head.frame_count, head.first_pts, head.last_pts) != (
        entry.first_frame,
        entry.frame_count,
        entry.first_pts,
        entry.last_pts,
    ):
        raise RecordError(f"its head ({head}) contradicts the index ({entry})")
    return plan


def load_sidecar_piece(source: Source, entry: OtherEntry, file_id: int | None) -> tuple[int, bool, bytes]:
    """Number, whether it is the last, and data of the sidecar piece at `entry`. Raises RecordError."""
    record = _record_at(source, entry, RecordType.SIDECAR, file_id)
    if not 0 <= record.length - SIDECAR_HEAD.size <= MAX_SIDECAR_PIECE:
        raise RecordError(f"sidecar record of {record.length} bytes, the limit is {MAX_SIDECAR_PIECE}")
    check_payload(source, record)
    payload = source.read(record.payload_offset, record.length)
    number, last = SIDECAR_HEAD.unpack_from(payload)
    if last > 1:
        raise RecordError(f"sidecar piece whose end mark is {last}")
    return number, bool(last), payload[SIDECAR_HEAD.size :]


def check_payload(source: Source, record: Record) -> None:
    """Raises RecordError where the payload does not match its check. Reads 1 MiB at a time."""
    found = source.check(record.payload_offset, record.length)
    if found != record.payload_check:
        raise RecordError(f"its payload's check is {found:016x}, the record says {record.payload_check:016x}")


def _record_at(source: Source, entry: SegmentEntry | OtherEntry, kind: RecordType, file_id: int | None) -> Record:
    """The header of the record that `entry` promises. Raises RecordError."""
    record = read_record(source, entry.offset, file_id)
    if record is None:
        raise RecordError("no valid record stands there")
    expect_entry(record, entry)
    if not record.is_a(kind):
        raise RecordError(f"record of type {record.type} where a {kind.name.lower()} belongs")
    if record.end > source.size:
        raise RecordError(f"it ends at byte {record.end}, the file at {source.size}")
    return record


def expect_entry(record: Record, entry: SegmentEntry | OtherEntry | None) -> None:
    """Raises RecordError where the record is not the one that the table of contents has in its place."""
    if entry is None:
        raise RecordError(f"record {record.sequence} is not in the index")
    kind, flags = (RecordType.SEGMENT, 0) if isinstance(entry, SegmentEntry) else (entry.type, entry.flags)
    found = (record.sequence, record.type, record.flags, record.end - record.offset)
    expected = (entry.sequence, kind, flags, entry.length)
    if found != expected:
        raise RecordError(
            "record {}, type {}, flags {}, {} bytes".format(*found)
            + " where the index has record {}, type {}, flags {}, {} bytes".format(*expected)
        )
