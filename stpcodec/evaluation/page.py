"""One HTML file that shows a sweep: no network, no other file, everything inlined.

The figures stand in it twice: as tables and plots that need no script, and as JSON (`bench-data`) that the
script in `assets/page.js` draws curves frame by frame from and feeds the viewer with.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from importlib.resources import files
from typing import Any

from stpcodec.evaluation.exhibit import Exhibit
from stpcodec.evaluation.pictures import window_of
from stpcodec.evaluation.plan import Plan, Result
from stpcodec.evaluation.plots import rate_plot
from stpcodec.evaluation.points import Point
from stpcodec.evaluation.summary import METRICS
from stpcodec.evaluation.tables import OVERLAP, bd_rate_rows, headline_groups, point_rows
from stpcodec.evaluation.traces import Trace

COLOURS = 8
"""Colour classes in the style sheet; further codecs start again with the first."""


def html_page(plan: Plan, result: Result, facts: Mapping[str, Any]) -> str:
    """facts: the summary."""
    style, script = asset("page.css"), asset("common.js") + asset("page.js")
    models = [subject.name for subject in plan.subjects]
    codecs = [*models, *(anchor.name for anchor in plan.anchors)]
    colours = {name: number % COLOURS for number, name in enumerate(codecs)}
    clips = [_clip_data(exhibit, result, codecs, models, colours) for exhibit in result.exhibits]
    data = json_element("bench-data", {"clips": clips})
    classes = {name: f"c{colours[name]}{' ours' if name in models else ''}" for name in codecs}
    body = [
        _head(facts, plan),
        _tables(result),
        *(_clip_section(number, e, result, classes) for number, e in enumerate(result.exhibits)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>stpcodec bench, {escape(str(facts['date']))}</title><style>\n{style}</style></head>\n"
        f"<body>\n{''.join(body)}"
        f"{data}\n"
        f"<script>\n{script}</script>\n</body></html>\n"
    )


def asset(name: str) -> str:
    """A style sheet or script that goes into a page."""
    return (files("stpcodec.evaluation") / "assets" / name).read_text(encoding="utf-8")


def json_element(name: str, value: object) -> str:
    """A value for scripts, by the id `name`. "<" is escaped so that nothing inside, such as the name of a clip, can
    end the element."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def data_address(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def _head(facts: Mapping[str, Any], plan: Plan) -> str:
    ours = ", ".join(f"{name} ({version})" for name, version in facts["models"].items())
    theirs = [
        f"{anchor.name}: {anchor.encoder} {' '.join(f'{k}={v}' for k, v in anchor.options)}, {anchor.knob} "
        f"{', '.join(map(str, anchor.crf))} ({facts['anchors'][anchor.name]['version']})"
        for anchor in plan.anchors
    ]
    length = f"the first {plan.frames} frames of each" if plan.frames else "all frames"
    rows: dict[str, str | list[str]] = {
        "our models": f"{ours}; qualities {', '.join(map(str, plan.qualities))}" if ours else "none",
        "other codecs": [*theirs, "Everything else at its default."] if theirs else "none",
        "clips": f"{facts['clips']}, {length}",
        "rate": "bytes of the video in the finished file: ours with all headers of the file, without sound; of the "
        "others the coded packets, without container and without the text that x264 and x265 write about themselves",
        "bits of a frame": "those of the packet that shows it (AV1 also puts frames of later times into it); a chunk "
        "of ours is spread evenly over its frames",
        "quality": ["measured on the decoded frames", *facts["metrics"].values()],
        "vmaf": facts["vmaf"] or "not measured",
        "made with": f"stpcodec {facts['stpcodec']}, PyAV {facts['pyav']}, Python {facts['python']}",
    }
    cells = "".join(
        f"<dt>{escape(name)}</dt>" + "".join(f"<dd>{escape(line)}</dd>" for line in lines)
        for name, lines in ((name, [text] if isinstance(text, str) else text) for name, text in rows.items())
    )
    warnings = [("note", facts["notes"]), ("violation", facts["violations"]), ("not measured", facts["failed"])]
    items = "".join(f"<li><b>{kind}</b> {escape(str(line))}</li>" for kind, found in warnings for line in found)
    notes = f'<ul class="notes">{items}</ul>\n' if items else ""
    return f"<header><h1>stpcodec bench</h1><p>{escape(str(facts['date']))}</p></header>\n<dl>{cells}</dl>\n{notes}"


def _tables(result: Result) -> str:
    parts = [
        "<h2>BD-rate</h2><p>In per cent; negative: less rate for the same quality. Monotone cubic (PCHIP) through "
        f"the logarithm of the rate, over the range of quality that both curves cover; {escape(OVERLAP)}.</p>\n"
    ]
    title = ""
    for heading, shown in headline_groups(result.comparisons):
        if heading != title:
            parts.append("</div>\n" if title else "")
            title = heading
            parts.append(f'<h3>{escape(title)}</h3>\n<div class="tables">')
        parts.append(_table(bd_rate_rows(shown)))
    return "".join(parts) + ("</div>\n" if title else "")


def _clip_section(number: int, exhibit: Exhibit, result: Result, classes: Mapping[str, str]) -> str:
    clip = exhibit.clip
    points = [p for p in result.points if p.clip_hash == clip.hash]
    rate = f"{float(clip.info.average_rate):.4g} frames/s" if clip.info.average_rate else "rate unknown"
    told = [f"{clip.info.width}×{clip.info.height}", f"{clip.frames} frames", rate, f"{clip.info.bit_depth} bit"]
    plots = "".join(rate_plot(points, metric, classes) for metric in METRICS if metric.headline)
    legend = "".join(
        f'<span class="{classes[name]}"><i></i>{escape(name)}</span>'
        for name in classes
        if any(p.codec == name for p in points)
    )
    return (
        f'<section data-clip="{number}"><h2>{escape(clip.name)}</h2>'
        f"<p>{escape(', '.join([*told, *([clip.group] if clip.group else [])]))}</p>\n"
        f'<div class="legend">{legend}</div>\n<div class="plots">{plots}</div>\n'
        '<div class="frames"></div>\n<div class="viewer"></div>\n'
        "<noscript><p>Curves frame by frame and the viewer need JavaScript.</p></noscript>\n"
        f"<details><summary>All points</summary>{_table([row[1:] for row in point_rows(points)])}</details></section>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the header; **bold** as in the Markdown report."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows[1:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _cell(text: str) -> str:
    if text.startswith("**"):
        return f"<td><b>{escape(text.strip('*'))}</b></td>"
    return f"<td>{escape(text)}</td>"


def _clip_data(
    exhibit: Exhibit, result: Result, codecs: Sequence[str], models: Sequence[str], colours: Mapping[str, int]
) -> dict[str, object]:
    clip, shown = exhibit.clip, exhibit.shown
    points = [p for p in result.points if p.clip_hash == clip.hash]
    window = window_of(clip.info.width, clip.info.height)
    pictures = [[data_address(picture) for picture in row] for row in shown.files]
    return {
        "name": clip.name,
        "frames": clip.frames,
        "codecs": [
            {
                "name": name,
                "model": name in models,
                "colour": colours[name],
                "points": [_point_data(p, result.traces.get(p.key)) for p in points if p.codec == name],
            }
            for name in codecs
        ],
        "viewer": {
            "width": window.width,
            "height": window.height,
            "cropped": (window.width, window.height) != (clip.info.width, clip.info.height),
            "frames": shown.numbers,
            "quality": shown.quality,
            "sides": [{"codec": None, "setting": None}]
            + [{"codec": p.codec, "setting": p.setting} for p in exhibit.points],
            "pictures": pictures,
        },
    }


def _point_data(point: Point, trace: Trace | None) -> dict[str, object]:
    """Every column of points.csv with the digits that it has there, and the trace."""
    columns = {field.name: getattr(point, field.name) for field in fields(Point)}
    data = {name: float(f"{v:.8g}") if isinstance(v, float) else v for name, v in columns.items()}
    data["bits_per_pixel"] = float(f"{point.bits_per_pixel:.6g}")
    if trace is not None:
        data["frame_psnr"] = [round(value, 3) for value in trace.psnr]
        data["spans"] = trace.spans
    return data
