"""Range coding of integer arrays whose table index is known per symbol (constriction's range coder).

Symbols are sorted by table index (stable), so that each table codes one contiguous run at full speed. A value
beyond its table's ±L is coded as the escape; its excess goes to a side stream of varints, in the order of
coding. Several calls in a row share one coder: what is decoded first may decide the tables of what comes next.

A stream is ``varint(number of 32-bit words) · words (little-endian) · varints of escapes``; an empty stream has
no bytes. The range coder cannot itself tell damage: callers check a hash.
"""

from __future__ import annotations

import constriction
import numpy as np

from stpcodec.entropy.order import by_table
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile

LARGEST_VALUE = 1 << 20
_QUEUE = constriction.stream.queue


class SymbolEncoder:
    """Collects calls of `encode`; `finish` returns the bytes."""

    def __init__(self) -> None:
        self._coder = _QUEUE.RangeEncoder()
        self._escapes = bytearray()
        self._used = False

    def encode(self, values: np.ndarray, tables: TableSet, index: np.ndarray) -> None:
        """values and index: integer arrays of one shape, coded in C order within each table.

        Raises ValueError beyond ±LARGEST_VALUE, which no decoder would accept.
        """
        values, index = values.reshape(-1).astype(np.int64), index.reshape(-1)
        if not values.size:
            return
        self._used = True
        order, starts = by_table(index, tables.rows)
        values = values[order]
        symbols = np.where(np.abs(values) <= tables.largest, values + tables.largest, tables.escape)
        for value in values[symbols == tables.escape].tolist():
            if abs(value) > LARGEST_VALUE:
                raise ValueError(f"the value {value} cannot be coded; at most ±{LARGEST_VALUE} can")
            excess = abs(value) - tables.largest - 1
            _append_varint(self._escapes, excess * 2 + (value < 0))
        symbols = symbols.astype(np.int32)
        for row, start, stop in _runs(starts):
            self._coder.encode(symbols[start:stop], tables.model(row))

    def finish(self) -> bytes:
        if not self._used:
            return b""
        words = self._coder.get_compressed()
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
        self._coder = _QUEUE.RangeDecoder(np.frombuffer(data[position:end], dtype="<u4").astype(np.uint32))
        self._position = end

    def decode(self, tables: TableSet, index: np.ndarray) -> np.ndarray:
        """int32 array of index's shape."""
        flat = index.reshape(-1)
        if not flat.size:
            return np.zeros(index.shape, dtype=np.int32)
        if not self._data:
            raise CorruptFile(
                f"entropy-coded stream is empty but {flat.size} symbols are expected; the file is damaged"
            )
        order, starts = by_table(flat, tables.rows)
        symbols = np.empty(flat.size, dtype=np.int32)
        try:
            for row, start, stop in _runs(starts):
                symbols[start:stop] = self._coder.decode(tables.model(row), stop - start)
        except (ValueError, AssertionError) as error:
            raise CorruptFile(f"entropy-coded stream cannot be decoded ({error}); the file is damaged") from error
        values = symbols - tables.largest
        for position in np.flatnonzero(symbols == tables.escape).tolist():
            code, self._position = _read_varint(self._data, self._position)
            size = (code >> 1) + tables.largest + 1
            if size > LARGEST_VALUE:
                raise CorruptFile(
                    f"entropy-coded stream holds the value {size}, allowed is {LARGEST_VALUE}; the file is damaged"
                )
            values[position] = -size if code & 1 else size
        result = np.empty_like(values)
        result[order] = values
        return result.reshape(index.shape)


def _runs(starts: np.ndarray) -> list[tuple[int, int, int]]:
    """(table, start, stop) of each run."""
    used = np.flatnonzero(starts[1:] > starts[:-1])
    return list(zip(used.tolist(), starts[used].tolist(), starts[used + 1].tolist(), strict=True))


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
            raise CorruptFile("entropy-coded stream ends within a number; the file is damaged")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise CorruptFile("entropy-coded stream holds a number of more than 35 bits; the file is damaged")
