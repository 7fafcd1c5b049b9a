"""Goes from record to record without an index, over damage too (FORMAT.md §2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from stpcodec.container.layout import PREAMBLE, RECORD, SYNC, Record, RecordType
from stpcodec.container.limits import MAX_RECORDS
from stpcodec.container.source import BLOCK, Source
from stpcodec.errors import CorruptFile

_MANY_GAPS = 4096


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [offset, offset + length) hold no valid record. `damaged`: the one that began there, if known.

    The records with sequence numbers [first_sequence, end_sequence) are missing there; end None: all that
    follow.
    """

    offset: int
    length: int
    damaged: Record | None = None
    first_sequence: int = 0
    end_sequence: int | None = None


@dataclass
class Survey:
    """What stands in a file, in file order: valid records in rising sequence, gaps, others."""

    records: list[Record] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    misplaced: list[Record] = field(default_factory=list)

    @property
    def undisturbed(self) -> bool:
        return not self.gaps and not self.misplaced


def read_record(source: Source, offset: int, file_id: int | None) -> Record | None:
    """The record whose valid header stands at `offset`; None where there is none, or one of another file."""
    return _accept(source.read_up_to(offset, RECORD.size), offset, file_id)


def survey(source: Source, file_id: int | None) -> Survey:
    """Sort the records of the whole file by what their sequence numbers say; payloads are not read.

    `file_id` None: that of the first valid record. Raises CorruptFile where there are more records than
    allowed.
    """
    found = Survey()
    expected = 0
    unreadable: list[Gap] = []
    for item in walk(source, file_id):
        if len(found.records) + len(found.gaps) + len(found.misplaced) + len(unreadable) > MAX_RECORDS + _MANY_GAPS:
            raise CorruptFile(
                f"{source.name}: more than {MAX_RECORDS} records and gaps up to byte {item.offset}; "
                "this is no file that stpcodec wrote"
            )
        if isinstance(item, Gap):
            unreadable.append(item)
        elif item.sequence < expected:
            found.misplaced.append(item)
        else:
            found.gaps += _number(unreadable, item.offset, expected, item.sequence)
            found.records.append(item)
            unreadable, expected = [], item.sequence + 1
    # behind the index, or what can still be seen of it, nothing is missing; before it there may be
    tail = found.records[-1:] + [gap.damaged for gap in unreadable if gap.damaged]
    ends = [max(expected, record.sequence) for record in tail if record.is_a(RecordType.INDEX)]
    found.gaps += _number(unreadable, source.size, expected, max(ends) if ends else None)
    return found


def _number(unreadable: list[Gap], offset: int, first: int, end: int | None) -> Iterator[Gap]:
    """The gaps between two valid records, with the records that are missing there.

    The first is blamed for all.
    """
    if not unreadable and first != end:
        yield Gap(offset, 0, None, first, end)
    for number, gap in enumerate(unreadable):
        yield Gap(gap.offset, gap.length, gap.damaged, first, end if number == 0 else first)


def walk(source: Source, file_id: int | None) -> Iterator[Record | Gap]:
    """All records and gaps from the preamble to the end of the file, each byte searched at most once."""
    position, size = PREAMBLE.size, source.size
    while position < size:
        record = read_record(source, position, file_id)
        if record is None:
            record_at = find_record(source, position + 1, size, file_id)
            yield Gap(position, record_at - position)
            position = record_at
            continue
        file_id = record.file_id
        end = min(record.end, size)
        if record.end == size or (record.end < size and read_record(source, record.end, file_id)):
            yield record
        else:
            # nothing valid follows: bytes of the payload are missing, or what follows is damaged itself
            inside = find_record(source, record.payload_offset, end, file_id)
            if inside < end or record.end > size:
                yield Gap(position, inside - position, record)
                end = inside
            else:
                yield record
        position = end


def find_record(source: Source, start: int, end: int, file_id: int | None) -> int:
    """Offset in [start, end) of the first valid header, or `end`. Reads at most 1 MiB at a time."""
    # with the file's id in the pattern, not every sync word in hostile data costs a CRC
    behind = b"" if file_id is None else b"(?=.{10}%b)" % re.escape(file_id.to_bytes(4, "little"))
    pattern = re.compile(re.escape(SYNC) + behind, re.DOTALL)
    size = 4096  # a record is often near, then a large block would be read in vain
    while start < end:
        size = min(2 * size, BLOCK, end - start)
        # a header that begins with the block's last byte reaches into the next block
        block = source.read_up_to(start, size + RECORD.size - 1)
        for match in pattern.finditer(block):
            at = match.start()
            if at < size and _accept(block[at : at + RECORD.size], start + at, file_id):
                return start + at
        start += size
    return end


def _accept(header: bytes, offset: int, file_id: int | None) -> Record | None:
    record = Record.parse(header, offset)
    if record is None or record.sequence >= MAX_RECORDS or file_id not in (None, record.file_id):
        return None
    return record
