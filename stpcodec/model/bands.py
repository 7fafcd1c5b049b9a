"""A picture cut into bands of rows, which the networks work on side by side.

Every band is computed with as many rows above and below it as the networks see (its halo), so the picture is the same
as computed whole, but for rounding. How it is cut depends on its height alone: an encoder on one thread and one on many
write the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from stpcodec.model.config import NetworkConfig

BAND_ROWS = 12
"""Rows of 16 samples that a band has, about: with fewer of them the halo would weigh more."""


@dataclass(frozen=True)
class Band:
    """Rows of 1/16 resolution: start to stop are the band's own, first to last with its halo."""

    start: int
    stop: int
    first: int
    last: int

    def computed(self, scale: int) -> slice:
        """The rows with halo at 1/16 resolution times `scale`."""
        return slice(self.first * scale, self.last * scale)

    def own(self, scale: int) -> slice:
        return slice(self.start * scale, self.stop * scale)

    def margin(self, scale: int) -> tuple[int, int]:
        """Rows of the halo above and below."""
        return (self.start - self.first) * scale, (self.last - self.stop) * scale

    def inner(self, scale: int) -> slice:
        """The band's own rows, counted from its first computed one."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


def cut(rows: int, halo: int) -> tuple[Band, ...]:
    """Bands of about BAND_ROWS of `rows` rows of 1/16 resolution, none narrower than the halo: it is whole wherever it
    does not end at the picture's border."""
    count = max(1, min(round(rows / BAND_ROWS), rows // max(1, halo)))
    edges = [rows * number // count for number in range(count + 1)]
    return tuple(
        Band(start, stop, max(0, start - halo), min(rows, stop + halo))
        for start, stop in pairwise(edges)
    )


def halves(rows: int) -> list[tuple[int, int]]:
    """Start and stop of both, or of the whole where it is one row."""
    return [part for part in ((0, rows // 2), (rows // 2, rows)) if part[0] < part[1]]


def halo_rows(config: NetworkConfig) -> int:
    """How far the networks see, in rows of 1/16 resolution: every block one row of its own resolution."""
    analysis = config.analysis_wide_depth + -(-(config.analysis_depth + config.context_depth) // 2)
    synthesis = config.synthesis_wide_depth + -(-config.synthesis_depth // 2)
    context = -(-(config.synthesis_depth + config.context_depth) // 2)
    return max(analysis, synthesis, context)
