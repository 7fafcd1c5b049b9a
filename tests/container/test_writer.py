from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.container import Segment, StpWriter, limits
from stpcodec.container.writer import _regroup
from stpcodec.errors import OutputError, UsageError
from tests.container.samples import HEADER, make_segment, make_segments, open_bytes, write_file


class Pipe:
    """Takes at most `most` bytes at a time, and neither seeks nor tells."""

    def __init__(self, most: int) -> None:
        self.data, self.most, self.flushed = bytearray(), most, False

    def write(self, data: memoryview) -> int:
        self.data += data[: self.most]
        return min(len(data), self.most)

    def flush(self) -> None:
        self.flushed = True


def test_streams_into_a_pipe() -> None:
    pipe = Pipe(most=7)
    writer = StpWriter(pipe)
    writer.write_header(HEADER)
    segments = make_segments(2)
    for segment in segments:
        entry = writer.write_segment(segment)
        assert entry.offset + entry.length == writer.bytes_written == len(pipe.data)
    assert writer.finish() == len(pipe.data)
    assert pipe.flushed
    assert bytes(pipe.data) == write_file(segments)


def test_a_full_pipe_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(OutputError, match="takes no more bytes"):
        StpWriter(Pipe(most=0)).write_header(HEADER)


def test_the_same_calls_give_the_same_bytes() -> None:
    assert write_file(make_segments(3), sidecar=b"x") == write_file(make_segments(3), sidecar=b"x")


def test_calls_out_of_order_are_refused() -> None:
    writer = StpWriter(io.BytesIO())
    for call in (
        lambda: writer.write_segment(make_segment(0, 0)),
        lambda: writer.write_sidecar([]),
        writer.finish,
    ):
        with pytest.raises(UsageError, match="before write_header"):
            call()
    writer.write_header(HEADER)
    with pytest.raises(UsageError, match="called twice"):
        writer.write_header(HEADER)
    with pytest.raises(UsageError, match="before write_segment"):
        writer.finish()
    writer.write_segment(make_segment(0, 0))
    writer.write_sidecar([b"x"])
    with pytest.raises(UsageError, match="called twice"):
        writer.write_sidecar([b"x"])
    writer.finish()
    with pytest.raises(UsageError, match="after finish"):
        writer.write_segment(make_segment(5, 9999))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (make_segment(4, 99999), "frame 5 comes next"),
        (make_segment(6, 99999), "frame 5 comes next"),
        (make_segment(5, 4004), "starts at pts 4004, the one before ends at 4004"),
    ],
)
def test_segments_must_follow_each_other(second: Segment, message: str) -> None:
    writer = StpWriter(io.BytesIO())
    writer.write_header(HEADER)
    writer.write_segment(make_segment(0, 0))
    with pytest.raises(UsageError, match=message):
        writer.write_segment(second)


def test_segment_larger_than_its_frames_can_need_is_refused() -> None:
    limit = limits.max_segment_payload(HEADER.width, HEADER.height, 1)
    segment = make_segment(0, 0, frames=1)
    object.__setattr__(segment.chunks[0], "streams", (bytes(limit),))
    writer = StpWriter(io.BytesIO())
    writer.write_header(HEADER)
    size = writer.bytes_written
    with pytest.raises(UsageError, match="lower the quality"):
        writer.write_segment(segment)
    assert writer.bytes_written == size


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 40))
def test_regrouped_pieces_are_the_same_bytes(pieces: list[bytes], size: int) -> None:
    regrouped = list(_regroup(pieces, size))
    assert b"".join(regrouped) == b"".join(pieces)
    assert all(len(piece) == size for piece in regrouped[:-1])
    assert all(0 < len(piece) <= size for piece in regrouped)


@pytest.mark.parametrize("size", [0, 1, limits.MAX_SIDECAR_PIECE, limits.MAX_SIDECAR_PIECE + 1])
def test_sidecar_comes_back(size: int) -> None:
    sidecar = bytes(range(256)) * (size // 256 + 1)
    reader = open_bytes(write_file(make_segments(2), sidecar=sidecar[:size]))
    assert b"".join(reader.sidecar_pieces()) == sidecar[:size]
    assert reader.has_sidecar == (size > 0)
    assert all(finding.intact for finding in reader.check())


def test_memory_does_not_grow_with_the_file() -> None:
    class Sink(Pipe):
        def write(self, data: memoryview) -> int:
            return len(data)

    writer = StpWriter(Sink(0))
    writer.write_header(HEADER)
    tracemalloc.start()
    writer.write_sidecar(bytes(1 << 16) for _ in range(1024))
    for number in range(50):
        writer.write_segment(make_segment(number * 5, number * 5005))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert writer.bytes_written > 64 << 20
    assert peak < 5 << 20
