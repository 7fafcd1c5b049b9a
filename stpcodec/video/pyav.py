"""Where PyAV 18 (Python 3.11) and 19 (from 3.12) differ."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

import av
from av.container import InputContainer, OutputContainer

# A tag that is not UTF-8 must not make a file unreadable: its bytes travel as surrogates. PyAV 19 does so always.
_TAG_BYTES = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}


class Ratio(Protocol):
    """A Fraction (PyAV 18), or an AVRational (19), which is false where 18 said None."""

    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


def open_for_reading(
    file: object, *, format_name: str | None = None, options: dict[str, str] | None = None
) -> InputContainer:
    """`av.open` of a name or a binary file. Raises av.FFmpegError and OSError."""
    more: dict[str, Any] = {"format": format_name, "options": options or {}, **_TAG_BYTES}
    return av.open(file, "r", **more)


def open_for_writing(
    file: object, format_name: str, container_options: dict[str, str] | None = None
) -> OutputContainer:
    """`av.open` of a binary file to write to. Raises av.FFmpegError and OSError."""
    more: dict[str, Any] = {"container_options": container_options or {}, **_TAG_BYTES}
    return av.open(file, "w", format=format_name, **more)


def fraction(ratio: Ratio | None) -> Fraction | None:
    """`ratio` exactly; None where there is none."""
    return Fraction(ratio.numerator, ratio.denominator) if ratio else None
