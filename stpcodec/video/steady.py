"""Whether a source is still what it was when reading began.

FFmpeg takes the end of a file for the end of the video, and many formats do not say how long they are: a file that
loses its end while it is read looks like a shorter one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stpcodec.errors import InputError

_PIECE = 1 << 20


class SteadySource:
    """The file at `path` as it is now; of pipes, image sequences and addresses nothing is known."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._before = _look(self.path)

    def change(self) -> str | None:
        """What happened to it since, in words; None if it is the same, or another file has its name by now (the one
        that was opened is read to its end).

        Raises InputError: it is shorter than it was.
        """
        before, now = self._before, _look(self.path)
        if before is None or now is None or (before.st_dev, before.st_ino) != (now.st_dev, now.st_ino):
            return None
        if now.st_size < before.st_size:
            raise InputError(
                f"{self.path}: lost its end while it was read ({now.st_size} of {before.st_size} bytes are left); "
                "encode it again when it is whole"
            )
        if now.st_size > before.st_size:
            return f"grew from {before.st_size} to {now.st_size} bytes while it was read: its end may be missing"
        if now.st_mtime_ns != before.st_mtime_ns:
            return "was written to while it was read: frames may be of the one state or of the other"
        return None

    def require_readable(self) -> None:
        """After a read error: was it the format's, or the device's?

        Raises InputError: it was there and is not any more, or cannot be read to its end.
        """
        if self._before is None:
            return
        try:
            with open(self.path, "rb", buffering=0) as file:
                while file.read(_PIECE):
                    pass
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read to its end: {error.strerror or error}") from error


def _look(path: str) -> os.stat_result | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None
