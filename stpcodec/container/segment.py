"""The payload of a segment record (FORMAT.md §5): frame times, chunk table, and the chunks' opaque bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from stpcodec.container.block import BlockError, decode_block, encode_block
from stpcodec.container.layout import LATENTS_HASH_BYTES, SEGMENT_HEAD, crc_holds, with_crc
from stpcodec.container.limits import (
    BLOCK_SLACK,
    MAX_FRAMES,
    MAX_PTS,
    MAX_SEGMENT_FRAMES,
    MAX_STREAMS_PER_CHUNK,
    max_side_information,
)
from stpcodec.container.varint import VarintError, VarintReader, encode_varints, zigzag
from stpcodec.errors import UsageError

FIXED_BYTES = SEGMENT_HEAD.size + LATENTS_HASH_BYTES


class SegmentError(ValueError):
    """The bytes are not a segment's payload within the limits."""


@dataclass(frozen=True)
class Chunk:
    """`frame_count` frames coded together into `streams`, byte strings for the model alone."""

    frame_count: int
    streams: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise UsageError(f"chunk: frame_count is {self.frame_count}, must be at least 1")
        if len(self.streams) > MAX_STREAMS_PER_CHUNK:
            raise UsageError(f"chunk: {len(self.streams)} streams, limit {MAX_STREAMS_PER_CHUNK}; use larger tiles")


@dataclass(frozen=True)
class Segment:
    """A closed run of frames, decodable on its own; checked when it is built (UsageError).

    `pts` are exact, strictly rising, in units of the header's time base, one for each frame of the chunks;
    `durations` likewise (0 unknown), or None. `latents_hash`: 16 bytes, XXH3-128 of the integer latents.
    """

    first_frame: int
    pts: tuple[int, ...]
    durations: tuple[int, ...] | None
    chunks: tuple[Chunk, ...]
    latents_hash: bytes

    def __post_init__(self) -> None:
        count = len(self.pts)
        coded = sum(chunk.frame_count for chunk in self.chunks)
        if not 1 <= count <= MAX_SEGMENT_FRAMES:
            raise UsageError(f"segment: {count} frames, must be 1 to {MAX_SEGMENT_FRAMES}")
        if count != coded:
            raise UsageError(f"segment: {count} pts for {coded} coded frames")
        if not 0 <= self.first_frame <= MAX_FRAMES - count:
            raise UsageError(f"segment: frames from {self.first_frame} on, a file holds at most {MAX_FRAMES}")
        if any(later <= earlier for earlier, later in pairwise(self.pts)):
            raise UsageError(f"segment: pts do not rise strictly from {self.pts[0]} to {self.pts[-1]}")
        if max(-self.pts[0], self.pts[-1]) > MAX_PTS:
            raise UsageError(f"segment: pts from {self.pts[0]} to {self.pts[-1]} are outside of +-2^62")
        if self.durations is not None:
            if len(self.durations) != count:
                raise UsageError(f"segment: {len(self.durations)} durations for {count} frames")
            if not 0 <= min(self.durations) <= max(self.durations) <= MAX_PTS:
                raise UsageError("segment: durations must be 0 to 2^62")
        if len(self.latents_hash) != LATENTS_HASH_BYTES:
            raise UsageError(
                f"segment: latents_hash has {len(self.latents_hash)} bytes, must have {LATENTS_HASH_BYTES}"
            )

    @property
    def frame_count(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The facts at the start of a payload, with a CRC of their own."""

    first_frame: int
    frame_count: int
    chunk_count: int
    first_pts: int
    last_pts: int

    @classmethod
    def parse(cls, data: bytes) -> SegmentHead:
        """From the first 28 bytes of a payload. Raises SegmentError."""
        if len(data) != SEGMENT_HEAD.size or not crc_holds(data):
            raise SegmentError("the segment's head does not match its CRC")
        *values, _ = SEGMENT_HEAD.unpack(data)
        head = cls(*values)
        if not (
            1 <= head.chunk_count <= head.frame_count <= MAX_SEGMENT_FRAMES
            and head.first_frame <= MAX_FRAMES - head.frame_count
            and head.first_pts >= -MAX_PTS
            and head.first_pts + head.frame_count - 1 <= head.last_pts <= MAX_PTS
        ):
            raise SegmentError(f"the segment's head contradicts itself or the limits ({head})")
        return head


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Everything of a payload but the streams: `chunks` holds (frame count, lengths of its streams)."""

    head: SegmentHead
    latents_hash: bytes
    pts: tuple[int, ...]
    durations: tuple[int, ...] | None
    chunks: tuple[tuple[int, tuple[int, ...]], ...]
    streams_offset: int


def encode_segment(segment: Segment) -> Iterator[bytes]:
    """Payload in parts (head and tables, then each stream, uncopied).

    Raises UsageError when the tables are too large.
    """
    yield with_crc(
        SEGMENT_HEAD,
        segment.first_frame,
        segment.frame_count,
        len(segment.chunks),
        segment.pts[0],
        segment.pts[-1],
    )
    yield segment.latents_hash
    raw = encode_varints(_side_information(segment))
    block, coded = encode_block(raw), sum(len(stream) for chunk in segment.chunks for stream in chunk.streams)
    most = max_side_information(FIXED_BYTES + len(block) + coded)
    if len(raw) > most:
        raise UsageError(
            f"segment: its tables take {len(raw)} bytes, at most {most}; use shorter segments or larger tiles"
        )
    yield block
    for chunk in segment.chunks:
        yield from chunk.streams


def _side_information(segment: Segment) -> Iterator[int]:
    distances = [later - earlier for earlier, later in pairwise(segment.pts)]
    yield from distances[:1]
    yield from (zigzag(later - earlier) for earlier, later in pairwise(distances))
    yield 0 if segment.durations is None else 1
    if segment.durations is not None:
        yield from (zigzag(d - guess) for d, guess in zip(segment.durations, _duration_guesses(distances), strict=True))
    yield from (chunk.frame_count for chunk in segment.chunks)
    yield from (len(chunk.streams) for chunk in segment.chunks)
    for chunk in segment.chunks:
        yield from map(len, chunk.streams)


def _duration_guesses(distances: list[int]) -> list[int]:
    """A frame lasts until the next one; the last frame as long as the one before it."""
    return distances + (distances[-1:] or [0])


def plan_segment(start: bytes, payload_size: int) -> SegmentPlan:
    """Read the tables of a payload of `payload_size` bytes from its `start`, `start_size` bytes of it.

    Raises SegmentError where they contradict each other, the limits or the payload's size.
    """
    head = SegmentHead.parse(start[: SEGMENT_HEAD.size])
    try:
        raw, used = decode_block(start[FIXED_BYTES:], max_raw=max_side_information(payload_size))
        numbers = VarintReader(raw)
        distances = _read_distances(numbers, head)
        durations = _read_durations(numbers, distances)
        chunks = _read_chunks(numbers, head)
        numbers.expect_end()
    except (BlockError, VarintError) as error:
        raise SegmentError(f"the segment's tables are damaged ({error})") from error
    pts = [head.first_pts]
    for distance in distances:
        pts.append(pts[-1] + distance)
    offset = FIXED_BYTES + used
    coded = sum(sum(lengths) for _, lengths in chunks)
    if pts[-1] != head.last_pts:
        raise SegmentError(f"the segment's pts end at {pts[-1]}, its head says {head.last_pts}")
    if offset + coded != payload_size:
        raise SegmentError(f"the segment's streams take {coded} bytes, {payload_size - offset} are there")
    latents_hash = start[SEGMENT_HEAD.size : FIXED_BYTES]
    return SegmentPlan(head, latents_hash, tuple(pts), durations, chunks, offset)


def start_size(payload_size: int) -> int:
    """Bytes of a payload that hold its head and tables for certain."""
    return min(payload_size, FIXED_BYTES + max_side_information(payload_size) + BLOCK_SLACK)


def _read_distances(numbers: VarintReader, head: SegmentHead) -> list[int]:
    distances: list[int] = []
    for index in range(head.frame_count - 1):
        distances.append(distances[-1] + numbers.signed() if index else numbers.unsigned())
        if not 1 <= distances[-1] <= 2 * MAX_PTS:
            raise SegmentError(f"the segment's pts do not rise (by {distances[-1]} after frame {index})")
    return distances


def _read_durations(numbers: VarintReader, distances: list[int]) -> tuple[int, ...] | None:
    known = numbers.unsigned()
    if known > 1:
        raise SegmentError(f"the segment's durations have unknown form {known}")
    if not known:
        return None
    durations = tuple(guess + numbers.signed() for guess in _duration_guesses(distances))
    if not 0 <= min(durations) <= max(durations) <= MAX_PTS:
        raise SegmentError("the segment's durations are outside of 0 to 2^62")
    return durations


def _read_chunks(numbers: VarintReader, head: SegmentHead) -> tuple[tuple[int, tuple[int, ...]], ...]:
    frame_counts = [numbers.unsigned() for _ in range(head.chunk_count)]
    if min(frame_counts) < 1 or sum(frame_counts) != head.frame_count:
        raise SegmentError(f"the segment's chunks hold {sum(frame_counts)} frames, its head says {head.frame_count}")
    stream_counts = [numbers.unsigned() for _ in range(head.chunk_count)]
    if max(stream_counts) > MAX_STREAMS_PER_CHUNK:
        raise SegmentError(f"{max(stream_counts)} streams in a chunk, the limit is {MAX_STREAMS_PER_CHUNK}")
    # a forged count ends here by itself: every length takes a byte of the raw block, which is limited
    return tuple(
        (frames, tuple(numbers.unsigned() for _ in range(streams)))
        for frames, streams in zip(frame_counts, stream_counts, strict=True)
    )
