from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from hypothesis import given

from stpcodec.container import Chunk, Segment, limits
from stpcodec.container.block import encode_block
from stpcodec.container.layout import SEGMENT_HEAD, with_crc
from stpcodec.container.segment import SegmentError, encode_segment, plan_segment, start_size
from stpcodec.container.varint import encode_varints, zigzag
from stpcodec.errors import UsageError
from tests.container.samples import make_segment, segments


def decode(payload: bytes) -> Segment:
    plan = plan_segment(payload[: start_size(len(payload))], len(payload))
    chunks, offset = [], plan.streams_offset
    for frame_count, lengths in plan.chunks:
        ends = list(accumulate(lengths, initial=offset))
        streams = tuple(payload[a:b] for a, b in pairwise(ends))
        chunks.append(Chunk(frame_count, streams))
        offset = ends[-1]
    assert offset == len(payload)
    return Segment(plan.head.first_frame, plan.pts, plan.durations, tuple(chunks), plan.latents_hash)


@given(segments(first_frame=77))
def test_round_trip(segment: Segment) -> None:
    assert decode(b"".join(encode_segment(segment))) == segment


def test_a_constant_frame_rate_takes_next_to_nothing() -> None:
    pts = tuple(range(0, 128 * 512, 512))
    chunks = tuple(Chunk(count, (b"", b"")) for count in [1] + [4] * 31 + [3])
    assert len(b"".join(encode_segment(Segment(0, pts, (512,) * 128, chunks, bytes(16))))) < 44 + 50


SEGMENT = make_segment(0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pts": ()}, "0 frames"),
        ({"pts": SEGMENT.pts[:-1]}, "4 pts for 5 coded frames"),
        ({"pts": (0, 1, 2, 3, 3)}, "rise strictly"),
        ({"pts": (0, 1, 2, 3, limits.MAX_PTS + 1)}, r"outside of \+-2\^62"),
        ({"pts": (-limits.MAX_PTS - 1, 1, 2, 3, 4)}, "outside"),
        ({"durations": (1, 2)}, "2 durations for 5 frames"),
        ({"durations": (1, 2, 3, 4, -1)}, "durations must be"),
        ({"first_frame": -1}, "frames from -1"),
        ({"first_frame": limits.MAX_FRAMES - 4}, "at most 16777216"),
        ({"latents_hash": b"short"}, "5 bytes"),
        ({"chunks": (Chunk(1, ()),) * 257, "pts": tuple(range(257))}, "257 frames"),
    ],
)
def test_contradictory_segments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SEGMENT, **change)  # type: ignore[arg-type]


def test_contradictory_chunks_are_refused() -> None:
    with pytest.raises(UsageError, match="frame_count is 0"):
        Chunk(0, (b"",))
    with pytest.raises(UsageError, match="65537 streams"):
        Chunk(1, (b"",) * 65537)


def test_tables_over_the_limit_are_refused() -> None:
    chunk = Chunk(1, (b"x" * 128,) * (1 << 16))
    with pytest.raises(UsageError, match="shorter segments or larger tiles"):
        list(encode_segment(Segment(0, tuple(range(9)), None, (chunk,) * 9, bytes(16))))


def forge(
    numbers: Iterable[int], *, streams: bytes = b"", frames: int = 3, chunks: int = 1, last_pts: int = 20
) -> bytes:
    head = with_crc(SEGMENT_HEAD, 0, frames, chunks, 0, last_pts)
    return head + bytes(16) + encode_block(encode_varints(numbers)) + streams


GOOD = [10, zigzag(0), 0, 3, 1, 5]


def test_the_forger_can_also_tell_the_truth() -> None:
    assert decode(forge(GOOD, streams=b"12345")).pts == (0, 10, 20)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "CRC"),
        (forge(GOOD, streams=b"12345")[:20], "CRC"),
        (forge(GOOD, streams=b"12345")[:50], "tables"),
        (forge(GOOD, streams=b"123456"), "take 5 bytes, 6 are there"),
        (forge(GOOD, streams=b"1234"), "take 5 bytes, 4 are there"),
        (forge([0, 0, 0, 3, 1, 0]), "do not rise"),
        (forge([10, zigzag(-10), 0, 3, 1, 0]), "do not rise"),
        (forge([10, zigzag(1), 0, 3, 1, 0]), "end at 21, its head says 20"),
        (forge([10, zigzag(0), 2, 3, 1, 0]), "unknown form"),
        (forge([10, zigzag(0), 1, zigzag(-11), 0, 0, 3, 1, 0]), "durations are outside"),
        (forge([10, zigzag(0), 0, 2, 1, 0]), "hold 2 frames, its head says 3"),
        (forge([10, zigzag(0), 0, 3, 70000, 0]), "70000 streams"),
        (forge([10, zigzag(0), 0, 3, 60000, 0]), "past the end"),
        (forge([10, zigzag(0), 0, 3, 0, 1, 2, 3]), "too many"),
        (forge([10, zigzag(0), 0, 3, 1, (1 << 64) - 1]), "are there"),
        (forge([10, zigzag(0), 0, 0, 3, 0, 0], chunks=2), "hold 3 frames|0 frames"),
        (forge(GOOD, chunks=4), "contradicts itself"),
        (forge(GOOD, chunks=0), "contradicts itself"),
        (forge(GOOD, frames=257), "contradicts itself"),
        (forge(GOOD, last_pts=1), "contradicts itself"),
    ],
)
def test_damaged_or_forged_payloads_are_refused(payload: bytes, message: str) -> None:
    with pytest.raises(SegmentError, match=message):
        decode(payload)
