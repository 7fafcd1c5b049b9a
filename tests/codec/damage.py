"""Ways to damage a .stp file on disk."""

from __future__ import annotations

from pathlib import Path

from stpcodec.container import SegmentEntry, StpReader


def entries_of(path: Path) -> list[SegmentEntry]:
    with StpReader(path) as stream:
        return list(stream.segments)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def flip_segment(path: Path, number: int) -> SegmentEntry:
    """Flip a bit near the end of a segment's payload; returns the segment."""
    entry = entries_of(path)[number]
    flip(path, entry.offset + entry.length - 5)
    return entry


def remove_segment(path: Path, number: int, *, index: bool = True) -> SegmentEntry:
    """Cut a segment's record out, and the index with it if `index` is false; returns the segment."""
    entries = entries_of(path)
    entry, data = entries[number], path.read_bytes()
    end = len(data) if index else max(e.offset + e.length for e in entries)
    path.write_bytes(data[: entry.offset] + data[entry.offset + entry.length : end])
    return entry


def cut_behind(path: Path, number: int, extra: int = 0) -> None:
    """Keep the file up to segment `number`, and `extra` bytes more."""
    entry = entries_of(path)[number]
    path.write_bytes(path.read_bytes()[: entry.offset + entry.length + extra])
