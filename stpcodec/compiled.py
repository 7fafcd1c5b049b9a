"""How this package compiles its kernels with Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`numba.njit` without the interpreter lock, kept on disk for the next run.

    With `fastmath=True`, call only functions that are inlined or have no sums: of a called function's sums LLVM changes
    the order by where it compiles them, and a process that has just compiled a kernel and one that has loaded it would
    not agree to the last bit.

    Where neither the package's folder nor the user's cache can be written, every run compiles anew: Numba alone would
    refuse to be imported there.
    """

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)

    return compile_
