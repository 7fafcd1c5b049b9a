from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.errors import UsageError
from stpcodec.patches.partition import Chunk, chunks

LUMA = np.zeros((2, 2), np.uint8)


@dataclass(frozen=True)
class Numbered:
    number: int
    y: np.ndarray = field(default_factory=lambda: LUMA, compare=False)


class CutsAt:
    """A detector that knows where the cuts are, and counts the frames it was shown."""

    def __init__(self, *cuts: int) -> None:
        self.cuts, self.seen = cuts, 0

    def push(self, y: np.ndarray, /) -> bool:
        self.seen += 1
        return self.seen - 1 in self.cuts


def numbers(count: int, *cuts: int, chunk_frames: int = 4, segment_frames: int = 128) -> list[list[list[int]]]:
    """Frame numbers by segment and chunk."""
    found: list[list[list[int]]] = []
    frames = (Numbered(number) for number in range(count))
    for chunk in chunks(frames, chunk_frames=chunk_frames, segment_frames=segment_frames, detector=CutsAt(*cuts)):
        if chunk.opens_segment:
            found.append([])
        found[-1].append([frame.number for frame in chunk.frames])
    return found


def test_the_docstrings_picture() -> None:
    assert numbers(14, 10) == [[[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]], [[10], [11, 12, 13]]]


@pytest.mark.parametrize(
    ("count", "cuts", "segment_frames", "expected"),
    [
        (0, (), 128, []),
        (1, (), 128, [[[0]]]),
        (2, (), 128, [[[0], [1]]]),
        (3, (0, 1, 2), 128, [[[0]], [[1]], [[2]]]),
        (3, (), 1, [[[0]], [[1]], [[2]]]),
        (7, (), 3, [[[0], [1, 2]], [[3], [4, 5]], [[6]]]),
        (8, (3,), 6, [[[0], [1, 2]], [[3], [4, 5, 6, 7]]]),
        (9, (6,), 6, [[[0], [1, 2, 3, 4], [5]], [[6], [7, 8]]]),
    ],
)
def test_segments(count: int, cuts: tuple[int, ...], segment_frames: int, expected: list[list[list[int]]]) -> None:
    assert numbers(count, *cuts, segment_frames=segment_frames) == expected


@given(st.integers(0, 300), st.sets(st.integers(0, 300), max_size=8), st.integers(1, 9), st.integers(1, 140))
def test_every_frame_once_in_order(count: int, cuts: set[int], chunk_frames: int, segment_frames: int) -> None:
    segments = numbers(count, *cuts, chunk_frames=chunk_frames, segment_frames=segment_frames)
    assert [number for segment in segments for chunk in segment for number in chunk] == list(range(count))
    starts = set()
    for segment in segments:
        starts.add(segment[0][0])
        assert len(segment[0]) == 1
        assert all(len(chunk) == chunk_frames for chunk in segment[1:-1])
        assert 1 <= len(segment[-1]) <= max(chunk_frames, 1)
        assert sum(map(len, segment)) <= segment_frames
    assert {cut for cut in cuts if cut < count} <= starts


def test_holds_no_more_than_a_chunk() -> None:
    taken = 0

    def source() -> Iterator[Numbered]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Numbered(number)

    given_out = 0
    for chunk in chunks(source(), chunk_frames=4, detector=CutsAt(50, 53)):
        given_out += len(chunk.frames)
        # frames still held when this chunk came out: at most the one that ended its segment
        assert taken - given_out <= 1
    assert given_out == 1000


@pytest.mark.parametrize("sizes", [{"chunk_frames": 0}, {"chunk_frames": 4, "segment_frames": 0}])
def test_sizes_below_one_are_refused_at_once(sizes: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        chunks([], detector=CutsAt(), **sizes)


def test_chunks_are_values() -> None:
    assert Chunk((Numbered(1),), True) == Chunk((Numbered(1),), True)
