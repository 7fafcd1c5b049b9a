"""Bjøntegaard delta rate: how much more or less rate one codec needs than another for the same quality.

log(rate) as a function of quality is interpolated with monotone piecewise cubics (PCHIP, as the JVET common
test conditions do), both curves are integrated over the quality range they share, and the mean difference is
turned into per cent. Negative: the test codec needs less.

G. Bjøntegaard, VCEG-M33 (2001); JVET-T2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stpcodec.errors import StpError, UsageError

MIN_POINTS = 2
"""What interpolation needs. Published figures use four or more."""


class NoOverlap(StpError):
    """The two curves share no range of quality (or one has too few points): there is no BD-rate."""


@dataclass(frozen=True)
class BdRate:
    """percent: mean rate difference of the test codec over [low, high], the quality range both curves cover.

    overlap: that range as a share of the quality range that either covers; below about 0.5 the figure says
    little. dropped: points left out because another of the same curve is better for less rate.
    """

    percent: float
    low: float
    high: float
    overlap: float
    dropped: int


def bd_rate(anchor: Iterable[tuple[float, float]], test: Iterable[tuple[float, float]]) -> BdRate:
    """BD-rate of `test` against `anchor`; both are (rate, quality) points in any order and any one unit.

    Raises:
        NoOverlap: no common range of quality, or fewer than two usable points in a curve.
        UsageError: a rate that is not positive, or scipy is not installed.
    """
    pchip = load_pchip()
    anchor_points, anchor_dropped = _curve(anchor)
    test_points, test_dropped = _curve(test)
    low = max(anchor_points[0][1], test_points[0][1])
    high = min(anchor_points[-1][1], test_points[-1][1])
    if not high > low:
        raise NoOverlap(
            f"the curves share no range of quality: anchor {anchor_points[0][1]:.2f} to "
            f"{anchor_points[-1][1]:.2f}, test {test_points[0][1]:.2f} to {test_points[-1][1]:.2f}"
        )
    means = [
        pchip([q for _, q in points], [math.log(rate) for rate, _ in points]).integrate(low, high) / (high - low)
        for points in (anchor_points, test_points)
    ]
    union = max(anchor_points[-1][1], test_points[-1][1]) - min(anchor_points[0][1], test_points[0][1])
    return BdRate(
        percent=100 * math.expm1(float(means[1] - means[0])),
        low=low,
        high=high,
        overlap=(high - low) / union,
        dropped=anchor_dropped + test_dropped,
    )


def _curve(points: Iterable[tuple[float, float]]) -> tuple[list[tuple[float, float]], int]:
    """Points by rising rate and quality, and how many had to go: those that cost more and are not better."""
    ordered = sorted((float(rate), float(quality)) for rate, quality in points)
    if any(not (rate > 0 and math.isfinite(rate) and math.isfinite(quality)) for rate, quality in ordered):
        raise UsageError("BD-rate: every rate must be positive and every quality finite")
    kept: list[tuple[float, float]] = []
    for rate, quality in ordered:
        if kept and rate == kept[-1][0] and quality > kept[-1][1]:
            kept.pop()
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    if len(kept) < MIN_POINTS:
        raise NoOverlap(f"a curve needs {MIN_POINTS} points of rising quality, this one has {len(kept)}")
    return kept, len(ordered) - len(kept)


def load_pchip() -> type:
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError:
        raise UsageError("BD-rate needs scipy: pip install 'stpcodec[bench]'") from None
    return PchipInterpolator
