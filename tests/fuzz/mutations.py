"""Seeded damage to real .stp files, from a flipped bit to records forged with valid checks.

`blind` kinds are what disks, cables and crashes do: their checks no longer hold, so no change may stay silent.
`forged` kinds have valid checks, as an attacker makes them: they may say whatever a file may say (other times, other
tags), but no frame may change unless its latents hash was forged as well, which no kind here does.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace

import msgpack
import xxhash

from stpcodec.container.block import decode_block, encode_block
from stpcodec.container.index import OtherEntry, SegmentEntry, encode_index
from stpcodec.container.layout import FOOT, PREAMBLE, RECORD, SEGMENT_HEAD, Record, RecordType, with_crc
from stpcodec.container.segment import FIXED_BYTES
from stpcodec.container.varint import VarintReader, encode_varints

Mutation = Callable[[bytes, random.Random], bytes]


def records_of(data: bytes) -> list[Record]:
    """The records of an undamaged file."""
    found, position = [], PREAMBLE.size
    while position < len(data):
        record = Record.parse(data[position : position + RECORD.size], position)
        assert record is not None, "the seed file is damaged itself"
        found.append(record)
        position = record.end
    return found


def _parts(data: bytes) -> list[bytes]:
    return [data[: PREAMBLE.size], *(data[record.offset : record.end] for record in records_of(data))]


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 8])):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def flip_header_bits(data: bytes, chance: random.Random) -> bytes:
    """In a record's 30 bytes, where a file is most sensitive."""
    out = bytearray(data)
    record = chance.choice(records_of(data))
    out[record.offset + chance.randrange(RECORD.size)] ^= 1 << chance.randrange(8)
    return bytes(out)


def cut(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return data[: chance.choice(records_of(data)).offset]
    return data[: chance.randrange(len(data))]


def remove_bytes(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.choice([1, 7, 512, 4096]) :]


def insert_bytes(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + chance.randbytes(chance.choice([1, 7, 512])) + data[start:]


def overwrite_bytes(data: bytes, chance: random.Random) -> bytes:
    """A lost sector: zeros, noise, or bytes from elsewhere in the file."""
    start, size = chance.randrange(len(data)), chance.choice([1, 16, 512, 4096])
    size = min(size, len(data) - start)
    other = chance.randrange(len(data) - size + 1)
    filling = chance.choice([bytes(size), chance.randbytes(size), data[other : other + size]])
    return data[:start] + filling + data[start + size :]


def duplicate_record(data: bytes, chance: random.Random) -> bytes:
    parts = _parts(data)
    copy = parts[chance.randrange(1, len(parts))]
    parts.insert(chance.randrange(1, len(parts) + 1), copy)
    return b"".join(parts)


def swap_records(data: bytes, chance: random.Random) -> bytes:
    parts = _parts(data)
    a, b = chance.sample(range(1, len(parts)), 2)
    parts[a], parts[b] = parts[b], parts[a]
    return b"".join(parts)


def remove_record(data: bytes, chance: random.Random) -> bytes:
    parts = _parts(data)
    for _ in range(chance.choice([1, 1, 2])):
        del parts[chance.randrange(1, len(parts))]
    return b"".join(parts)


def several(data: bytes, chance: random.Random) -> bytes:
    """Flips in two places and a record moved or a piece lost."""
    data = chance.choice([swap_records, remove_record, duplicate_record])(data, chance)
    for mutate in chance.sample([flip_bits, remove_bytes, overwrite_bytes], 2):
        data = mutate(data, chance) if data else data
    return data


def forge_record(data: bytes, chance: random.Random) -> bytes:
    """One header field of a record, its CRC made right again."""
    parts = _parts(data)
    number = chance.randrange(1, len(parts))
    record = Record.parse(parts[number][: RECORD.size], 0)
    assert record is not None
    field = chance.choice(["length", "sequence", "type", "flags", "file_id"])
    size = 8 if field in ("type", "flags") else 32
    value = chance.choice(
        [0, 1, 2, 3, (1 << size) - 1, chance.getrandbits(size), max(0, getattr(record, field) + chance.choice([-1, 1]))]
    )
    parts[number] = replace(record, **{field: value % (1 << size)}).pack() + parts[number][RECORD.size :]
    return b"".join(parts)


def forge_streams(data: bytes, chance: random.Random) -> bytes:
    """Bytes of a segment's coded streams, the payload check made right again: garbage for the entropy decoder."""
    segment = chance.choice([record for record in records_of(data) if record.is_a(RecordType.SEGMENT)])
    payload = bytearray(data[segment.payload_offset : segment.end])
    _, used = decode_block(bytes(payload[FIXED_BYTES:]), max_raw=1 << 20)
    for _ in range(chance.choice([1, 1, 4, 64])):
        payload[chance.randrange(FIXED_BYTES + used, len(payload))] = chance.randrange(256)
    return _with_payload(data, segment, bytes(payload))


def forge_tables(data: bytes, chance: random.Random) -> bytes:
    """Numbers of a segment's head or side information, all checks made right again."""
    segment = chance.choice([record for record in records_of(data) if record.is_a(RecordType.SEGMENT)])
    payload = data[segment.payload_offset : segment.end]
    if chance.random() < 0.4:
        fields = list(SEGMENT_HEAD.unpack(payload[: SEGMENT_HEAD.size])[:-1])
        bits = [32, 16, 16, 63, 63]
        at = chance.randrange(5)
        fields[at] = chance.choice([0, 1, (1 << bits[at]) - 1, max(0, fields[at] + chance.choice([-1, 1]))])
        return _with_payload(data, segment, with_crc(SEGMENT_HEAD, *fields) + payload[SEGMENT_HEAD.size :])
    raw, used = decode_block(payload[FIXED_BYTES:], max_raw=1 << 20)
    block = encode_block(_forged_numbers(raw, chance))
    return _with_payload(data, segment, payload[:FIXED_BYTES] + block + payload[FIXED_BYTES + used :])


def forge_index(data: bytes, chance: random.Random) -> bytes:
    """Lengths, counts and times of the index; or an index of thousands of records that are not there."""
    index = records_of(data)[-1]
    payload = data[index.payload_offset : index.end]
    if chance.random() < 0.1:
        count = chance.choice([1000, 20000])
        entries: list[SegmentEntry | OtherEntry] = [OtherEntry(0, RECORD.size, 1, 0, 0)]
        entries += [SegmentEntry(0, RECORD.size + 50, i, 1, i, i, i + 1) for i in range(count)]
        forged = replace(index, sequence=len(entries))
        return _with_payload(data, forged, encode_index(entries))
    raw, _ = decode_block(payload, max_raw=1 << 20)
    block = encode_block(_forged_numbers(raw, chance))
    _, mark = FOOT.unpack(payload[-FOOT.size :])
    return _with_payload(data, index, block + FOOT.pack(RECORD.size + len(block) + FOOT.size, mark))


def forge_header(data: bytes, chance: random.Random) -> bytes:
    """A field of the stream header, with the file id that follows from it in all records."""
    first = records_of(data)[0]
    raw, _ = decode_block(data[first.payload_offset : first.end], max_raw=1 << 20)
    content = msgpack.unpackb(raw, strict_map_key=False)
    key = chance.choice([*content, chance.randrange(80)])
    numbers = [0, 1, -1, 16, 255, 1023, 1 << 40, 2.5, True]
    content[key] = chance.choice([*numbers, "x", b"x", None, [], [1, 0], [1, 1], [1 << 31, 1], {}, {1: 2}])
    if chance.random() < 0.1:
        packed = chance.randbytes(chance.randrange(40))
    else:
        packed = msgpack.packb(content)
    payload = encode_block(packed)
    check = xxhash.xxh3_64_intdigest(payload)
    out = data[: PREAMBLE.size]
    for record in records_of(data):
        body = payload if record.is_a(RecordType.STREAM_HEADER) else data[record.payload_offset : record.end]
        stamped = replace(record, file_id=check & 0xFFFFFFFF, length=len(body))
        if record.is_a(RecordType.STREAM_HEADER):
            stamped = replace(stamped, payload_check=check)
        out += stamped.pack() + body
    return out  # the index no longer fits: the records are surveyed


def _forged_numbers(raw: bytes, chance: random.Random) -> bytes:
    numbers, reader = [], VarintReader(raw)
    while reader.position < len(raw):
        numbers.append(reader.unsigned())
    for _ in range(chance.choice([1, 1, 3])):
        at = chance.randrange(len(numbers))
        match chance.randrange(4):
            case 0:
                numbers[at] = chance.choice([0, 1, 255, 1 << 16, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1])
            case 1:
                numbers[at] = min(max(0, numbers[at] + chance.choice([-2, -1, 1, 2])), (1 << 64) - 1)
            case 2 if len(numbers) > 1:
                del numbers[at]
            case _:
                numbers.insert(at, chance.getrandbits(chance.choice([1, 7, 30, 63])))
    return encode_varints(numbers)


def _with_payload(data: bytes, record: Record, payload: bytes) -> bytes:
    stamped = replace(record, length=len(payload), payload_check=xxhash.xxh3_64_intdigest(payload))
    at = record.offset
    end = next(r.end for r in records_of(data) if r.offset == at)
    return data[:at] + stamped.pack() + payload + data[end:]


def forge_preamble(data: bytes, chance: random.Random) -> bytes:
    version, reserved = chance.choice([(0, 0), (2, 0), (1, 1), (65535, 65535)])
    return with_crc(struct.Struct("<8sHHI"), data[:8], version, reserved) + data[PREAMBLE.size :]


BLIND: tuple[Mutation, ...] = (
    flip_bits,
    flip_header_bits,
    cut,
    remove_bytes,
    insert_bytes,
    overwrite_bytes,
    duplicate_record,
    swap_records,
    remove_record,
    several,
)
FORGED: tuple[Mutation, ...] = (
    forge_record,
    forge_streams,
    forge_tables,
    forge_index,
    forge_header,
    forge_preamble,
)
EVERY = (*BLIND, *FORGED)


def mutate(data: bytes, *, seed: int, number: int) -> tuple[str, bytes]:
    """Kind and result of mutation `number` of the campaign `seed`: the same on every machine."""
    chance = random.Random(f"{seed}:{number}")
    kind = EVERY[number % len(EVERY)]
    return kind.__name__, kind(data, chance)
