"""From points to figures: BD-rates per clip, their mean and median, and what is wrong with the points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean, median

from stpcodec.evaluation.bd_rate import BdRate, NoOverlap, bd_rate
from stpcodec.evaluation.points import Point


@dataclass(frozen=True)
class Metric:
    """What a BD-rate is taken over. rate and quality of a point (None: it has none); `name` as in tables and JSON.

    title: for people. unit: of the quality's axis. headline: has a table and a plot of its own.
    """

    name: str
    title: str
    unit: str
    quality: Callable[[Point], float | None]
    rate: Callable[[Point], float] = lambda p: p.payload_bytes
    headline: bool = False


METRICS = (
    Metric("psnr_yuv", "PSNR 6:1:1, mean over frames", "dB", lambda p: p.psnr_yuv, headline=True),
    Metric(
        "ms_ssim_db", "MS-SSIM of luma as -10 log10(1 - mean over frames)", "dB", lambda p: p.ms_ssim_db, headline=True
    ),
    Metric("vmaf", "VMAF (vmaf_v0.6.1), mean over frames", "", lambda p: p.vmaf, headline=True),
    Metric("psnr_y", "PSNR of luma, mean over frames", "dB", lambda p: p.psnr_y),
    Metric("clip_psnr_yuv", "PSNR 6:1:1 of the error of the whole clip", "dB", lambda p: p.clip_psnr_yuv),
    Metric(
        "psnr_yuv_with_messages",
        "PSNR 6:1:1, mean over frames; encoders' texts about themselves charged",
        "dB",
        lambda p: p.psnr_yuv,
        lambda p: p.payload_bytes + p.message_bytes,
    ),
)
"""The first is the one to quote."""


def metrics_of(points: Sequence[Point]) -> list[Metric]:
    """Those that at least one point has."""
    return [metric for metric in METRICS if any(metric.quality(point) is not None for point in points)]


@dataclass(frozen=True)
class ClipFigure:
    """BD-rate of one clip, or why there is none."""

    clip: str
    group: str
    figure: BdRate | None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """`test` against `anchor` over one metric, clip by clip."""

    test: str
    anchor: str
    metric: str
    clips: tuple[ClipFigure, ...]
    title: str = ""

    def percents(self, group: str | None = None) -> list[float]:
        """BD-rates of the clips that have one, of one group or of all."""
        return [c.figure.percent for c in self.clips if c.figure and group in (None, c.group)]

    def mean(self, group: str | None = None) -> float | None:
        values = self.percents(group)
        return fmean(values) if values else None

    def median(self, group: str | None = None) -> float | None:
        values = self.percents(group)
        return median(values) if values else None

    @property
    def mean_overlap(self) -> float | None:
        values = [c.figure.overlap for c in self.clips if c.figure]
        return fmean(values) if values else None

    @property
    def groups(self) -> list[str]:
        return sorted({c.group for c in self.clips if c.group})


def compare(points: Sequence[Point], *, test: str, anchor: str, metric: Metric) -> Comparison:
    """BD-rate on every clip that has points of `test`.

    Raises UsageError: scipy is not installed.
    """
    figures = []
    for clip_hash in dict.fromkeys(p.clip_hash for p in points):
        of_clip = [p for p in points if p.clip_hash == clip_hash]
        name, group = of_clip[0].clip, of_clip[0].group
        curves = {codec: _curve(of_clip, codec, metric) for codec in (anchor, test)}
        missing = [codec for codec, curve in curves.items() if not curve]
        if missing:
            figures.append(ClipFigure(name, group, None, f"{' and '.join(missing)} without {metric.name}"))
            continue
        try:
            figures.append(ClipFigure(name, group, bd_rate(curves[anchor], curves[test])))
        except NoOverlap as error:
            figures.append(ClipFigure(name, group, None, str(error)))
    return Comparison(test, anchor, metric.name, tuple(figures), metric.title)


def _curve(points: Sequence[Point], codec: str, metric: Metric) -> list[tuple[float, float]]:
    pairs = [(metric.rate(p), metric.quality(p)) for p in points if p.codec == codec]
    return [(rate, quality) for rate, quality in pairs if quality is not None]


def comparisons(points: Sequence[Point], *, models: Sequence[str], anchors: Sequence[str]) -> list[Comparison]:
    """Every model against every anchor and against `dct`, and every anchor against those named before it."""
    pairs = [(test, anchor) for test in models for anchor in (*anchors, *(["dct"] if "dct" in models else []))]
    pairs += [(test, anchor) for n, test in enumerate(anchors) for anchor in anchors[:n]]
    return [
        compare(points, test=test, anchor=anchor, metric=metric)
        for metric in metrics_of(points)
        for test, anchor in pairs
        if test != anchor
    ]


def violations(points: Iterable[Point], models: Sequence[str]) -> list[str]:
    """What must not be: bytes or PSNR that do not rise with quality, times or frames that differ."""
    curves: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        if point.codec in models:
            curves.setdefault(point.curve, []).append(point)
    found = []
    for curve in curves.values():
        ordered = sorted(curve, key=lambda p: p.setting)
        found += [f"{p.clip}: {p.codec} quality {p.setting}: {p.problem}" for p in ordered if p.problem]
        for lower, higher in pairwise(ordered):
            where = f"{lower.clip}: {lower.codec}: from quality {lower.setting} to {higher.setting}"
            if not higher.payload_bytes > lower.payload_bytes:
                found.append(f"{where} the size goes from {lower.payload_bytes} to {higher.payload_bytes} bytes")
            if not higher.psnr_yuv > lower.psnr_yuv:
                found.append(f"{where} PSNR goes from {lower.psnr_yuv:.3f} to {higher.psnr_yuv:.3f} dB")
    return found


def as_json(comparison: Comparison) -> dict[str, object]:
    """Plain types for the JSON summary."""
    return {
        "test": comparison.test,
        "anchor": comparison.anchor,
        "metric": comparison.metric,
        "mean_percent": comparison.mean(),
        "median_percent": comparison.median(),
        "mean_overlap": comparison.mean_overlap,
        "clips_counted": len(comparison.percents()),
        "groups": {
            group: {"mean_percent": comparison.mean(group), "median_percent": comparison.median(group)}
            for group in comparison.groups
        },
        "clips": [
            {"clip": c.clip, "group": c.group, **(asdict(c.figure) if c.figure else {"reason": c.reason})}
            for c in comparison.clips
        ],
    }
