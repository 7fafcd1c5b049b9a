"""Rate-distortion curves of one clip as inline SVG: no library, no script, readable without a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from stpcodec.evaluation.points import Point
from stpcodec.evaluation.summary import Metric

WIDTH, HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 26, 40


def rate_plot(points: Sequence[Point], metric: Metric, classes: Mapping[str, str]) -> str:
    """Quality over bits per pixel (logarithmic), a line a codec; "" when no point has this metric.

    classes: of a codec in the style sheet.
    """
    curves: dict[str, list[tuple[float, float, Point]]] = {}
    for point in sorted(points, key=lambda p: p.payload_bytes):
        quality = metric.quality(point)
        if quality is not None:
            curves.setdefault(point.codec, []).append((math.log10(point.bits_per_pixel), quality, point))
    if not curves:
        return ""
    placed = [(x, y) for curve in curves.values() for x, y, _ in curve]
    x_axis = Axis(min(x for x, _ in placed), max(x for x, _ in placed), _LEFT, WIDTH - _RIGHT)
    y_axis = Axis(min(y for _, y in placed), max(y for _, y in placed), HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(x_axis, y_axis, metric)]
    for codec, curve in curves.items():
        line = " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y, _ in curve)
        parts.append(f'<g class="{classes[codec]}"><polyline points="{line}"/>')
        for x, y, point in curve:
            told = f"{codec} {point.setting}: {point.bits_per_pixel:.4f} bits per pixel, {y:.2f} {metric.unit}".rstrip()
            parts.append(
                f'<circle cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}" r="3.2"><title>{escape(told)}</title></circle>'
            )
        parts.append("</g>")
    label = escape(metric.title)
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


class Axis:
    """Values [low, high] with a little room on both sides → positions [start, stop]."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        room = 0.05 * (high - low) or 0.5
        self.low, self.high = low - room, high + room
        self._start, self._stop = start, stop

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._stop - self._start)

    def ticks(self) -> list[float]:
        """Five to ten round values."""
        raw = (self.high - self.low) / 8
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step) + 1)]

    def decades(self) -> list[float]:
        """1, 2 and 5 of every decade, for logarithms."""
        found = []
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            found += [power + math.log10(m) for m in (1, 2, 5)]
        return [value for value in found if self.low <= value <= self.high]


def _frame(x_axis: Axis, y_axis: Axis, metric: Metric) -> str:
    left, right, top, bottom = _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM
    parts = [f'<text class="title" x="{left}" y="15">{escape(metric.title)}</text>']
    for value in y_axis.ticks():
        y = y_axis(value)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in x_axis.decades():
        x = x_axis(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{10**value:.3g}</text>')
    middle = (left + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">bits per pixel</text>')
    if metric.unit:
        parts.append(f'<text x="{left - 6}" y="15" text-anchor="end">{metric.unit}</text>')
    return "".join(parts)
