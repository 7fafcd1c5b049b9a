"""The index (FORMAT.md §7): what records the file has, in order, and where its segments stand in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stpcodec.container.block import BlockError, decode_block, encode_block
from stpcodec.container.layout import END_MARK, FOOT, PREAMBLE, RECORD, RecordType
from stpcodec.container.limits import (
    MAX_FRAMES,
    MAX_INDEX_RAW,
    MAX_PAYLOAD,
    MAX_PTS,
    MAX_RECORDS,
    MAX_SEGMENT_FRAMES,
)
from stpcodec.container.varint import VarintError, VarintReader, encode_varints, zigzag


class BadIndex(ValueError):
    """The bytes are not an index within the limits."""


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One segment of a file.

    Bytes: its record is [offset, offset + length). pts in units of the time base.
    """

    offset: int
    length: int
    first_frame: int
    frame_count: int
    first_pts: int
    last_pts: int
    sequence: int

    @property
    def end_frame(self) -> int:
        return self.first_frame + self.frame_count


@dataclass(frozen=True, slots=True)
class OtherEntry:
    """One record that is no segment. Bytes: its record is [offset, offset + length)."""

    offset: int
    length: int
    type: int
    flags: int
    sequence: int


Entry = SegmentEntry | OtherEntry


def encode_index(entries: list[Entry]) -> bytes:
    """Payload of the index record over the file's other records, in file order."""
    block = encode_block(encode_varints(_numbers(entries)))
    return block + FOOT.pack(RECORD.size + len(block) + FOOT.size, END_MARK)


def _numbers(entries: list[Entry]) -> Iterator[int]:
    yield len(entries)
    last_pts = 0
    for entry in entries:
        if isinstance(entry, SegmentEntry):
            yield from (RecordType.SEGMENT, RecordType.SEGMENT.flags, entry.length - RECORD.size)
            yield from (
                entry.frame_count,
                zigzag(entry.first_pts - last_pts),
                entry.last_pts - entry.first_pts,
            )
            last_pts = entry.last_pts
        else:
            yield from (entry.type, entry.flags, entry.length - RECORD.size)


def decode_index(payload: bytes, *, sequence: int, file_size: int) -> list[Entry]:
    """Inverse of `encode_index` for the index with this sequence number. Raises BadIndex.

    Offsets are those of an undisturbed file; `end_of_entries` says where the index then stands.
    """
    try:
        raw, used = decode_block(payload, max_raw=min(MAX_INDEX_RAW, 2 * file_size))
        numbers = VarintReader(raw)
        count = numbers.unsigned()
        if count != sequence or count >= MAX_RECORDS:
            raise BadIndex(f"index of {count} records has sequence number {sequence}")
        entries = list(_read_entries(numbers, count))
        numbers.expect_end()
    except (BlockError, VarintError) as error:
        raise BadIndex(f"index: {error}") from error
    if payload[used:] != FOOT.pack(RECORD.size + len(payload), END_MARK):
        raise BadIndex("the index's foot is damaged")
    return entries


def _read_entries(numbers: VarintReader, count: int) -> Iterator[Entry]:
    offset, first_frame, last_pts = PREAMBLE.size, 0, None
    for sequence in range(count):
        kind, flags, length = numbers.unsigned(), numbers.unsigned(), numbers.unsigned()
        if length > MAX_PAYLOAD or kind > 255 or flags > 255:
            raise BadIndex(f"index: record {sequence} has type {kind}, flags {flags}, {length} bytes")
        size = RECORD.size + length
        if kind != RecordType.SEGMENT or flags != RecordType.SEGMENT.flags:
            yield OtherEntry(offset, size, kind, flags, sequence)
        else:
            frames, first_pts = numbers.unsigned(), numbers.signed() + (last_pts or 0)
            entry = SegmentEntry(offset, size, first_frame, frames, first_pts, first_pts + numbers.unsigned(), sequence)
            if (
                not 1 <= frames <= MAX_SEGMENT_FRAMES
                or entry.end_frame > MAX_FRAMES
                or entry.last_pts - first_pts < frames - 1
                or first_pts < (-MAX_PTS if last_pts is None else last_pts + 1)
                or entry.last_pts > MAX_PTS
            ):
                raise BadIndex(f"index: record {sequence} contradicts the segment before it or the limits ({entry})")
            yield entry
            first_frame, last_pts = entry.end_frame, entry.last_pts
        offset += size


def end_of_entries(entries: list[Entry]) -> int:
    """Offset of the index in an undisturbed file with these records before it."""
    return entries[-1].offset + entries[-1].length if entries else PREAMBLE.size
