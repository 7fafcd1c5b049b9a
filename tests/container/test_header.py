from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given

from stpcodec.container import StreamHeader, limits
from stpcodec.container.block import encode_block
from stpcodec.container.header import HeaderError, decode_header, encode_header
from stpcodec.errors import UnsupportedVersion, UsageError
from tests.container.samples import HEADER, headers

MINIMAL = {0: 48, 1: 32, 2: 8, 3: [1, 30000], 14: "dct", 16: 50, 17: 128}


def payload(content: object) -> bytes:
    return encode_block(msgpack.packb(content))


@given(headers())
def test_round_trip(header: StreamHeader) -> None:
    assert decode_header(encode_header(header)) == header


def test_defaults_take_no_bytes() -> None:
    assert encode_header(HEADER) == payload(MINIMAL)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": limits.MAX_SIDE + 1},
        {"height": True},
        {"height": 1.5},
        {"bit_depth": 9},
        {"time_base": (1, 0)},
        {"time_base": None},
        {"average_rate": (1 << 31, 1)},
        {"sample_aspect_ratio": (1, 2, 3)},
        {"color_space": 256},
        {"rotation": 361},
        {"interlaced": 1},
        {"model": "../model"},
        {"model": ".hidden"},
        {"model": ""},
        {"model": "m" * 65},
        {"model": "dct\n"},
        {"weights_sha256": "ab"},
        {"weights_sha256": "AB" * 32},
        {"quality": 0},
        {"segment_frames": 257},
        {"tile": 64, "tile_overlap": 64},
        {"tile": 0, "tile_overlap": 1},
        {"tilt": -1},
        {"tilt": 17},
        {"encoder": "x" * 257},
        {"metadata": {"title": 1}},
        {"metadata": [("title", "x")]},
        {"stream_metadata": {"title": "\ud800"}},
    ],
    ids=str,
)
def test_values_against_the_format_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"stream header: {list(change)[-1]} is .*, must be"):
        replace(HEADER, **change)  # type: ignore[arg-type]


def test_too_many_tags_are_refused() -> None:
    header = replace(HEADER, metadata={"lyrics": "l" * (limits.MAX_HEADER_RAW - 10)})
    with pytest.raises(UsageError, match="remove long tags"):
        encode_header(header)


def test_unknown_ancillary_field_is_ignored() -> None:
    assert decode_header(payload(MINIMAL | {67: {"new": [1, 2]}, 1 << 40: None})) == HEADER


def test_unknown_critical_field_is_unsupported() -> None:
    with pytest.raises(UnsupportedVersion, match="field 21"):
        decode_header(payload(MINIMAL | {21: 1}))


def nested(depth: int) -> bytes:
    return b"\x81\x43" + b"\x91" * depth + b"\x01"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (payload({key: value for key, value in MINIMAL.items() if key != 14}), "model missing"),
        (payload({}), "bit_depth, height, model, quality, segment_frames, time_base, width missing"),
        (payload([1, 2]), "not a MessagePack map"),
        (payload(MINIMAL | {"width": 1}), "'width' is not a number"),
        (payload(MINIMAL | {-1: 1}), "-1 is not a number"),
        (payload(MINIMAL | {0: "48"}), "width is '48'"),
        (payload(MINIMAL | {3: [1, -5]}), "time_base"),
        (payload(MINIMAL | {3: 25}), "time_base"),
        (payload(MINIMAL | {15: b"short"}), "SHA-256"),
        (payload(MINIMAL | {15: "00" * 32}), "SHA-256"),
        (payload(MINIMAL | {64: {1: "x"}}), "metadata"),
        (encode_block(msgpack.packb(MINIMAL) + b"\x00"), "not MessagePack"),
        (encode_block(msgpack.packb(MINIMAL)[:-1]), "not MessagePack"),
        (encode_block(b"\x82\x00\x01\x00\x02"), "comes twice"),
        (encode_block(b"\x81\x90\x01"), "not MessagePack"),  # a list as key
        (encode_block(b"\x81\x00\xdd\xff\xff\xff\xff"), "not MessagePack"),  # an array of 4 billion
        (encode_block(b"\x81\x00\xc9\x00\x00\x00\x01\x05a"), "not MessagePack"),  # an extension type
        (encode_block(b"\x81\x43\xa1\xff"), "not MessagePack"),  # text that is not UTF-8
        (encode_block(nested(100_000)), "not MessagePack"),
        (payload(MINIMAL) + b"\x00", "1 bytes too many"),
        (payload(MINIMAL)[:-1], "block"),
        (b"", "block"),
    ],
)
def test_damaged_or_forged_headers_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(HeaderError, match=message):
        decode_header(data)
