"""The fixed structures of a .stp file (FORMAT.md §1, §2, §5 to §7), byte by byte."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"\x89STP\r\n\x1a\n"
VERSION = 1
SYNC = b"\xf5STR"
END_MARK = b"ZST\xf5"
ANCILLARY = 0x01

PREAMBLE = struct.Struct("<8sHHI")  # magic, version, reserved, CRC
RECORD = struct.Struct("<4sBBIIIQI")  # sync, type, flags, length, sequence, file id, payload check, CRC
SEGMENT_HEAD = struct.Struct("<IHHqqI")  # first frame, frame count, chunk count, first pts, last pts, CRC
SIDECAR_HEAD = struct.Struct("<IB")  # piece number, last
FOOT = struct.Struct("<I4s")  # size of the index record, end mark

LATENTS_HASH_BYTES = 16


class RecordType(IntEnum):
    """Record types of version 1."""

    STREAM_HEADER = 1
    SEGMENT = 2
    SIDECAR = 3
    INDEX = 4

    @property
    def flags(self) -> int:
        """The flags this type is written with."""
        return ANCILLARY if self is RecordType.SIDECAR else 0


def with_crc(structure: struct.Struct, *fields: object) -> bytes:
    """`structure` packed, its last field being the CRC-32 of the bytes before it."""
    data = structure.pack(*fields, 0)[:-4]
    return data + struct.pack("<I", zlib.crc32(data))


def crc_holds(data: bytes) -> bool:
    """Whether the last four bytes of `data` are the CRC-32 of those before them."""
    return zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


def preamble() -> bytes:
    """The first 16 bytes of every file of this version."""
    return with_crc(PREAMBLE, MAGIC, VERSION, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """A record's header and where it stands.

    `offset` is that of the header, `length` that of the payload, in bytes.
    """

    offset: int
    type: int
    flags: int
    length: int
    sequence: int
    file_id: int
    payload_check: int

    @property
    def payload_offset(self) -> int:
        return self.offset + RECORD.size

    @property
    def end(self) -> int:
        return self.offset + RECORD.size + self.length

    def is_a(self, kind: RecordType) -> bool:
        return self.type == kind and self.flags == kind.flags

    @property
    def is_known(self) -> bool:
        return any(self.is_a(kind) for kind in RecordType)

    def pack(self) -> bytes:
        """The 30 header bytes."""
        return with_crc(
            RECORD, SYNC, self.type, self.flags, self.length, self.sequence, self.file_id, self.payload_check
        )

    @classmethod
    def parse(cls, data: bytes, offset: int) -> Record | None:
        """The record whose header `data`, read at `offset`, is; None where it is no valid header."""
        if len(data) != RECORD.size or not data.startswith(SYNC) or not crc_holds(data):
            return None
        _, kind, flags, length, sequence, file_id, check, _ = RECORD.unpack(data)
        return cls(offset, kind, flags, length, sequence, file_id, check)
