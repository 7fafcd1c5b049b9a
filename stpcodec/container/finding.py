"""What the reader says about the state of a file, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from stpcodec.container.header import Rational


@dataclass(frozen=True)
class Finding:
    """One piece of a file and whether it is intact.

    Bytes: [offset, offset + length). `kind`: preamble, header, segment, sidecar, index, other (unknown
    ancillary record), gap (no valid record, or none where one is missing: then length 0), misplaced (out of
    sequence).

    `segment` is its number in `StpReader.segments`. Frames [first_frame, end_frame) and pts [first_pts,
    end_pts) are what the piece holds, or, where it is damaged, what may be lost with it: from the first frame
    concerned (from the last intact one before it, where the file does not tell more) to the first intact one
    after it. `end_frame` and `end_pts` None with a `first_frame`: to an end that is not known.
    """

    kind: str
    offset: int
    length: int
    intact: bool
    message: str
    segment: int | None = None
    first_frame: int | None = None
    end_frame: int | None = None
    first_pts: int | None = None
    end_pts: int | None = None

    def seconds(self, time_base: Rational) -> tuple[Fraction | None, Fraction | None]:
        """Start and end of the time range, exact."""
        numerator, denominator = time_base
        start, end = (
            None if pts is None else Fraction(pts * numerator, denominator) for pts in (self.first_pts, self.end_pts)
        )
        return start, end
