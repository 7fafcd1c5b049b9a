"""The golden file, read twice: by FORMAT.md's offsets alone, and by the reader."""

from __future__ import annotations

import struct
import zlib

import msgpack
import xxhash
import zstandard

from stpcodec.container import StpReader
from tests.golden.container_v1 import FIRST, HEADER, PATH, SECOND, SIDECAR, build

DATA = PATH.read_bytes()


def u16(data: bytes, at: int) -> int:
    return struct.unpack_from("<H", data, at)[0]


def u32(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]


def i64(data: bytes, at: int) -> int:
    return struct.unpack_from("<q", data, at)[0]


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Number, and the offset behind it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def signed(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


def block(data: bytes, at: int) -> tuple[bytes, int, bool]:
    """Content, the offset behind the block, and whether it was compressed."""
    raw_size, at = varint(data, at)
    stored_size, at = varint(data, at)
    stored = data[at : at + stored_size]
    if stored_size < raw_size:
        with zstandard.ZstdDecompressor().stream_reader(stored) as stream:
            content = stream.read(raw_size + 1)
    else:
        content = stored
    assert len(content) == raw_size
    return content, at + stored_size, stored_size < raw_size


def records() -> list[tuple[int, int, bytes]]:
    """(offset, type, payload) of every record, all checks of §2 made."""
    found: list[tuple[int, int, bytes]] = []
    at, file_id = 16, None
    while at < len(DATA):
        assert DATA[at : at + 4] == bytes.fromhex("F5535452")
        kind, flags, length = DATA[at + 4], DATA[at + 5], u32(DATA, at + 6)
        assert u32(DATA, at + 10) == len(found)
        assert u32(DATA, at + 26) == zlib.crc32(DATA[at : at + 26])
        payload = DATA[at + 30 : at + 30 + length]
        check = xxhash.xxh3_64_intdigest(payload)
        assert struct.unpack_from("<Q", DATA, at + 18)[0] == check
        file_id = check & 0xFFFFFFFF if file_id is None else file_id
        assert u32(DATA, at + 14) == file_id
        assert flags == (1 if kind == 3 else 0)
        found.append((at, kind, payload))
        at += 30 + length
    return found


RECORDS = records()


def test_preamble() -> None:
    assert DATA[:8] == bytes.fromhex("895354500D0A1A0A")
    assert (u16(DATA, 8), u16(DATA, 10)) == (1, 0)
    assert u32(DATA, 12) == zlib.crc32(DATA[:12])


def test_records() -> None:
    assert [kind for _, kind, _ in RECORDS] == [1, 2, 3, 2, 4]


def test_stream_header() -> None:
    payload = RECORDS[0][2]
    content, end, _ = block(payload, 0)
    assert end == len(payload)
    assert msgpack.unpackb(content, strict_map_key=False) == {
        0: 1919,
        1: 1079,
        2: 10,
        3: [1, 90000],
        4: [30000, 1001],
        5: 1,
        6: 9,
        7: 16,
        8: 9,
        9: 1,
        10: [4, 3],
        11: -90,
        12: True,
        13: "yuv420p10le",
        14: "dummy-model",
        15: bytes(range(32)),
        16: 73,
        17: 128,
        18: 1024,
        19: 64,
        64: {"title": "Golden file – größer als nichts"},
        65: {"language": "und"},
        66: "stpcodec golden",
    }


def test_first_segment() -> None:
    payload = RECORDS[1][2]
    assert (u32(payload, 0), u16(payload, 4), u16(payload, 6)) == (0, 61, 16)
    assert (i64(payload, 8), i64(payload, 16)) == (-3003, 177177)
    assert u32(payload, 24) == zlib.crc32(payload[:24])
    assert payload[28:44] == bytes(range(100, 116))
    content, at, compressed = block(payload, 44)
    assert compressed
    numbers = varints(content)
    assert numbers[:60] == [3003] + [0] * 59
    assert numbers[60:122] == [1] + [0] * 61
    assert numbers[122:138] == [1] + [4] * 15
    assert numbers[138:154] == [2] + [3] * 15
    assert numbers[154:] == [40, 7] + [12, 0, 3] * 15
    streams = [stream for chunk in FIRST.chunks for stream in chunk.streams]
    assert payload[at:] == b"".join(streams)
    assert sum(numbers[154:]) == len(payload) - at


def test_second_segment() -> None:
    payload = RECORDS[3][2]
    assert (u32(payload, 0), u16(payload, 4), u16(payload, 6)) == (61, 4, 2)
    assert (i64(payload, 8), i64(payload, 16)) == (200_000, 209_010)
    content, at, compressed = block(payload, 44)
    assert not compressed
    numbers = varints(content)
    assert [numbers[0], signed(numbers[1]), signed(numbers[2])] == [3003, 6006 - 3003, 1 - 6006]
    assert numbers[3:] == [0, 1, 3, 1, 2, 20, 11, 1]
    assert payload[at : at + 20] == SECOND.chunks[0].streams[0]
    assert len(payload) == at + 32


def test_sidecar() -> None:
    payload = RECORDS[2][2]
    assert (u32(payload, 0), payload[4]) == (0, 1)
    assert payload[5:] == SIDECAR


def test_index() -> None:
    offset, _, payload = RECORDS[4]
    assert DATA[-4:] == bytes.fromhex("5A5354F5")
    assert u32(DATA, len(DATA) - 8) == len(DATA) - offset
    content, end, _ = block(payload, 0)
    assert end == len(payload) - 8
    numbers = varints(content)
    lengths = [len(payload) for _, _, payload in RECORDS]
    assert numbers[0] == 4
    assert numbers[1:4] == [1, 0, lengths[0]]
    assert [*numbers[4:8], signed(numbers[8]), numbers[9]] == [2, 0, lengths[1], 61, -3003, 180180]
    assert numbers[10:13] == [3, 1, lengths[2]]
    assert [*numbers[13:17], signed(numbers[17]), numbers[18]] == [
        2,
        0,
        lengths[3],
        4,
        200_000 - 177_177,
        9010,
    ]
    assert len(numbers) == 19
    assert 16 + sum(30 + length for length in lengths[:4]) == offset


def test_reader_agrees() -> None:
    with StpReader(PATH) as reader:
        assert reader.header == HEADER
        assert [reader.read_segment(number) for number in range(2)] == [FIRST, SECOND]
        assert b"".join(reader.sidecar_pieces()) == SIDECAR
        assert reader.complete
        assert all(finding.intact for finding in reader.check())


def test_writer_makes_the_same_file() -> None:
    made = build()
    if zstandard.ZSTD_VERSION[:2] == (
        1,
        5,
    ):  # another zstd may compress differently; then the content must agree
        assert made == DATA
    else:
        assert len(made) < 1.1 * len(DATA)
