"""A block (FORMAT.md §3): bytes behind their size, compressed with Zstandard where that is shorter."""

from __future__ import annotations

import io

import zstandard

from stpcodec.container.limits import MAX_ZSTD_WINDOW_LOG
from stpcodec.container.varint import VarintError, VarintReader, encode_varints

_LEVEL = 19


class BlockError(ValueError):
    """The bytes are not a block, or one larger than its limit."""


def encode_block(raw: bytes) -> bytes:
    """`raw` as one block."""
    packed = _compress(raw)
    stored = packed if len(packed) < len(raw) else raw
    return encode_varints((len(raw), len(stored))) + stored


def decode_block(data: bytes, *, max_raw: int) -> tuple[bytes, int]:
    """Content of the block that starts `data`, and the number of bytes it takes there.

    Allocates at most the content's size, never more than `max_raw`, and the 1 MiB window. Raises BlockError.
    """
    sizes = VarintReader(data)
    try:
        raw_size, stored_size = sizes.unsigned(), sizes.unsigned()
    except VarintError as error:
        raise BlockError(f"block: {error}") from error
    if raw_size > max_raw:
        raise BlockError(f"block of {raw_size} bytes, the limit is {max_raw}")
    start, end = sizes.position, sizes.position + stored_size
    if stored_size > raw_size or end > len(data):
        raise BlockError(f"block of {raw_size} bytes stored in {stored_size}, {len(data) - start} bytes are there")
    stored = data[start:end]
    return (stored if stored_size == raw_size else _decompress(stored, raw_size)), end


def _compress(raw: bytes) -> bytes:
    """One Zstandard frame without a size and a check of its own: block and record have them."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=len(raw),
        window_log=max(10, min(MAX_ZSTD_WINDOW_LOG, len(raw).bit_length())),
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def _decompress(frame: bytes, raw_size: int) -> bytes:
    """Exactly `raw_size` bytes out of `frame`.

    Streamed, because the one-shot call of python-zstandard allocates whatever the frame declares, and across
    frames, because a reader that stops at the first one would not see bytes hidden behind it.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << MAX_ZSTD_WINDOW_LOG)
    out = bytearray()
    try:
        with decompressor.stream_reader(io.BytesIO(frame), read_across_frames=True) as stream:
            while len(out) <= raw_size and (part := stream.read(min(1 << 16, raw_size + 1 - len(out)))):
                out += part
    except zstandard.ZstdError as error:
        raise BlockError(f"block does not decompress ({error})") from error
    if len(out) != raw_size:
        raise BlockError(f"block decompresses to {'more' if len(out) > raw_size else 'less'} than {raw_size} bytes")
    return bytes(out)
