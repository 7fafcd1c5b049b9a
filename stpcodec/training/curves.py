"""Validation curves of training runs as one SVG, or as a page around it; no library, no script, no network needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from stpcodec.errors import InputError, OutputError, UsageError
from stpcodec.evaluation.plots import Axis
from stpcodec.training.run_log import BD_MEAN, BD_MEDIAN, read_rows
from stpcodec.training.run_log import NAME as LOG_NAME

WIDTH, HEIGHT, GAP = 560, 300, 24
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 28, 40
_LEGEND_LINE = 18
COLOURS = ("#0b62c4", "#e07b00", "#15803d", "#c81e3c", "#7c3aed", "#475569", "#0891b2", "#be4b9b")
DASHES = ("", "7 3", "4 3", "1.5 3")
"""One a quality, the lowest solid."""
STYLE = (
    "text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #5c636c; } "
    ".title { font-weight: 600; fill: #1a1d21; } .grid { stroke: #dfe2e6; } "
    "polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; } "
    ".stage { stroke: #6a7078; stroke-dasharray: 2 4; }"
)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>stpcodec training runs</title><style>
body {{ margin: 1.5rem auto; max-width: 1200px; padding: 0 1rem; background: #fff; }}
body {{ font: 15px/1.5 system-ui, sans-serif; }}
svg {{ width: 100%; height: auto; }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #dfe2e6; }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0; }}
</style></head><body><h1>Training runs</h1>
<p>Validation on held-out clips. Score: log2(bits + λ·error) per pixel, bits estimated, lower is better. BD-rate: of
pieces of them coded for real, against x264.</p>
{table}
{svg}</body></html>
"""


@dataclass(frozen=True)
class Run:
    """A run's name and the rows of its log, at least one."""

    name: str
    rows: Sequence[dict[str, float]]

    @property
    def best(self) -> dict[str, float]:
        return min(self.rows, key=lambda row: row["score"])


@dataclass(frozen=True)
class _Panel:
    """columns: one a line of every run."""

    title: str
    columns: Sequence[str]


def _qualities(runs: Sequence[Run]) -> list[int]:
    """Those that any of the logs has columns of."""
    matches = (re.match(r"q(\d+)_", column) for run in runs for row in run.rows for column in row)
    return sorted({int(match[1]) for match in matches if match})


def _panels(runs: Sequence[Run]) -> list[_Panel]:
    panels = [
        _Panel("score", ("score",)),
        _Panel("BD-rate against x264 in per cent: mean of pieces, median dashed", (BD_MEAN, BD_MEDIAN)),
        _Panel("loss on the training crops (mean since the row before)", ("train_loss",)),
        *(
            _Panel(f"{kind} frames: {words}", tuple(f"q{quality}_{kind}_{figure}" for quality in _qualities(runs)))
            for kind in ("inter", "intra")
            for figure, words in (("bpp", "bits per pixel"), ("psnr", "PSNR in dB"))
        ),
    ]
    return [panel for panel in panels if any(_points(run, c) for run in runs for c in panel.columns)]


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Runs by folder or log file, named as short as they can be told apart.

    Raises InputError: no log, or no validation in it yet.
    """
    logs = [path if path.is_file() else path / LOG_NAME for path in paths]
    runs = []
    for log in logs:
        rows = read_rows(log)
        if not rows:
            raise InputError(f"{log}: holds no validation yet; wait for the first one")
        name = log.resolve().parent.name
        alone = sum(other.resolve().parent.name == name for other in logs) == 1
        runs.append(Run(name if alone else str(log.parent), rows))
    return runs


def write_plot(runs: Sequence[Run], target: Path, *, overwrite: bool = False) -> None:
    """An .svg, or an .html page with a table too. Raises UsageError, OutputError."""
    check_plot_target(target, overwrite=overwrite)
    text = svg(runs) if target.suffix.lower() == ".svg" else page(runs)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{target}: cannot be written ({error.strerror or error}); write elsewhere") from error


def check_plot_target(target: Path, *, overwrite: bool) -> None:
    """Raises UsageError: neither .html nor .svg, or there already."""
    if target.suffix.lower() not in (".html", ".svg"):
        raise UsageError(f"--out {target}: name a file that ends in .html or .svg")
    if target.is_dir():
        raise UsageError(f"--out {target}: is a folder; name a file in it")
    if target.exists() and not overwrite:
        raise UsageError(f"--out {target}: exists already; use --overwrite to replace it, or name another file")


def page(runs: Sequence[Run]) -> str:
    head = "<tr><th>run</th><th>steps</th><th>minutes</th><th>last score</th><th>best score</th><th>at step</th>"
    head += "<th>first BD-rate</th><th>last</th></tr>"
    lines = "".join(
        f"<tr><td>{escape(run.name)}</td><td>{run.rows[-1]['step']:.0f}</td><td>{run.rows[-1]['minutes']:.1f}</td>"
        f"<td>{run.rows[-1]['score']:.4f}</td><td>{run.best['score']:.4f}</td><td>{run.best['step']:.0f}</td>"
        f"{_first_and_last(run)}</tr>"
        for run in runs
    )
    return PAGE.format(table=f"<table>{head}{lines}</table>", svg=svg(runs))


def _first_and_last(run: Run) -> str:
    """Cells of the BD-rates, mean of pieces; empty where there is none."""
    found = [row[BD_MEAN] for row in run.rows if BD_MEAN in row]
    return "".join(f"<td>{value:+.1f} %</td>" for value in (found[0], found[-1])) if found else "<td></td><td></td>"


def svg(runs: Sequence[Run]) -> str:
    """Panels in two columns over the minutes trained: colours are runs, dashes qualities, dotted lines new stages."""
    panels = _panels(runs)
    legend = _LEGEND_LINE * (len(runs) + 1) + 8
    total = legend + -(-len(panels) // 2) * (HEIGHT + GAP)
    parts = [_legend(runs)]
    for number, panel in enumerate(panels):
        x, y = number % 2 * (WIDTH + GAP), legend + number // 2 * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, runs)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + GAP} {total}" role="img" '
        f'aria-label="validation curves"><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _legend(runs: Sequence[Run]) -> str:
    parts = []
    for number, run in enumerate(runs):
        y = _LEGEND_LINE * (number + 1)
        line = f"{run.name}: best {run.best['score']:.4f} at step {run.best['step']:.0f}"
        parts.append(_stroke(_LEFT, y - 4, COLOURS[number % len(COLOURS)], ""))
        parts.append(f'<text x="{_LEFT + 40}" y="{y}">{escape(line)}</text>')
    y = _LEGEND_LINE * (len(runs) + 1)
    for number, quality in enumerate(_qualities(runs)):
        x = _LEFT + 130 * number
        parts.append(_stroke(x, y - 4, "#5c636c", DASHES[number % len(DASHES)]))
        parts.append(f'<text x="{x + 40}" y="{y}">quality {quality}</text>')
    return "".join(parts)


def _stroke(x: float, y: float, colour: str, dash: str) -> str:
    ends = f'x1="{x}" y1="{y}" x2="{x + 32}" y2="{y}"'
    return f'<line {ends} stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'


def _panel(panel: _Panel, runs: Sequence[Run]) -> str:
    lines = [(run, number, c) for run in runs for number, c in enumerate(panel.columns)]
    placed = [point for run, _, column in lines for point in _points(run, column)]
    x_axis = Axis(min(x for x, _ in placed), max(x for x, _ in placed), _LEFT, WIDTH - _RIGHT)
    y_axis = Axis(min(y for _, y in placed), max(y for _, y in placed), HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(panel.title, x_axis, y_axis)]
    for number, run in enumerate(runs):
        parts += [_stage_line(x_axis(minutes), COLOURS[number % len(COLOURS)]) for minutes in _stage_starts(run)]
    for run, number, column in lines:
        points = _points(run, column)
        colour, dash = COLOURS[runs.index(run) % len(COLOURS)], DASHES[number % len(DASHES)]
        drawn = " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{drawn}" stroke="{colour}" stroke-dasharray="{dash}"/>')
        for x, y in points:
            told = escape(f"{run.name}, {column}: {y:.5g} at {x:.1f} min")
            centre = f'cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}"'
            parts.append(f'<circle {centre} r="2.4" fill="{colour}"><title>{told}</title></circle>')
    return "".join(parts)


def _frame(title: str, x_axis: Axis, y_axis: Axis) -> str:
    left, right, top, bottom = _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM
    parts = [f'<text class="title" x="{left}" y="16">{escape(title)}</text>']
    for value in y_axis.ticks():
        y = y_axis(value)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in x_axis.ticks():
        x = x_axis(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">minutes</text>')
    return "".join(parts)


def _stage_line(x: float, colour: str) -> str:
    ends = f'x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{HEIGHT - _BOTTOM}"'
    return f'<line class="stage" style="stroke: {colour}" {ends}/>'


def _stage_starts(run: Run) -> list[float]:
    """Minutes of the first row of every stage but the first; none where the log knows no stages."""
    pairs = zip(run.rows, run.rows[1:], strict=False)
    return [after["minutes"] for before, after in pairs if after.get("stage", 0) != before.get("stage", 0)]


def _points(run: Run, column: str) -> list[tuple[float, float]]:
    return [(row["minutes"], row[column]) for row in run.rows if column in row]
