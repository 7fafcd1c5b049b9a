"""How this process keeps memory that it has freed."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # malloc.h of glibc
_SETTINGS = (
    (_ARENA_MAX, 1),
    (_MMAP_THRESHOLD, 32 << 20),
    (_TRIM_THRESHOLD, 256 << 20),
    (_TOP_PAD, 64 << 20),
)


def keep_freed_memory() -> None:
    """Freed memory of up to 256 MB stays with the process, in one place for all threads; for programs of ours, not for
    callers of the library.

    A picture needs the same tensors again and again. glibc gives each back to the system and asks for it anew, whose
    pages come one by one and zeroed: with two threads that took up to a third of the time (docs/ablations.md). Does
    nothing where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in _SETTINGS:
        mallopt(parameter, value)
