from __future__ import annotations

import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.container.block import BlockError, decode_block, encode_block
from stpcodec.container.varint import encode_varints


def block(raw_size: int, stored: bytes) -> bytes:
    return encode_varints((raw_size, len(stored))) + stored


@given(st.binary(max_size=300) | st.binary(max_size=8).map(lambda part: part * 500), st.binary(max_size=4))
def test_round_trip(raw: bytes, behind: bytes) -> None:
    data = encode_block(raw)
    assert decode_block(data + behind, max_raw=len(raw)) == (raw, len(data))
    assert len(data) <= len(raw) + 6


def test_compresses_what_can_be_compressed() -> None:
    assert len(encode_block(bytes(100_000))) < 60


def test_window_stays_small_enough_for_every_reader() -> None:
    raw = bytes(range(256)) * 16384  # 4 MiB, the window is limited to 1
    assert decode_block(encode_block(raw), max_raw=len(raw))[0] == raw


def test_limit_is_checked_before_anything_is_allocated() -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(BlockError, match="limit is 1000"):
        decode_block(block(64 << 20, bomb), max_raw=1000)
    # the frame itself declares 64 MiB: it must not be believed either
    with pytest.raises(BlockError, match="more than"):
        decode_block(block(len(bomb) + 1, bomb), max_raw=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_frame_with_large_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=27, write_content_size=False, enable_ldm=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = compressor.compress(bytes(1 << 20)) + compressor.flush()
    with pytest.raises(BlockError, match="does not decompress"):
        decode_block(block(1 << 20, frame), max_raw=1 << 20)


RAW = b"spacetime " * 50
FRAME = zstandard.ZstdCompressor().compress(RAW)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "past the end"),
        (b"\x05", "past the end"),
        (block(5, b"12345")[:-1], "stored in 5, 4 bytes"),
        (encode_varints((5, 6)) + b"123456", "stored in 6"),
        (block(len(RAW) + 1, FRAME), "less than"),
        (block(len(RAW) - 1, FRAME), "more than"),
        (block(len(RAW), FRAME[:-1]), "block decompresses to less"),
        (block(len(RAW), FRAME + b"x"), "does not decompress|more than|less than"),
        (block(len(RAW), FRAME + FRAME), "more than"),
        (block(len(RAW), b"no zstd"), "does not decompress"),
        (block(2**60, FRAME), "limit"),
    ],
)
def test_refused(data: bytes, message: str) -> None:
    with pytest.raises(BlockError, match=message):
        decode_block(data, max_raw=1 << 20)
