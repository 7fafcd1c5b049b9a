"""How much worse than others the last frames of a segment may be: nothing is predicted from them.

An anchor is coded above the quality asked for because of all that follows. Where a segment ends, little follows, and
its last anchors are worth less the fewer frames come behind them. Measured: docs/ablations.md.
"""

from __future__ import annotations

LESS = 16
"""Qualities, of an anchor behind which nothing comes."""
WORTH_FRAMES = 8
"""With so many frames behind it an anchor is worth what others are."""


def ending_discount(frames_behind: int) -> int:
    """By how much the quality of an anchor is lowered behind which a segment has so many frames more."""
    return round(LESS * max(0.0, 1 - frames_behind / WORTH_FRAMES))
