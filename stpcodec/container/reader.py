"""Reads .stp files: header, table of segments, single segments, sidecar, and the state of every piece."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stpcodec.container.check import check_contents
from stpcodec.container.contents import Contents, find_contents, index_at_end
from stpcodec.container.finding import Finding
from stpcodec.container.header import StreamHeader
from stpcodec.container.index import OtherEntry, SegmentEntry
from stpcodec.container.layout import ANCILLARY, MAGIC, PREAMBLE, RECORD, VERSION, RecordType, crc_holds
from stpcodec.container.load import RecordError, load_header, load_plan, load_sidecar_piece
from stpcodec.container.salvage import salvage_sidecar
from stpcodec.container.scan import read_record
from stpcodec.container.segment import Chunk, Segment
from stpcodec.container.source import Source
from stpcodec.errors import CorruptFile, CorruptSegment, UnsupportedVersion

_REMEDY = (
    "copy it again from its source; `stpcodec verify` names what is intact, `repair` and `decode --conceal` keep it"
)


class StpReader:
    """A .stp file open for reading; `target` is a path or a seekable binary stream. A context manager.

    Opening reads header and index only. Where the index is missing or damaged the records are surveyed
    instead (`index_rebuilt`), so that all complete segments stay readable. `complete` says that an intact
    index ends the file and agrees with where its records stand; where it is False, `damage` says why, and
    frames may be missing.

    Raises InputError (cannot be opened), CorruptFile (no .stp file, or no intact stream header) and
    UnsupportedVersion. Memory: the table of segments, and what `read_segment` returns. Not for use by several
    threads at once: give each its own reader.

    `thorough` surveys all records at once even if the index is intact, and so finds those that are not where
    the index has them.
    """

    def __init__(self, target: str | Path | BinaryIO, *, thorough: bool = False) -> None:
        self._source = Source(target)
        try:
            self._preamble_damage = _check_preamble(self._source)
            self._contents = find_contents(self._source, thorough=thorough)
            _refuse_unknown(self._source, self._contents.others)
            self.header, self._header_damage = _find_header(self._source, self._contents)
        except BaseException:
            self._source.close()
            raise

    @property
    def path(self) -> str:
        """What messages call the file."""
        return self._source.name

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    @property
    def segments(self) -> list[SegmentEntry]:
        """The segments in order of time.

        Without an index: those whose head is intact, maybe with gaps between them.
        """
        return self._contents.segments

    @property
    def frame_count(self) -> int:
        """Frames of the file up to the end of its last known segment, lost ones in gaps between included."""
        return self.segments[-1].end_frame if self.segments else 0

    @property
    def index_rebuilt(self) -> bool:
        return self._contents.rebuilt

    @property
    def complete(self) -> bool:
        return self._contents.complete

    @property
    def damage(self) -> list[Finding]:
        """What opening the file found damaged or missing; `check` looks at everything."""
        own = [self._preamble_damage, self._header_damage]
        return [finding for finding in own if finding] + self._contents.damage

    def segment_of_frame(self, frame: int) -> int | None:
        """Number of the segment that holds `frame`, or None (beyond the end, or in a gap)."""
        number = bisect_right(self.segments, frame, key=lambda entry: entry.first_frame) - 1
        return number if number >= 0 and frame < self.segments[number].end_frame else None

    def segment_of_time(self, seconds: Fraction | float) -> int:
        """Number of the last segment that starts at `seconds` (pts) or before; of the first if none does."""
        numerator, denominator = self.header.time_base
        pts = math.floor(Fraction(seconds) * denominator / numerator)
        return max(0, bisect_right(self.segments, pts, key=lambda entry: entry.first_pts) - 1)

    def read_segment(self, number: int) -> Segment:
        """Segment `number` of `segments`, verified.

        Raises CorruptSegment where anything about it does not hold.
        """
        entry = self.segments[number]
        try:
            plan = load_plan(self._source, entry, self._contents.file_id, self.header)
        except RecordError as error:
            time_base = Fraction(*self.header.time_base)
            start, end = float(entry.first_pts * time_base), float(entry.last_pts * time_base)
            raise CorruptSegment(
                f"{self.path}: segment {number} at byte {entry.offset} (frames {entry.first_frame} to "
                f"{entry.end_frame - 1}, {start:.3f} to {end:.3f} s): {error}; {_REMEDY}"
            ) from error
        offset = entry.offset + RECORD.size + plan.streams_offset
        chunks = []
        for frame_count, lengths in plan.chunks:
            starts = accumulate(lengths, initial=offset)
            streams = tuple(self._source.read(start, length) for start, length in zip(starts, lengths, strict=False))
            chunks.append(Chunk(frame_count, streams))
            offset += sum(lengths)
        return Segment(entry.first_frame, plan.pts, plan.durations, tuple(chunks), plan.latents_hash)

    @property
    def has_sidecar(self) -> bool:
        return bool(self._sidecar_entries())

    def sidecar_pieces(self) -> Iterator[bytes]:
        """The sidecar's bytes in pieces of at most 1 MiB, each verified; none where there is no sidecar.

        Raises CorruptFile at the first piece that is damaged, missing or out of order, after the intact ones
        before it.
        """
        entries = self._sidecar_entries()
        last = False
        for expected, entry in enumerate(entries):
            try:
                number, last, data = load_sidecar_piece(self._source, entry, self._contents.file_id)
            except RecordError as error:
                raise CorruptFile(
                    f"{self.path}: sidecar piece {expected} at byte {entry.offset}: {error}; {_REMEDY}"
                ) from error
            if number != expected or last != (entry is entries[-1]):
                raise CorruptFile(
                    f"{self.path}: sidecar piece {number} at byte {entry.offset}: piece {expected} of "
                    f"{len(entries)} belongs there; {_REMEDY}"
                )
            yield data

    def salvage_sidecar(self, lost: Callable[[str], None]) -> Iterator[bytes]:
        """As `sidecar_pieces`, with zeros in place of pieces that are damaged or missing; `lost` is told of each.

        So what follows stays at its offset, which is what demuxers go by. At most as many zeros as the file
        has bytes; where more are missing, and where an unknown number is, the sidecar ends before.
        """
        yield from salvage_sidecar(self._source, self._sidecar_entries(), self._contents, lost)

    def check(self) -> Iterator[Finding]:
        """Read the whole file; yield a Finding for every record, gap and misplaced record, in file order.

        The file is sound when all of them are `intact`.
        """
        sound = Finding("preamble", 0, PREAMBLE.size, True, "intact")
        yield self._preamble_damage or sound
        yield from check_contents(self._source, self._contents, self.header)

    def close(self) -> None:
        """Close the file if it was opened by its path."""
        self._source.close()

    def __enter__(self) -> StpReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sidecar_entries(self) -> list[OtherEntry]:
        return [entry for entry in self._contents.others if entry.type == RecordType.SIDECAR]


def _check_preamble(source: Source) -> Finding | None:
    """None for an intact preamble; the damage where the file can be read all the same. Raises otherwise."""
    data = source.read_up_to(0, PREAMBLE.size)
    if not data:
        raise CorruptFile(f"{source.name}: is empty; copy it again from its source")
    if len(data) == PREAMBLE.size and data.startswith(MAGIC) and crc_holds(data):
        _, version, reserved, _ = PREAMBLE.unpack(data)
        if version == 0:
            raise CorruptFile(f"{source.name}: byte 8: format version 0 does not exist; {_REMEDY}")
        if version > VERSION or reserved:
            raise UnsupportedVersion(
                f"{source.name}: byte 8: format version {version}.{reserved}, this program reads "
                f"version {VERSION}; update stpcodec"
            )
        return None
    first = read_record(source, PREAMBLE.size, None)
    if (first and first.is_a(RecordType.STREAM_HEADER) and first.sequence == 0) or index_at_end(source):
        return Finding("preamble", 0, PREAMBLE.size, False, "the first 16 bytes are damaged")
    if MAGIC.startswith(data[: len(MAGIC)]):
        raise CorruptFile(f"{source.name}: damaged or cut off in the first 16 bytes; {_REMEDY}")
    raise CorruptFile(
        f"{source.name}: is not a .stp file (it begins with {data[:8].hex(' ')}); name one made by `stpcodec encode`"
    )


def _refuse_unknown(source: Source, others: list[OtherEntry]) -> None:
    for entry in others:
        known = any(entry.type == kind and entry.flags == kind.flags for kind in RecordType)
        if not known and not entry.flags & ANCILLARY:
            raise UnsupportedVersion(
                f"{source.name}: record {entry.sequence} at byte {entry.offset} has type {entry.type}, "
                f"flags {entry.flags}, unknown to this program; update stpcodec"
            )


def _find_header(source: Source, contents: Contents) -> tuple[StreamHeader, Finding | None]:
    """The stream header of record 0 or its copy, and what is wrong with record 0."""
    copies = [e.offset for e in contents.others if e.type == RecordType.STREAM_HEADER and e.sequence]
    damage: list[Finding] = []
    for offset in [PREAMBLE.size, *copies[-1:]]:
        record = read_record(source, offset, contents.file_id)
        try:
            if record is None:
                raise RecordError("no valid record stands there")
            return load_header(source, record), damage[0] if damage else None
        except RecordError as error:
            length = record.end - offset if record else RECORD.size
            damage.append(Finding("header", offset, length, False, str(error)))
        except UnsupportedVersion as error:
            raise UnsupportedVersion(f"{source.name}: {error}; update stpcodec") from error
    raise CorruptFile(f"{source.name}: stream header at byte {PREAMBLE.size}: {damage[0].message}; {_REMEDY}")
