"""Variable-length integers (FORMAT.md §3): unsigned LEB128 and its zigzag form for signed numbers."""

from __future__ import annotations

from collections.abc import Iterable


class VarintError(ValueError):
    """The bytes are no varint, or fewer of them are there than were asked for."""


def zigzag(value: int) -> int:
    """Signed to unsigned: 0, -1, 1, -2 … become 0, 1, 2, 3 …"""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """Inverse of `zigzag`."""
    return -((value + 1) // 2) if value & 1 else value // 2


def encode_varints(values: Iterable[int]) -> bytes:
    """All `values` (0 … 2⁶⁴ − 1) one after the other."""
    out = bytearray()
    for value in values:
        if not 0 <= value < 1 << 64:
            raise VarintError(f"{value} is outside 0 to 2^64 - 1")
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


class VarintReader:
    """Reads varints from `data`, one call each; `position` is the offset of the next one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def unsigned(self) -> int:
        """Next number, 0 … 2⁶⁴ − 1.

        Raises VarintError where the data ends or the number is not in its one form.
        """
        data, position = self._data, self.position
        value = shift = 0
        while True:
            if position >= len(data):
                raise VarintError(f"number at {self.position} runs past the end of {len(data)} bytes")
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise VarintError(f"number at {self.position} has more than 10 bytes")
        if value >> 64 or (byte == 0 and shift):
            raise VarintError(f"number at {self.position} is not in its shortest form below 2^64")
        self.position = position
        return value

    def signed(self) -> int:
        """Next signed number; raises as `unsigned`."""
        return unzigzag(self.unsigned())

    def expect_end(self) -> None:
        """Raise VarintError where bytes are left."""
        if self.position != len(self._data):
            raise VarintError(f"{len(self._data) - self.position} bytes too many after the last number")
