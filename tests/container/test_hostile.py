"""Forged files, checksums and all: a typed error or a correct answer, in bounded time and memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.container import limits
from stpcodec.container.block import encode_block
from stpcodec.container.layout import END_MARK, FOOT, RECORD, SEGMENT_HEAD, SYNC, Record, preamble, with_crc
from stpcodec.container.varint import encode_varints
from stpcodec.errors import CorruptSegment, StpError
from tests.container.samples import make_segments, open_bytes, restamp, split_records, write_file

FILE = write_file(make_segments(3), sidecar=b"the sound")
RECORDS = split_records(FILE)


def read_all(data: bytes) -> None:
    """Everything a program would do with a file; only errors of ours may come out."""
    try:
        reader = open_bytes(data)
        for number in range(len(reader.segments)):
            try:
                reader.read_segment(number)
            except CorruptSegment:
                continue
        for finding in reader.check():
            assert 0 <= finding.offset <= finding.offset + max(finding.length, 0)
        list(reader.sidecar_pieces())
    except StpError as error:
        assert "\n" not in str(error)  # noqa: PT017 (whether one comes is not the question here)


def with_payload(record: bytes, payload: bytes) -> bytes:
    """A record with another payload, its length and checks made to fit."""
    check = xxhash.xxh3_64_intdigest(payload)
    return restamp(record[: RECORD.size], length=len(payload), payload_check=check) + payload


@given(st.binary(max_size=400))
def test_any_bytes_behind_a_preamble(data: bytes) -> None:
    read_all(preamble() + data)


@given(st.integers(1, len(RECORDS) - 1), st.binary(max_size=200))
def test_any_payload_with_valid_checks(number: int, payload: bytes) -> None:
    records = list(RECORDS)
    records[number] = with_payload(records[number], payload)
    read_all(b"".join(records))
    read_all(b"".join(records[:-1]))


@given(st.integers(1, len(RECORDS) - 1), st.integers(0, 1 << 32), st.integers(1, 255))
def test_any_changed_payload_byte_with_valid_checks(number: int, seed: int, mask: int) -> None:
    payload = bytearray(RECORDS[number][RECORD.size :])
    payload[seed % len(payload)] ^= mask
    records = list(RECORDS)
    records[number] = with_payload(records[number], bytes(payload))
    read_all(b"".join(records))
    read_all(b"".join(records[:-1]))


extremes = st.sampled_from([0, 1, 29, 30, 31, 255, 1 << 16, limits.MAX_RECORDS, (1 << 31) - 1, (1 << 32) - 1])


@given(
    st.lists(
        st.tuples(
            st.integers(1, len(RECORDS) - 1),
            st.sampled_from(["length", "sequence", "file_id"]),
            extremes | st.integers(0, 500),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_record_header_with_a_valid_crc(changes: list[tuple[int, str, int]]) -> None:
    records = list(RECORDS)
    for number, name, value in changes:
        records[number] = restamp(records[number], **{name: value})
    read_all(b"".join(records))
    read_all(b"".join(records[:-1]))


def test_seeded_mutations() -> None:
    noise = random.Random(20240)
    for _ in range(1500):
        records = [bytearray(record) for record in RECORDS]
        for _ in range(noise.randint(1, 4)):
            action, at = noise.randrange(5), noise.randrange(len(records))
            if action == 0:
                records[at][noise.randrange(len(records[at]))] ^= 1 << noise.randrange(8)
            elif action == 1:
                records.insert(at, bytearray(records[noise.randrange(len(records))]))
            elif action == 2 and len(records) > 2:
                del records[at]
            elif action == 3:
                other = noise.randrange(len(records))
                records[at], records[other] = records[other], records[at]
            elif len(records[at]) > 4:
                del records[at][noise.randrange(1, len(records[at])) :]
        read_all(b"".join(records))


def measured(build: Callable[[], bytes]) -> tuple[float, int, int]:
    """Seconds, bytes of the file, and peak bytes allocated beside it."""
    data = build()
    tracemalloc.start()
    start = time.monotonic()
    read_all(data)
    seconds = time.monotonic() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, len(data), peak


def headers_within_headers() -> bytes:
    """Every header is valid and claims everything up to the end of the file and one byte more."""
    count = 20_000
    end = 16 + count * RECORD.size + 1
    id_of = Record.parse(FILE[16 : 16 + RECORD.size], 16)
    assert id_of is not None
    parts = [preamble()]
    for sequence in range(count):
        offset = 16 + sequence * RECORD.size
        length = end - offset - RECORD.size
        parts.append(Record(offset, 2, 0, length, sequence, id_of.file_id, 0).pack())
    return b"".join(parts)


def nothing_but_sync_words() -> bytes:
    return FILE[:-60] + SYNC * (1 << 18)


def many_tiny_segments() -> bytes:
    """Each contradicts the one before it, and none has a payload worth the name."""
    head = with_crc(SEGMENT_HEAD, 0, 1, 1, 0, 0) + bytes(16)
    record = Record.parse(RECORDS[2][: RECORD.size], 0)
    assert record is not None
    tiny = [restamp(record.pack(), sequence=n, length=len(head)) + head for n in range(1, 20_000)]
    return b"".join([*RECORDS[:2], *tiny])


def index_of_a_million_records() -> bytes:
    block = encode_block(encode_varints([1 << 20] + [2, 0, 50, 1, 0, 0] * 1000) + bytes(1 << 20))
    payload = block + FOOT.pack(RECORD.size + len(block) + FOOT.size, END_MARK)
    return b"".join([*RECORDS[:-1], with_payload(RECORDS[-1], payload)])


def tables_that_decompress_to_a_mebibyte() -> bytes:
    head = with_crc(SEGMENT_HEAD, 0, 256, 256, 0, 255)
    streams = [60_000] * 16 + [0] * 240
    numbers = [1] + [0] * 254 + [0] + [1] * 256 + streams + [0] * sum(streams)
    payload = head + bytes(16) + encode_block(encode_varints(numbers[: (1 << 20) - 600]))
    return b"".join([*RECORDS[:2], with_payload(RECORDS[2], payload)])


def lengths_of_gigabytes() -> bytes:
    return b"".join([*RECORDS[:2], *(restamp(record, length=(1 << 32) - 1) for record in RECORDS[2:])])


@pytest.mark.parametrize(
    "build",
    [
        headers_within_headers,
        nothing_but_sync_words,
        many_tiny_segments,
        index_of_a_million_records,
        tables_that_decompress_to_a_mebibyte,
        lengths_of_gigabytes,
    ],
)
def test_bounded_time_and_memory(build: Callable[[], bytes]) -> None:
    seconds, size, peak = measured(build)
    assert seconds < 20  # tracemalloc makes it about five times slower than it is
    assert peak < 16 * size + (16 << 20)
