"""Random access to the bytes of a file whose size is known, with errors that name the file."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

import xxhash

from stpcodec.errors import CorruptFile, InputError

BLOCK = 1 << 20


class Source:
    """A seekable binary stream, or the file at a path.

    `name` is what messages call it, `size` its bytes at opening.
    """

    def __init__(self, target: str | Path | BinaryIO) -> None:
        self._owned = isinstance(target, (str, Path))
        if isinstance(target, (str, Path)):
            self.name = str(target)
            self._file = _open_regular(target)
        else:
            self.name = str(getattr(target, "name", "<stream>"))
            self._file = target
        try:
            self.size = self._file.seek(0, io.SEEK_END)
        except (OSError, ValueError) as error:
            self.close()
            raise InputError(
                f"{self.name}: cannot be read from any position ({error}); copy it to a file first"
            ) from error

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._owned:
            self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`, checked against the file's size before allocation."""
        if not 0 <= offset <= offset + count <= self.size:
            raise CorruptFile(
                f"{self.name}: {count} bytes expected at byte {offset}, the file ends at {self.size}; "
                "it was cut off, copy it again from its source"
            )
        try:
            self._file.seek(offset)
            data = self._file.read(count)
            while len(data) < count and (more := self._file.read(count - len(data))):
                data += more
        except OSError as error:
            raise InputError(
                f"{self.name}: cannot be read at byte {offset} ({error.strerror}); check the disk"
            ) from error
        if len(data) != count:
            raise InputError(f"{self.name}: became shorter while it was read, at byte {offset + len(data)}; try again")
        return data

    def read_up_to(self, offset: int, count: int) -> bytes:
        """As `read`, but fewer bytes where the file ends before."""
        return self.read(offset, min(count, self.size - offset)) if offset < self.size else b""

    def check(self, offset: int, count: int) -> int:
        """XXH3-64 of `count` bytes from `offset`, 1 MiB in memory at a time."""
        digest = xxhash.xxh3_64()
        for start in range(offset, offset + count, BLOCK):
            digest.update(self.read(start, min(BLOCK, offset + count - start)))
        return digest.intdigest()


def _open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file. Others are refused before opening, because opening a pipe may wait for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(f"{path}: is not a regular file; name a .stp file")
        return open(path, "rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason}); check the name and its permissions") from error
