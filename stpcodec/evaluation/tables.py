"""The summary as Markdown: BD-rate tables that are read in a terminal as well as on a page."""

from __future__ import annotations

from collections.abc import Sequence

from stpcodec.evaluation.points import Point
from stpcodec.evaluation.summary import METRICS, Comparison


def bd_rate_tables(comparisons: Sequence[Comparison]) -> str:
    """One table of all clips and comparisons over the metric to quote."""
    shown = [c for c in comparisons if c.metric == METRICS[0].name]
    if not shown:
        return ""
    header = ["clip", *(f"{c.test} / {c.anchor}" for c in shown)]
    rows = [[clip.clip, *(_cell(c, number) for c in shown)] for number, clip in enumerate(shown[0].clips)]
    groups = shown[0].groups
    summary = [
        ["**mean**", *(_percent(c.mean()) for c in shown)],
        ["**median**", *(_percent(c.median()) for c in shown)],
    ]
    for group in groups if len(groups) > 1 else ():
        count = sum(clip.group == group for clip in shown[0].clips)
        summary.append([f"mean, {group} ({count})", *(_percent(c.mean(group)) for c in shown)])
    summary.append(["clips counted", *(f"{len(c.percents())} of {len(c.clips)}" for c in shown)])
    summary.append(["mean overlap", *(f"{c.mean_overlap:.0%}" if c.mean_overlap else "–" for c in shown)])
    return (
        "BD-rate in per cent (negative: less rate for the same PSNR 6:1:1, mean over frames), in brackets\n"
        "how much of the two PSNR ranges overlaps:\n\n" + table([header, *rows, *summary])
    )


def points_table(points: Sequence[Point]) -> str:
    """Every point: rate and quality."""
    rows = [
        [
            "clip",
            "codec",
            "setting",
            "bytes",
            "bits/pixel",
            "Y dB",
            "U dB",
            "V dB",
            "6:1:1 dB",
            "enc s",
            "dec s",
        ]
    ]
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
                f"{p.encode_seconds:.1f}",
                f"{p.decode_seconds:.1f}",
            ]
        )
    return table(rows)


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
        "|"
        + "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths))
        + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cell(comparison: Comparison, number: int) -> str:
    figure = comparison.clips[number].figure
    return f"{figure.percent:+.1f} ({figure.overlap:.0%})" if figure else "–"


def _percent(value: float | None) -> str:
    return f"{value:+.1f}" if value is not None else "–"
