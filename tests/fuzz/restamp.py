"""Mutations of a coverage-guided fuzzer that get past the checks.

Nearly every changed byte fails a CRC or a hash, and nothing behind it would ever be reached. So most mutations are of a
record's payload, or of what its compressed block holds, with all lengths and checks made right again.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import xxhash

from stpcodec.container.block import decode_block, encode_block
from stpcodec.container.layout import FOOT, PREAMBLE, SEGMENT_HEAD, Record, RecordType
from stpcodec.container.segment import FIXED_BYTES
from tests.fuzz.mutations import BLIND, FORGED, records_of

Mutate = Callable[[bytes, int], bytes]
"""Mutates bytes to at most so many, as the fuzzer likes."""
GROWTH = 64


def mutate_file(data: bytes, max_size: int, seed: int, mutate: Mutate) -> bytes:
    """Some mutation of a .stp file, whole or damaged already; of any other bytes the fuzzer's own."""
    chance = random.Random(seed)
    try:
        out = chance.choice(_WAYS)(data, chance, mutate)
    except Exception:  # damaged so far that it has no records, or no block: the fuzzer's own will do
        out = mutate(data, max_size)
    return out if len(out) <= max_size else mutate(data, max_size)


def _anything(data: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    return mutate(data, len(data) + GROWTH)


def _seeded(data: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    return chance.choice((*BLIND, *FORGED))(data, chance)


def _payload(data: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    records = records_of(data)
    at = chance.randrange(len(records))
    payloads = [data[record.payload_offset : record.end] for record in records]
    payloads[at] = mutate(payloads[at], len(payloads[at]) + GROWTH)
    return _file(data, records, payloads)


def _block(data: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    """What a stream header, an index or the tables of a segment say."""
    records = [record for record in records_of(data) if not record.is_a(RecordType.SIDECAR)]
    payloads = [data[record.payload_offset : record.end] for record in records]
    at = chance.randrange(len(records))
    start = FIXED_BYTES if records[at].is_a(RecordType.SEGMENT) else 0
    raw, used = decode_block(payloads[at][start:], max_raw=1 << 20)
    block = encode_block(mutate(raw, len(raw) + GROWTH))
    payloads[at] = payloads[at][:start] + block + payloads[at][start + used :]
    return _file(data, records, payloads)


def _streams(data: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    """The coded streams of a segment: what the entropy decoder reads."""
    records = records_of(data)
    segments = [number for number, record in enumerate(records) if record.is_a(RecordType.SEGMENT)]
    at = chance.choice(segments)
    payloads = [data[record.payload_offset : record.end] for record in records]
    _, used = decode_block(payloads[at][FIXED_BYTES:], max_raw=1 << 20)
    start = FIXED_BYTES + used
    streams = payloads[at][start:]
    # of the same length most times: the tables before them say where each stream ends
    streams = mutate(streams, len(streams)).ljust(len(streams), b"\0")
    payloads[at] = payloads[at][:start] + streams
    return _file(data, records, payloads)


_WAYS = (_anything, _seeded, _payload, _block, _block, _streams, _streams)


def _file(data: bytes, records: list[Record], payloads: list[bytes]) -> bytes:
    """The file of these records with these payloads: lengths, checks, file id and foot as they should be."""
    out, file_id = data[: PREAMBLE.size], records[0].file_id
    for record, payload in zip(records, payloads, strict=True):
        if record.is_a(RecordType.SEGMENT) and len(payload) >= SEGMENT_HEAD.size:
            head = payload[: SEGMENT_HEAD.size - 4]
            payload = head + struct.pack("<I", zlib.crc32(head)) + payload[SEGMENT_HEAD.size :]
        if record.is_a(RecordType.INDEX) and len(payload) >= FOOT.size:
            _, mark = FOOT.unpack(payload[-FOOT.size :])
            payload = payload[: -FOOT.size] + FOOT.pack(len(payload) + record.payload_offset - record.offset, mark)
        check = xxhash.xxh3_64_intdigest(payload)
        if record.is_a(RecordType.STREAM_HEADER):
            file_id = check & 0xFFFFFFFF
        out += replace(record, length=len(payload), payload_check=check, file_id=file_id).pack() + payload
    return out
