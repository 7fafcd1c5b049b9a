"""Which quality every picture of a file has: finer than the whole numbers of the format, and lower where it must be.

    quality 52.4     the header says 52; pictures are 52 53 52 53 52 52 53 52 …, two of five of them 53
    most {128: 40}   pictures of the segment that begins at frame 128 are 40, those of the others as above

It follows from a picture's place alone, so segments may be coded in any order and in any process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stpcodec.codec.interest import Interest
from stpcodec.codec.tune import PSNR
from stpcodec.errors import UsageError

LOWEST, HIGHEST = 1, 100
USUAL_EFFORT, MOST_EFFORT = 1, 9
STEP = 0.05
"""Finer differences are not asked for by any search; twenty pictures show one of them."""
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Qualities:
    """value: 1 to 100, to two decimals. most: of the segments that begin at these frames; each 1 to 100. interest:
    what counts more and what less, None where all counts alike. effort: 0 to 9, see effort.py."""

    value: float
    most: Mapping[int, float] = field(default_factory=dict)
    interest: Interest | None = None
    effort: int = USUAL_EFFORT

    def __post_init__(self) -> None:
        if not 0 <= self.effort <= MOST_EFFORT:
            raise UsageError(f"effort {self.effort}: must be 0 to {MOST_EFFORT}")
        for value in (self.value, *self.most.values()):
            if not LOWEST <= value <= HIGHEST:
                raise UsageError(f"quality {value}: must be {LOWEST} to {HIGHEST}")

    @property
    def tune(self) -> str:
        return PSNR if self.interest is None else self.interest.tune

    @property
    def of_file(self) -> int:
        """What the stream header says."""
        return math.floor(self.value)

    def of_segment(self, first_frame: int) -> float:
        return min(self.value, self.most.get(first_frame, HIGHEST))

    def of_picture(self, first_frame: int, number: int) -> int:
        """first_frame: of the segment in the file; number: of the picture in the segment, in the order of coding.

        Every place has a threshold of its own, by the multiples of the golden ratio: spread evenly over any run of
        places and over every eighth one too, so that anchors, which are dear, are not all on the same side. A higher
        quality makes further pictures better and none worse: bytes rise with it. The segment's place shifts them, and
        a half keeps a first picture from being better than the others at once.
        """
        value = self.of_segment(first_frame)
        whole = math.floor(value)
        threshold = (0.5 + (first_frame + number) * _GOLDEN) % 1
        return whole + (threshold < round(value - whole, 2))

    @property
    def remark(self) -> str:
        """What the header's quality does not tell; "" where it tells all."""
        parts = [f"quality {tidy(self.value)}"] if self.value != self.of_file else []
        if self.most:
            parts.append(f"less in {len(self.most)} segments")
        if self.effort != USUAL_EFFORT:
            parts.append(f"effort {self.effort}")
        if self.interest is not None:
            parts.append(self.interest.remark)
        return "; ".join(part for part in parts if part)


def tidy(quality: float) -> float:
    """52.4 for 52.40000001, and 52 for 52.0: as one writes it."""
    rounded = round(quality, 2)
    return int(rounded) if rounded == int(rounded) else rounded
