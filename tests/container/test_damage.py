"""Real damage: every byte flipped, every cut, records and bytes removed, repeated, swapped, added."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.container import Chunk, Finding, Segment
from stpcodec.errors import CorruptFile, CorruptSegment
from tests.container.samples import (
    HEADER,
    is_sound,
    make_segment,
    make_segments,
    open_bytes,
    split_records,
    write_file,
)

SEGMENTS = make_segments(3)
SIDECAR = b"the sound"
FILE = write_file(SEGMENTS, sidecar=SIDECAR)  # preamble, header, segments 0 and 1, sidecar, segment 2, index
RECORDS = split_records(FILE)
STARTS = [sum(map(len, RECORDS[:number])) for number in range(len(RECORDS))]
SEGMENT_RECORDS = {2: 0, 3: 1, 5: 2}


def intact_segments(data: bytes) -> dict[int, Segment]:
    """What can be read, by first frame; and nothing that was never written."""
    reader = open_bytes(data)
    result = {}
    for number, entry in enumerate(reader.segments):
        try:
            segment = reader.read_segment(number)
        except CorruptSegment:
            continue
        assert segment in SEGMENTS
        assert segment.first_frame == entry.first_frame
        result[segment.first_frame] = segment
    return result


def lost_frames(data: bytes, total: int = 15) -> set[int]:
    """All frames that `check` says may be lost."""
    frames: set[int] = set()
    for finding in open_bytes(data).check():
        if not finding.intact and finding.first_frame is not None:
            frames |= set(range(finding.first_frame, total if finding.end_frame is None else finding.end_frame))
    return frames


def assert_honest(data: bytes) -> None:
    """Every frame is either read as it was written or reported lost, and the file is not called sound."""
    assert not is_sound(data)
    read = {
        frame
        for segment in intact_segments(data).values()
        for frame in range(segment.first_frame, segment.first_frame + 5)
    }
    assert set(range(15)) - read <= lost_frames(data)


def test_the_file_is_sound_before_it_is_damaged() -> None:
    assert is_sound(FILE)
    assert len(intact_segments(FILE)) == 3


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed(mask: int) -> None:
    for offset in range(len(FILE)):
        data = FILE[:offset] + bytes([FILE[offset] ^ mask]) + FILE[offset + 1 :]
        record = max(number for number, start in enumerate(STARTS) if start <= offset)
        if record == 1:  # the stream header, of which so small a file has no copy
            with pytest.raises(CorruptFile, match="stream header at byte 16"):
                open_bytes(data)
            continue
        assert_honest(data)
        damaged = [finding for finding in open_bytes(data).check() if not finding.intact]
        # the damage is found where it is, and no intact segment is lost to it
        assert any(f.offset <= offset < f.offset + f.length for f in damaged), offset
        expected = 2 if record in SEGMENT_RECORDS else 3
        assert len(intact_segments(data)) == expected, offset
        lost = SEGMENT_RECORDS.get(record)
        assert lost_frames(data) <= (set() if lost is None else set(range(lost * 5, lost * 5 + 5))) | (
            set(range(15, 99)) if record == 6 else set()
        )


def test_every_cut_is_noticed_and_keeps_what_is_before_it() -> None:
    for size in range(len(FILE)):
        data = FILE[:size]
        if size < STARTS[2]:
            with pytest.raises(CorruptFile):
                open_bytes(data)
            continue
        reader = open_bytes(data)
        assert not reader.complete
        whole = sum(STARTS[number] + len(RECORDS[number]) <= size for number in SEGMENT_RECORDS)
        assert list(intact_segments(data)) == [0, 5, 10][:whole], size
        assert_honest(data)


@pytest.mark.parametrize("record", range(2, len(RECORDS)))
def test_removed_records_are_noticed(record: int) -> None:
    data = b"".join(RECORDS[:record] + RECORDS[record + 1 :])
    assert_honest(data)
    assert len(intact_segments(data)) == 3 - (record in SEGMENT_RECORDS)
    assert not open_bytes(data).complete


@pytest.mark.parametrize("record", [2, 3, 5])
def test_a_removed_segment_is_noticed_by_a_damaged_index(record: int) -> None:
    """Found by tests/fuzz: the head of the index, all that is left of it, says how many records were before it."""
    data = b"".join(RECORDS[:record] + RECORDS[record + 1 :])[:-1]
    assert_honest(data)
    alone = split_records(write_file(SEGMENTS[:1]))
    broken = b"".join([*alone[:2], *alone[3:]])[:-1]
    assert lost_frames(broken, total=5) == set(range(5))


@pytest.mark.parametrize("record", range(2, len(RECORDS)))
def test_repeated_records_are_noticed(record: int) -> None:
    data = b"".join(RECORDS[: record + 1] + RECORDS[record:])
    assert_honest(data)
    assert len(intact_segments(data)) == 3


@pytest.mark.parametrize(("a", "b"), [(2, 3), (2, 5), (3, 4), (3, 6), (1, 2)])
def test_swapped_records_are_noticed(a: int, b: int) -> None:
    records = list(RECORDS)
    records[a], records[b] = records[b], records[a]
    data = b"".join(records)
    try:
        assert_honest(data)
    except CorruptFile:
        assert a == 1


def test_swapped_records_of_one_size_are_noticed_though_the_index_fits() -> None:
    assert len(RECORDS[2]) == len(RECORDS[3])
    data = b"".join([*RECORDS[:2], RECORDS[3], RECORDS[2], *RECORDS[4:]])
    reader = open_bytes(data)
    with pytest.raises(CorruptSegment, match=r"record 2, type 2, .* index has record 1"):
        reader.read_segment(0)
    damaged = [finding.kind for finding in reader.check() if not finding.intact]
    assert damaged == ["gap", "segment", "misplaced"]


def test_record_of_another_file_is_noticed() -> None:
    other = split_records(write_file(SEGMENTS, sidecar=SIDECAR, header=replace(HEADER, quality=51)))
    data = b"".join([*RECORDS[:3], other[3], *RECORDS[4:]])
    assert_honest(data)
    assert list(intact_segments(data)) == [0, 10]


def test_a_stp_file_inside_the_sidecar_is_not_mistaken_for_records() -> None:
    data = write_file(SEGMENTS, sidecar=write_file([make_segment(0, 7, seed=99)] * 1, sidecar=b"y"))
    # same header, so the same file id: the outer sequence numbers still decide; now lose the sidecar's header
    start = open_bytes(data).segments[1]
    at = start.offset + start.length
    broken = data[:at] + bytes(4) + data[at + 4 :]
    assert not is_sound(broken)
    assert list(intact_segments(broken)) == [0, 5, 10]


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_removed_bytes_cost_no_intact_segment(seed: int, count: int) -> None:
    start = random.Random(seed).randrange(STARTS[2], len(FILE))
    end = min(start + count, len(FILE))
    data = FILE[:start] + FILE[end:]
    assert_honest(data)
    untouched = [
        first
        for record, first in ((2, 0), (3, 5), (5, 10))
        if STARTS[record] + len(RECORDS[record]) <= start or STARTS[record] >= end
    ]
    assert list(intact_segments(data)) == untouched


@given(st.integers(STARTS[2], len(FILE)), st.binary(min_size=1, max_size=100))
def test_added_bytes_are_noticed(at: int, added: bytes) -> None:
    data = FILE[:at] + added + FILE[at:]
    if data[: len(FILE)] == FILE and at == len(FILE):
        assert not open_bytes(data).complete
        assert not open_bytes(data).index_rebuilt
    assert_honest(data)
    assert len(intact_segments(data)) >= 2


@given(st.lists(st.tuples(st.integers(0, len(FILE) - 1), st.integers(1, 255)), min_size=2, max_size=12))
def test_many_flips_are_survived(flips: list[tuple[int, int]]) -> None:
    data = bytearray(FILE)
    for offset, mask in flips:
        data[offset] ^= mask
    if bytes(data) == FILE:
        return
    if any(STARTS[1] <= offset < STARTS[2] for offset, _ in flips):
        try:
            open_bytes(bytes(data))
        except CorruptFile:
            return
    assert_honest(bytes(data))


def large_file() -> tuple[list[Segment], bytes]:
    """One that is large enough for a copy of the stream header."""
    segments = [make_segment(i * 250, i * 250 * 1001, 250, seed=i) for i in range(4)]
    noise = random.Random(5).randbytes(10_000)
    segments = [replace(segment, chunks=(*segment.chunks[:1], Chunk(249, (noise,)))) for segment in segments]
    return segments, write_file(segments)


def test_large_files_have_their_header_twice() -> None:
    data = large_file()[1]
    assert [finding.kind for finding in open_bytes(data).check()].count("header") == 2
    assert is_sound(data)


@pytest.mark.parametrize(
    ("start", "end", "kinds", "first"),
    [
        (16, 40, ["header"], 0),  # the header of record 0
        (60, 61, ["header"], 0),  # its payload
        (0, 40, ["preamble", "header"], 0),
        (0, 512, ["preamble", "header"], 1),  # a whole sector, and with it the first segment
    ],
)
def test_large_files_survive_a_lost_beginning(start: int, end: int, kinds: list[str], first: int) -> None:
    segments, data = large_file()
    broken = data[:start] + bytes(end - start) + data[end:]
    reader = open_bytes(broken)
    assert reader.header == open_bytes(data).header
    assert [finding.kind for finding in reader.damage] == kinds
    assert [reader.read_segment(number) for number in range(first, 4)] == segments[first:]
    assert not is_sound(broken)


def test_times_of_lost_segments() -> None:
    def lost(data: bytes) -> list[Finding]:
        return [f for f in open_bytes(data).check() if f.first_frame is not None and not f.intact]

    flipped = FILE[: STARTS[3] + 100] + b"?!" + FILE[STARTS[3] + 102 :]
    [finding] = lost(flipped)
    assert (finding.kind, finding.segment, finding.offset, finding.length) == (
        "segment",
        1,
        STARTS[3],
        len(RECORDS[3]),
    )
    assert (finding.first_pts, finding.end_pts) == (5005, 10010)

    without_index = flipped[: STARTS[6]]
    headless = without_index[: STARTS[3]] + b"?" + without_index[STARTS[3] + 1 :]
    [finding, end] = lost(headless)
    assert (finding.kind, finding.offset, finding.length) == ("gap", STARTS[3], len(RECORDS[3]))
    assert (finding.first_frame, finding.end_frame) == (5, 10)
    assert (finding.first_pts, finding.end_pts) == (4005, 10010)  # from right after the last intact frame
    assert (end.first_frame, end.end_frame, end.end_pts) == (15, None, None)


def test_damaged_sidecar_raises_after_its_intact_pieces() -> None:
    data = write_file(SEGMENTS, sidecar=bytes(3 << 20))
    offset = data.index(bytes([1, 0, 0, 0, 0]) + bytes(1000))  # the head of piece 1
    pieces = open_bytes(data[: offset + 99] + b"?" + data[offset + 100 :]).sidecar_pieces()
    assert len(next(pieces)) == 1 << 20
    with pytest.raises(CorruptFile, match="sidecar piece 1 at byte"):
        next(pieces)


def test_missing_sidecar_pieces_are_noticed_without_an_index() -> None:
    records = split_records(write_file(SEGMENTS, sidecar=bytes((2 << 20) + 1)))
    kinds = [record[4] for record in records[1:]]
    first = kinds.index(3) + 1
    for gone in range(3):
        kept = records[: first + gone] + records[first + gone + 1 : -1]
        with pytest.raises(CorruptFile, match="belongs there"):
            list(open_bytes(b"".join(kept)).sidecar_pieces())
