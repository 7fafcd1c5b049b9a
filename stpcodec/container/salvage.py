"""What is left of a damaged sidecar, every byte of it at its own offset."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stpcodec.container.contents import Contents
from stpcodec.container.index import OtherEntry
from stpcodec.container.layout import RECORD, SIDECAR_HEAD
from stpcodec.container.limits import MAX_SIDECAR_PIECE
from stpcodec.container.load import RecordError, load_sidecar_piece
from stpcodec.container.source import Source


def salvage_sidecar(
    source: Source, entries: list[OtherEntry], contents: Contents, lost: Callable[[str], None]
) -> Iterator[bytes]:
    """Pieces in order, zeros for those between them that are lost; see `StpReader.salvage_sidecar`."""
    expected, zeros_left, ended = 0, source.size, False
    missing: list[int] = []  # sizes of the lost pieces since the last intact one
    for entry in entries:
        at = f"sidecar piece at byte {entry.offset}"
        try:
            number, last, data = load_sidecar_piece(source, entry, contents.file_id)
        except RecordError as error:
            lost(f"{at}: {error}")
            missing.append(min(max(0, entry.length - RECORD.size - SIDECAR_HEAD.size), MAX_SIDECAR_PIECE))
            continue
        if ended or number < expected + len(missing):
            lost(f"{at}: piece {number} does not belong there")
            continue
        absent = number - expected - len(missing)
        if absent:
            lost(f"{at}: {absent} piece(s) before it are missing")
        # an absent piece is a full one: only the last may be shorter, and this is behind it
        zeros = sum(missing) + absent * MAX_SIDECAR_PIECE
        if zeros > zeros_left:
            lost(f"{at}: more is missing before it than the file has bytes; the sidecar ends there")
            return
        zeros_left -= zeros
        yield from _zeros(zeros)
        yield data
        expected, missing, ended = number + 1, [], last
    if not ended and entries:
        lost(f"the sidecar's end is missing, from piece {expected} on")


def _zeros(count: int) -> Iterator[bytes]:
    for start in range(0, count, MAX_SIDECAR_PIECE):
        yield bytes(min(MAX_SIDECAR_PIECE, count - start))
