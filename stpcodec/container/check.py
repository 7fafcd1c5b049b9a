"""Verifies a whole file: every header, every payload check, every table, each against what the index says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import merge

from stpcodec.container.contents import Contents, describe_damage
from stpcodec.container.finding import Finding
from stpcodec.container.header import StreamHeader
from stpcodec.container.layout import Record, RecordType
from stpcodec.container.load import (
    RecordError,
    check_payload,
    expect_entry,
    load_header,
    load_plan,
    load_sidecar_piece,
)
from stpcodec.container.scan import survey
from stpcodec.container.source import Source
from stpcodec.errors import UnsupportedVersion


def check_contents(source: Source, contents: Contents, header: StreamHeader) -> Iterator[Finding]:
    """Everything behind the preamble in file order, one Finding for each record and each gap.

    Memory: one record's tables.
    """
    found = survey(source, contents.file_id)
    checker = _Checker(source, contents, header)
    yield from merge(
        describe_damage(source, found, contents),
        (checker.check(record) for record in found.records if checker.knows(record)),
        key=lambda finding: finding.offset,
    )


class _Checker:
    """Checks one record after the other, in file order, against the contents of their file."""

    def __init__(self, source: Source, contents: Contents, header: StreamHeader) -> None:
        self._source, self._contents, self._header = source, contents, header
        self._segments = {entry.sequence: number for number, entry in enumerate(contents.segments)}
        self._others = {entry.sequence: entry for entry in contents.others}
        pieces = [entry.sequence for entry in contents.others if entry.type == RecordType.SIDECAR]
        self._last_piece = pieces[-1] if pieces else None
        self._next_number = 0

    def knows(self, record: Record) -> bool:
        """False for segments whose head is damaged: with no index, they are no part of the contents."""
        return not record.is_a(RecordType.SEGMENT) or record.sequence in self._segments

    def check(self, record: Record) -> Finding:
        finding = Finding(_kind(record), record.offset, record.end - record.offset, True, "intact")
        if record.is_a(RecordType.SEGMENT):
            finding = self._located(finding, self._segments[record.sequence])
        try:
            self._check(record)
        except (RecordError, UnsupportedVersion) as error:
            return replace(finding, intact=False, message=str(error))
        return finding

    def _located(self, finding: Finding, number: int) -> Finding:
        entries = self._contents.segments
        entry = entries[number]
        end_pts = entries[number + 1].first_pts if number + 1 < len(entries) else entry.last_pts + 1
        return replace(
            finding,
            segment=number,
            first_frame=entry.first_frame,
            end_frame=entry.end_frame,
            first_pts=entry.first_pts,
            end_pts=end_pts,
        )

    def _check(self, record: Record) -> None:
        if record.is_a(RecordType.SEGMENT):
            entry = self._contents.segments[self._segments[record.sequence]]
            expect_entry(record, entry)
            load_plan(self._source, entry, self._contents.file_id, self._header)
            return
        check_payload(self._source, record)
        if record.is_a(RecordType.INDEX):
            if self._contents.rebuilt:
                raise RecordError("the index contradicts itself or the limits")
            return
        other = self._others.get(record.sequence)
        expect_entry(record, other)
        if record.is_a(RecordType.STREAM_HEADER) and load_header(self._source, record) != self._header:
            raise RecordError("the copies of the stream header differ")
        if record.is_a(RecordType.SIDECAR) and other is not None:
            self._check_piece(*load_sidecar_piece(self._source, other, self._contents.file_id)[:2], record.sequence)

    def _check_piece(self, number: int, last: bool, sequence: int) -> None:
        expected, self._next_number = self._next_number, number + 1
        if number != expected or last != (sequence == self._last_piece):
            raise RecordError(
                f"piece {number} of the sidecar{', the last' if last else ''}, where piece {expected} belongs"
            )


def _kind(record: Record) -> str:
    names = {
        RecordType.STREAM_HEADER: "header",
        RecordType.SEGMENT: "segment",
        RecordType.SIDECAR: "sidecar",
        RecordType.INDEX: "index",
    }
    return next((name for kind, name in names.items() if record.is_a(kind)), "other")
