from __future__ import annotations

import os
import zlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given

from stpcodec.container import Segment, StpReader, StreamHeader
from stpcodec.container.layout import MAGIC, PREAMBLE, with_crc
from stpcodec.errors import CorruptFile, InputError, StpError, UnsupportedVersion
from tests.container.samples import (
    HEADER,
    headers,
    is_sound,
    make_segments,
    open_bytes,
    restamp,
    segment_lists,
    split_records,
    write_file,
)


@given(headers(), segment_lists())
def test_round_trip(header: StreamHeader, segments: list[Segment]) -> None:
    data = write_file(segments, header=header, sidecar=b"sound")
    reader = open_bytes(data)
    assert reader.header == header
    assert [reader.read_segment(number) for number in range(len(reader.segments))] == segments
    assert b"".join(reader.sidecar_pieces()) == b"sound"
    assert reader.frame_count == sum(segment.frame_count for segment in segments)
    assert reader.complete
    assert not reader.index_rebuilt
    assert reader.damage == []
    assert is_sound(data)


@given(headers(), segment_lists())
def test_an_unfinished_file_says_the_same_but_is_not_complete(header: StreamHeader, segments: list[Segment]) -> None:
    reader = open_bytes(write_file(segments, header=header, finish=False))
    assert reader.header == header
    assert [reader.read_segment(number) for number in range(len(reader.segments))] == segments
    assert not reader.complete
    assert reader.index_rebuilt
    assert reader.damage[-1].kind == "index"


def test_findings_tile_a_sound_file() -> None:
    data = write_file(make_segments(3), sidecar=b"sound")
    position = 0
    kinds = []
    for finding in open_bytes(data).check():
        assert finding.offset == position
        position += finding.length
        kinds.append(finding.kind)
    assert position == len(data)
    assert kinds == ["preamble", "header", "segment", "segment", "sidecar", "segment", "index"]


def test_times_of_segments() -> None:
    findings = [f for f in open_bytes(write_file(make_segments(2))).check() if f.kind == "segment"]
    assert [(f.first_frame, f.end_frame) for f in findings] == [(0, 5), (5, 10)]
    assert [f.seconds(HEADER.time_base) for f in findings] == [
        (0, Fraction(5005, 30000)),
        (Fraction(5005, 30000), Fraction(9010, 30000)),
    ]


def test_finding_a_segment() -> None:
    reader = open_bytes(write_file(make_segments(3)))  # 5 frames each, a frame every 1001/30000 s
    assert [reader.segment_of_frame(frame) for frame in (0, 4, 5, 14, 15)] == [0, 0, 1, 2, None]
    assert [reader.segment_of_time(t) for t in (-1.0, 0.0, 0.1668, Fraction(5005, 30000), 0.1669, 99)] == [
        0, 0, 0, 1, 1, 2
    ]  # fmt: skip


def test_opens_paths_and_closes_them(tmp_path: Path) -> None:
    path = tmp_path / "clip.stp"
    path.write_bytes(write_file(make_segments(1)))
    with StpReader(path) as reader:
        assert reader.path == str(path)
        assert reader.size == path.stat().st_size
    with pytest.raises(ValueError, match="closed file"):
        reader.read_segment(0)


def test_reads_one_segment_only(tmp_path: Path) -> None:
    data = bytearray(write_file(make_segments(40)))
    reader = open_bytes(bytes(data))
    for entry in reader.segments[1:]:
        data[entry.offset : entry.offset + entry.length] = bytes(entry.length)
    reader = open_bytes(bytes(data))
    assert reader.complete
    assert reader.read_segment(0) == make_segments(1)[0]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", CorruptFile, "is empty"),
        (b"hello, world, this is a text file\n" * 9, CorruptFile, "is not a .stp file"),
        (b"x", CorruptFile, "is not a .stp file"),
        (MAGIC, CorruptFile, "damaged or cut off"),
        (MAGIC.replace(b"\r\n", b"\n") + bytes(99), CorruptFile, "is not a .stp file"),
        (with_crc(PREAMBLE, MAGIC, 1, 0), CorruptFile, "no valid record"),
        (with_crc(PREAMBLE, MAGIC, 0, 0), CorruptFile, "version 0"),
        (with_crc(PREAMBLE, MAGIC, 2, 0), UnsupportedVersion, "version 2.0, .* update stpcodec"),
        (with_crc(PREAMBLE, MAGIC, 1, 1), UnsupportedVersion, "version 1.1"),
    ],
)
def test_other_files_are_refused_in_one_line(
    tmp_path: Path, content: bytes, error: type[StpError], message: str
) -> None:
    path = tmp_path / "clip.stp"
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        StpReader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.stp: cannot be opened \(No such file"):
        StpReader(tmp_path / "missing.stp")
    with pytest.raises(InputError, match="not a regular file"):
        StpReader(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        StpReader(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be opened"):
        StpReader("nul\0byte")
    read_end, write_end = os.pipe()
    with (
        open(read_end, "rb", buffering=0) as pipe,
        open(write_end, "wb"),
        pytest.raises(InputError, match="copy it"),
    ):
        StpReader(pipe)  # type: ignore[arg-type]


def insert(data: bytes, at: int, kind: int, flags: int) -> bytes:
    """An empty record of this type before record `at`, those after it numbered anew, no index."""
    parts = split_records(data)[:-1]
    new = restamp(parts[1][:30], type=kind, flags=flags, length=0, payload_check=0x2D06800538D394C2)
    parts.insert(at + 1, new)
    return parts[0] + b"".join(restamp(part, sequence=number) for number, part in enumerate(parts[1:]))


def test_unknown_ancillary_records_are_skipped() -> None:
    data = insert(write_file(make_segments(3)), at=2, kind=77, flags=1)
    reader = open_bytes(data)
    assert [reader.read_segment(number) for number in range(3)] == make_segments(3)
    assert [finding.kind for finding in reader.check() if finding.intact][3:4] == ["other"]
    assert [finding.kind for finding in reader.check() if not finding.intact] == ["gap", "index"]


@pytest.mark.parametrize(("kind", "flags"), [(77, 0), (77, 2), (2, 4), (1, 128)])
def test_unknown_critical_records_are_unsupported(kind: int, flags: int) -> None:
    data = insert(write_file(make_segments(3)), at=2, kind=kind, flags=flags)
    with pytest.raises(UnsupportedVersion, match=f"record 2 at byte .* type {kind}, flags {flags}, .* update stpcodec"):
        open_bytes(data)


def test_crc_is_zlibs() -> None:
    data = write_file(make_segments(1))
    assert zlib.crc32(data[:12]) == int.from_bytes(data[12:16], "little")
