"""Writes .stp files front to back: never seeks, never holds more than one record and the list of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import xxhash

from stpcodec.container.header import StreamHeader, encode_header
from stpcodec.container.index import Entry, OtherEntry, SegmentEntry, encode_index
from stpcodec.container.layout import RECORD, SIDECAR_HEAD, Record, RecordType, preamble
from stpcodec.container.limits import MAX_RECORDS, MAX_SIDECAR_PIECE, max_segment_payload
from stpcodec.container.segment import Segment, encode_segment
from stpcodec.errors import OutputError, UsageError

_HEADER_COPY_SHARE = 256  # the second copy of the header may cost at most one part in so many of the file


class ByteSink(Protocol):
    """What `StpWriter` needs of a file."""

    def write(self, data: memoryview, /) -> int | None: ...

    def flush(self) -> None: ...


class StpWriter:
    """Writes one .stp file to `file`, a writable binary stream that need not be seekable.

    Call `write_header` first, `write_segment` in the order of the frames, `write_sidecar` at most once
    before, between or after them, `finish` last. Calls out of order, or values against the format, raise
    UsageError; what the operating system says (no space left) comes as OSError from `file`. A file without
    `finish` is readable up to its last segment, and readers see that it is incomplete.
    """

    def __init__(self, file: ByteSink) -> None:
        self._file = file
        self._header: StreamHeader | None = None
        self._header_payload = b""
        self._file_id = 0
        self._entries: list[Entry] = []
        self._last_segment: SegmentEntry | None = None
        self._has_sidecar = False
        self._finished = False
        self.bytes_written = 0

    def write_header(self, header: StreamHeader) -> None:
        """Write preamble and stream header."""
        if self._header is not None:
            raise UsageError("write_header was called twice; a .stp file has one stream header")
        payload = encode_header(header)
        self._header, self._header_payload = header, payload
        self._file_id = xxhash.xxh3_64_intdigest(payload) & 0xFFFFFFFF
        self._write(preamble())
        self._add_other(RecordType.STREAM_HEADER, [payload])

    def write_segment(self, segment: Segment) -> SegmentEntry:
        """Write the next segment; returns where it stands."""
        header, last = self._open_header("write_segment"), self._last_segment
        expected = last.end_frame if last else 0
        if segment.first_frame != expected:
            raise UsageError(f"segment starts at frame {segment.first_frame}, frame {expected} comes next")
        if last and segment.pts[0] <= last.last_pts:
            raise UsageError(f"segment starts at pts {segment.pts[0]}, the one before ends at {last.last_pts}")
        parts = list(encode_segment(segment))
        size, most = (
            sum(map(len, parts)),
            max_segment_payload(header.width, header.height, segment.frame_count),
        )
        if size > most:
            raise UsageError(
                f"segment takes {size} bytes, a .stp file holds {most} for {segment.frame_count} frames of "
                f"{header.width}x{header.height}; lower the quality"
            )
        record = self._write_record(RecordType.SEGMENT, parts)
        entry = SegmentEntry(
            record.offset,
            record.end - record.offset,
            segment.first_frame,
            segment.frame_count,
            segment.pts[0],
            segment.pts[-1],
            record.sequence,
        )
        self._entries.append(entry)
        self._last_segment = entry
        return entry

    def write_sidecar(self, pieces: Iterable[bytes]) -> None:
        """Write the other streams' file, given in pieces of any sizes, as records of 1 MiB.

        No bytes, no sidecar.
        """
        self._open_header("write_sidecar")
        if self._has_sidecar:
            raise UsageError("write_sidecar was called twice; a .stp file has one sidecar")
        held: bytes | None = None  # one behind, because a piece has to say whether it is the last
        number = 0
        for piece in _regroup(pieces, MAX_SIDECAR_PIECE):
            if held is not None:
                self._add_other(RecordType.SIDECAR, [SIDECAR_HEAD.pack(number, 0), held])
                number += 1
            held = piece
        if held is not None:
            self._add_other(RecordType.SIDECAR, [SIDECAR_HEAD.pack(number, 1), held])
            self._has_sidecar = True

    def finish(self) -> int:
        """Write index and foot, flush, and return the size of the file in bytes. `file` stays open."""
        self._open_header("finish")
        if self._last_segment is None:
            raise UsageError("finish was called before write_segment; a .stp file holds at least one frame")
        if (RECORD.size + len(self._header_payload)) * _HEADER_COPY_SHARE <= self.bytes_written:
            self._add_other(RecordType.STREAM_HEADER, [self._header_payload])
        self._write_record(RecordType.INDEX, [encode_index(self._entries)])
        self._finished = True
        self._file.flush()
        return self.bytes_written

    def _open_header(self, call: str) -> StreamHeader:
        if self._header is None or self._finished:
            raise UsageError(f"{call} was called {'after finish' if self._finished else 'before write_header'}")
        return self._header

    def _add_other(self, kind: RecordType, parts: list[bytes]) -> None:
        record = self._write_record(kind, parts)
        self._entries.append(OtherEntry(record.offset, record.end - record.offset, kind, kind.flags, record.sequence))

    def _write_record(self, kind: RecordType, parts: list[bytes]) -> Record:
        # two records stay free for the header's copy and the index
        if len(self._entries) >= MAX_RECORDS - 2 and kind in (RecordType.SEGMENT, RecordType.SIDECAR):
            raise UsageError(f"a .stp file holds {MAX_RECORDS} records; make the segments longer")
        check = xxhash.xxh3_64()
        for part in parts:
            check.update(part)
        record = Record(
            self.bytes_written,
            kind,
            kind.flags,
            sum(map(len, parts)),
            len(self._entries),
            self._file_id,
            check.intdigest(),
        )
        self._write(record.pack())
        for part in parts:
            self._write(part)
        return record

    def _write(self, data: bytes) -> None:
        """All of `data`, also to raw files and pipes, which may take a part of it at a time."""
        self.bytes_written += len(data)
        rest = memoryview(data)
        while rest:
            taken = self._file.write(rest)
            if not taken:
                raise OutputError(
                    "the output takes no more bytes (is it in non-blocking mode?); write to a file instead"
                )
            rest = rest[taken:]


def _regroup(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last shorter; holds one of them and one of `pieces`."""
    held = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while view:
            taken = view[: size - len(held)]
            held += taken
            view = view[len(taken) :]
            if len(held) == size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)
