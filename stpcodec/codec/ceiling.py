"""Keeping every second of a file under a bit rate: the segments that are in a second above it get less quality.

encode ─► windows ─► those above ─► lower their segments ─► encode … until none is above
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stpcodec.codec.qualities import LOWEST, STEP, Qualities
from stpcodec.codec.windows import Window, frame_costs, windows
from stpcodec.container import StpReader
from stpcodec.errors import TargetUnreachable, UsageError

_SLOPE = 0.035  # of the logarithm of bytes, a quality; real ones are mostly steeper, so this lowers enough
_FLATTER = 0.85  # ... but not where a short segment is mostly its first frame: every round takes it for so much less
_MARGIN = 0.005
ROUNDS = 8


@dataclass(frozen=True)
class Ceiling:
    """bits: the most that any one second of the video may take, without sound and other streams."""

    bits: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bits) and self.bits > 0):
            raise UsageError(f"highest bit rate {self.bits}: must be above 0")

    def lowered(
        self, path: Path, qualities: Qualities, name: str, rounds: int
    ) -> tuple[Mapping[int, float] | None, Window]:
        """What `Qualities.most` must be after the encode at `path` with `qualities`: None if it is well as it is.
        And the dearest second. rounds: how often it was lowered already.

        Raises TargetUnreachable where a second is above the ceiling and all its segments are at the lowest quality.
        """
        with StpReader(path) as stream:
            found = windows(frame_costs(stream))
        dearest = max(found, key=lambda window: window.bits)
        most = dict(qualities.most)
        for window in found:
            if window.bits <= self.bits:
                continue
            able = [first for first in window.segments if qualities.of_segment(first) > LOWEST]
            if not able:
                raise TargetUnreachable(
                    f"{name}: at most {self.bits / 1000:.1f} kbit/s in any second cannot be reached; the nearest is "
                    f"{window.bits / 1000:.1f} kbit/s, at quality {LOWEST} from {window.start_seconds:.2f} s on"
                )
            step = max(STEP, (math.log(window.bits / self.bits) + _MARGIN) / (_SLOPE * _FLATTER**rounds))
            for first in able:
                lower = max(LOWEST, round(qualities.of_segment(first) - step, 2))
                most[first] = min(lower, most.get(first, lower))
        return (most if most != qualities.most else None), dearest
