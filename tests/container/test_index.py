from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given

from stpcodec.container import Segment, limits
from stpcodec.container.block import encode_block
from stpcodec.container.index import BadIndex, decode_index
from stpcodec.container.layout import END_MARK, FOOT, RECORD
from stpcodec.container.varint import encode_varints, zigzag
from tests.container.samples import open_bytes, segment_lists, write_file

SIZE = 1 << 20


@given(segment_lists())
def test_entries_say_what_the_segments_are(segments: list[Segment]) -> None:
    data = write_file(segments, sidecar=b"sound")
    reader = open_bytes(data)
    assert reader.complete
    assert len(reader.segments) == len(segments)
    for entry, segment in zip(reader.segments, segments, strict=True):
        assert entry.first_frame == segment.first_frame
        assert entry.frame_count == segment.frame_count
        assert (entry.first_pts, entry.last_pts) == (segment.pts[0], segment.pts[-1])
        assert data[entry.offset : entry.offset + 4] == b"\xf5STR"


def forge(numbers: Iterable[int]) -> bytes:
    block = encode_block(encode_varints(numbers))
    return block + FOOT.pack(RECORD.size + len(block) + FOOT.size, END_MARK)


HEAD, SEGMENT = [1, 0, 100], [2, 0, 500, 5, zigzag(-7), 40]
NEXT = [2, 0, 500, 5, zigzag(3), 40]


def test_the_forger_can_also_tell_the_truth() -> None:
    entries = decode_index(forge([3, *HEAD, *SEGMENT, *NEXT]), sequence=3, file_size=SIZE)
    assert [entry.offset for entry in entries] == [16, 146, 676]
    assert entries[2].first_frame == 5  # type: ignore[union-attr]
    assert entries[2].first_pts == 36  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("payload", "sequence"),
    [
        (b"", 0),
        (forge([3, *HEAD, *SEGMENT, *NEXT]), 2),
        (forge([3, *HEAD, *SEGMENT]), 3),
        (forge([3, *HEAD, *SEGMENT, *SEGMENT]), 3),
        (forge([2, *HEAD, *SEGMENT, 0]), 2),
        (forge([2, *HEAD, *SEGMENT])[:-1], 2),
        (forge([2, *HEAD, *SEGMENT])[:-8] + FOOT.pack(99, END_MARK), 2),
        (forge([2, *HEAD, *SEGMENT]) + b"x", 2),
        (forge([2, *HEAD, 2, 0, 500, 0, 0, 0]), 2),
        (forge([2, *HEAD, 2, 0, 500, 257, 0, 300]), 2),
        (forge([2, *HEAD, 2, 0, 500, 5, 0, 3]), 2),
        (forge([2, *HEAD, 2, 0, 1 << 32, 5, 0, 4]), 2),
        (forge([2, *HEAD, 256, 0, 500]), 2),
        (forge([2, *HEAD, 2, 0, 500, 5, zigzag(limits.MAX_PTS - 3), 4]), 2),
        (forge([2, *HEAD, 2, 0, 500, 5, zigzag(-limits.MAX_PTS - 1), 4]), 2),
        (forge([3, *HEAD, *SEGMENT, 2, 0, 500, 5, zigzag(0), 4]), 3),
        (forge([limits.MAX_RECORDS, *HEAD]), limits.MAX_RECORDS),
    ],
)
def test_damaged_or_forged_indexes_are_refused(payload: bytes, sequence: int) -> None:
    with pytest.raises(BadIndex):
        decode_index(payload, sequence=sequence, file_size=SIZE)


def test_index_cannot_be_larger_than_the_file_allows() -> None:
    with pytest.raises(BadIndex, match="limit is 2000"):
        decode_index(forge([2, *HEAD, *SEGMENT] + [0] * 10_000), sequence=2, file_size=1000)
