"""Sizes and rates as people write them: 25MB, 25MiB, 800k, 1.5M."""

from __future__ import annotations

import math
import re

from stpcodec.errors import UsageError

_SPAN = re.compile(r"(\d+(?:\.\d+)?|\.\d+)?-(\d+(?:\.\d+)?|\.\d+)?")
_FORM = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z/]*)")
_PREFIX = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_size(text: str, option: str = "--target-size") -> float:
    """Bytes; k, M and G are powers of 1000, Ki, Mi and Gi of 1024. Raises UsageError, which names `option`."""
    return _parse(text, ("b",), f"{option} {text}: write it as 25MB, 2GB or 1.5MiB")


def parse_rate(text: str, option: str = "--bitrate") -> float:
    """Bits a second. Raises UsageError, which names `option`."""
    return _parse(text, ("bit/s", "bps", "b/s", "bit"), f"{option} {text}: write it as 800k or 1.5M (bits a second)")


def parse_region(text: str) -> tuple[tuple[int, int, int, int], float | None, float, float]:
    """`x,y,w,h[,gain][@start-end]` as (place, gain, start and end in seconds). Raises UsageError."""
    error = UsageError(f"--roi {text}: write it as x,y,w,h or x,y,w,h,gain, and @2-7.5 behind it for a time")
    place, at, span = text.partition("@")
    words = place.split(",")
    match = _SPAN.fullmatch(span) if at else None
    if len(words) not in (4, 5) or (at and match is None):
        raise error
    try:
        x, y, width, height = (int(word) for word in words[:4])
        gain = float(words[4]) if len(words) == 5 else None
    except ValueError:
        raise error from None
    start, end = match.groups() if match else (None, None)
    return (x, y, width, height), gain, float(start or -math.inf), float(end or math.inf)


def _parse(text: str, units: tuple[str, ...], error: str) -> float:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(error)
    rest = match[2].lower()
    for unit in units:
        rest = rest.removesuffix(unit) if rest.endswith(unit) else rest
    if rest not in _PREFIX or not float(match[1]):
        raise UsageError(error)
    return float(match[1]) * _PREFIX[rest]
