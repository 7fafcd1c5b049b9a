"""Range coding of integer arrays whose table index is known per symbol.

Symbols are sorted by table index (stable), so that each table codes one contiguous run at full speed. A value
beyond its table's ±L is coded as the escape; its excess goes to a side stream of varints, in the order of
coding. Several calls in a row share one coder: what is decoded first may decide the tables of what comes next.

A stream is ``varint(number of 32-bit words) · words (little-endian) · varints of escapes``; an empty stream has
no bytes. The range coder cannot itself tell damage: callers check a hash.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stpcodec.entropy.range_kernels import (
    BAD_VALUE,
    CUT,
    DONE,
    ENDLESS,
    HELD,
    INVALID,
    LARGEST_VALUE,
    TOO_LARGE,
    VARINT_BYTES,
    decode_symbols,
    encode_symbols,
    finish_words,
    start_decoder,
    start_encoder,
)
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile


class SymbolEncoder:
    """Collects calls of `encode`; `finish` returns the bytes."""

    def __init__(self) -> None:
        self._state = np.empty(4, np.uint64)
        start_encoder(self._state)
        self._words: list[np.ndarray] = []
        self._escapes = bytearray()
        self._used = False

    def encode(self, values: np.ndarray, tables: TableSet, index: np.ndarray) -> None:
        """values and index: integer arrays of one shape, coded in C order within each table.

        Raises ValueError beyond ±LARGEST_VALUE, which no decoder would accept.
        """
        values, index = values.reshape(-1), index.reshape(-1)
        if not values.size:
            return
        sizes = np.abs(values)
        escaped = int(np.count_nonzero(sizes > tables.largest))
        if escaped and sizes.max() > LARGEST_VALUE:
            value = values[sizes.argmax()]
            raise ValueError(f"the value {value} cannot be coded; at most ±{LARGEST_VALUE} can")
        values = np.ascontiguousarray(values, np.int32)
        self.encode_by(encode_symbols, tables, values, _plain(index), symbols=values.size, escaped=escaped)

    def encode_by(
        self, kernel: Callable[..., tuple[int, int]], tables: TableSet, *arrays: np.ndarray, symbols: int,
        escaped: int = 0,
    ) -> None:  # fmt: skip
        """Codes by a kernel that takes what `encode_symbols` takes, with other arrays for values and index.

        symbols, escaped: how many there will be at most.
        """
        self._used = self._used or symbols > 0
        words = np.empty(symbols + int(self._state[HELD]), np.uint32)
        escapes = np.empty(VARINT_BYTES * escaped, np.uint8)
        written, excess = kernel(self._state, tables.cumulative, *arrays, words, escapes)
        self._words.append(words[:written].copy())
        self._escapes += escapes[:excess].tobytes()

    def finish(self) -> bytes:
        if not self._used:
            return b""
        last = np.empty(int(self._state[HELD]) + 2, np.uint32)
        words = np.concatenate((*self._words, last[: finish_words(self._state, last)]))
        head = bytearray()
        _append_varint(head, len(words))
        return bytes(head) + words.astype("<u4").tobytes() + bytes(self._escapes)


class SymbolDecoder:
    """Mirrors a SymbolEncoder's calls. Raises CorruptFile when the stream is cut or an escape is out of range."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        count, position = _read_varint(data, 0) if data else (0, 0)
        end = position + 4 * count
        if end > len(data):
            raise CorruptFile(
                f"entropy-coded stream of {len(data)} bytes announces {count} words; it is cut or damaged"
            )
        self._words = np.frombuffer(data[position:end], dtype="<u4").astype(np.uint32)
        self._escapes = np.frombuffer(data[end:], dtype=np.uint8)
        self._state = np.empty(5, np.uint64)
        start_decoder(self._words, self._state)

    def decode(self, tables: TableSet, index: np.ndarray) -> np.ndarray:
        """int32 array of index's shape."""
        values = np.empty(index.size, np.int32)
        self.decode_by(decode_symbols, tables, _plain(index.reshape(-1)), values, symbols=index.size)
        return values.reshape(index.shape)

    def decode_by(self, kernel: Callable[..., int], tables: TableSet, *arrays: np.ndarray, symbols: int) -> int:
        """Decodes so many symbols by a kernel that takes what `decode_symbols` takes, with other arrays for index and
        values. Returns what the kernel did, if it is none of what that one may say but DONE."""
        if not symbols:
            return DONE
        if not self._data:
            raise CorruptFile(
                f"entropy-coded stream is empty but {symbols} symbols are expected; the file is damaged"
            )
        outcome = kernel(self._words, self._escapes, self._state, tables.cumulative, *arrays)
        self._check(outcome)
        return outcome

    def _check(self, outcome: int) -> None:
        if outcome == INVALID:
            raise CorruptFile("entropy-coded stream cannot be decoded (no symbol fits); the file is damaged")
        if outcome == CUT:
            raise CorruptFile(_CUT_NUMBER)
        if outcome == ENDLESS:
            raise CorruptFile(_ENDLESS_NUMBER)
        if outcome == TOO_LARGE:
            raise CorruptFile(
                f"entropy-coded stream holds the value {int(self._state[BAD_VALUE])}, allowed is {LARGEST_VALUE}; "
                f"the file is damaged"
            )


_CUT_NUMBER = "entropy-coded stream ends within a number; the file is damaged"
_ENDLESS_NUMBER = "entropy-coded stream holds a number of more than 35 bits; the file is damaged"


def _plain(index: np.ndarray) -> np.ndarray:
    """Of one of two types, for which the kernels are compiled: bytes, or 32 bits."""
    return np.ascontiguousarray(index, np.uint8 if index.dtype == np.uint8 else np.int32)


def _append_varint(out: bytearray, value: int) -> None:
    """LEB128: seven bits a byte, least significant first."""
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            raise CorruptFile(_CUT_NUMBER)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise CorruptFile(_ENDLESS_NUMBER)
