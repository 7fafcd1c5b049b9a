"""What a sweep leaves behind: summary.json, report.md and, if asked for, report.html."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping

import av

import stpcodec
from stpcodec.evaluation.page import html_page
from stpcodec.evaluation.perceptual import VMAF_MODEL
from stpcodec.evaluation.plan import Plan, Result
from stpcodec.evaluation.summary import as_json, metrics_of
from stpcodec.evaluation.tables import bd_rate_tables, points_table


def write_report(plan: Plan, result: Result, versions: Mapping[str, str]) -> None:
    """versions: of every codec, as in the points."""
    facts = summary(plan, result, versions)
    (plan.out / "summary.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (plan.out / "report.md").write_text(report(result), encoding="utf-8")
    if plan.page_bytes is not None:
        page = html_page(plan, result, facts)
        unfinished = plan.out / "report.html.part"
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(plan.out / "report.html")


def summary(plan: Plan, result: Result, versions: Mapping[str, str]) -> dict[str, object]:
    """Plain types: what ran, with which settings, and every BD-rate."""
    vmaf = plan.instruments.vmaf
    return {
        "date": time.strftime("%Y-%m-%d"),
        "stpcodec": stpcodec.__version__,
        "pyav": av.__version__,
        "python": platform.python_version(),
        "models": {subject.name: versions[subject.name] for subject in plan.subjects},
        "qualities": plan.qualities,
        "anchors": {
            a.name: {"encoder": a.encoder, "version": versions[a.name], "options": dict(a.options), a.knob: a.crf}
            for a in plan.anchors
        },
        "metrics": {metric.name: metric.title for metric in metrics_of(result.points)},
        "vmaf": f"{VMAF_MODEL}, libvmaf of ffmpeg {vmaf.version}" if vmaf else None,
        "frames": plan.frames,
        "clips": len(plan.clips),
        "notes": result.notes,
        "violations": result.violations,
        "failed": result.failed,
        "bd_rates": [as_json(comparison) for comparison in result.comparisons],
    }


def report(result: Result) -> str:
    """The figures as Markdown."""
    parts = [bd_rate_tables(result.comparisons), "".join(f"Note: {note}\n" for note in result.notes)]
    for title, lines in (("Violations", result.violations), ("Not measured", result.failed)):
        parts.append(f"{title}: " + ("none\n" if not lines else "\n\n" + "".join(f"- {line}\n" for line in lines)))
    parts.append(points_table(result.points) if result.points else "")
    return "\n".join(part for part in parts if part)
