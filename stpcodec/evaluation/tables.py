"""The summary as Markdown: BD-rate tables that are read in a terminal as well as on a page."""

from __future__ import annotations

from collections.abc import Sequence

from stpcodec.evaluation.points import Point
from stpcodec.evaluation.summary import METRICS, Comparison

HEADLINES = frozenset(metric.name for metric in METRICS if metric.headline)
_POINT_COLUMNS = (
    *("clip", "codec", "setting", "bytes", "bits/pixel", "Y dB", "U dB", "V dB", "6:1:1 dB"),
    *("MS-SSIM", "VMAF", "enc s", "dec s"),
)


OVERLAP = "in brackets how much of the two ranges of quality overlaps: below half, a figure says little"


def bd_rate_tables(comparisons: Sequence[Comparison]) -> str:
    """A table for every headline metric and codec under test, over all clips."""
    parts = []
    for title, shown in headline_groups(comparisons):
        parts.append(
            f"BD-rate in per cent (negative: less rate for the same quality), {title};\n{OVERLAP}:\n\n"
            + table(bd_rate_rows(shown))
        )
    return "\n".join(parts)


def headline_groups(comparisons: Sequence[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """What goes into one table: comparisons of one metric and one test codec, with the metric's title."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        if comparison.metric in HEADLINES:
            groups.setdefault((comparison.metric, comparison.test), []).append(comparison)
    return [(shown[0].title, shown) for shown in groups.values()]


def bd_rate_rows(shown: Sequence[Comparison]) -> list[list[str]]:
    """Header, clips, then mean, median, both by group, how many clips count, mean overlap."""
    header = ["clip", *(f"{c.test} / {c.anchor}" for c in shown)]
    rows = [[clip.clip, *(_cell(c, number) for c in shown)] for number, clip in enumerate(shown[0].clips)]
    groups = shown[0].groups
    summary = [
        ["**mean**", *(percent(c.mean()) for c in shown)],
        ["**median**", *(percent(c.median()) for c in shown)],
    ]
    for group in groups if len(groups) > 1 else ():
        count = sum(clip.group == group for clip in shown[0].clips)
        summary.append([f"mean, {group} ({count})", *(percent(c.mean(group)) for c in shown)])
        summary.append([f"median, {group} ({count})", *(percent(c.median(group)) for c in shown)])
    summary.append(["clips counted", *(f"{len(c.percents())} of {len(c.clips)}" for c in shown)])
    summary.append(["mean overlap", *(f"{c.mean_overlap:.0%}" if c.mean_overlap else "–" for c in shown)])
    return [header, *rows, *summary]


def points_table(points: Sequence[Point]) -> str:
    """Every point: rate and quality."""
    return table(point_rows(points))


def point_rows(points: Sequence[Point]) -> list[list[str]]:
    """Header and a row a point. MS-SSIM and VMAF are empty where there are none."""
    rows = [list(_POINT_COLUMNS)]
    for p in points:
        rows.append(
            [
                p.clip,
                p.codec,
                str(p.setting),
                str(p.payload_bytes),
                f"{p.bits_per_pixel:.4f}",
                f"{p.psnr_y:.2f}",
                f"{p.psnr_u:.2f}",
                f"{p.psnr_v:.2f}",
                f"{p.psnr_yuv:.2f}",
                f"{p.ms_ssim:.5f}" if p.ms_ssim is not None else "",
                f"{p.vmaf:.2f}" if p.vmaf is not None else "",
                f"{p.encode_seconds:.1f}",
                f"{p.decode_seconds:.1f}",
            ]
        )
    return rows


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns padded; the first row is the header, the first column is flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = (
        "|" + "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths)) + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cell(comparison: Comparison, number: int) -> str:
    figure = comparison.clips[number].figure
    return f"{figure.percent:+.1f} ({figure.overlap:.0%})" if figure else "–"


def percent(value: float | None) -> str:
    return f"{value:+.1f}" if value is not None else "–"
