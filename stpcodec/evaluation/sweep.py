"""A sweep: every clip through every codec at every setting, resumable point by point, and its report."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

import stpcodec
from stpcodec.errors import StpError, UsageError
from stpcodec.evaluation.anchors import Anchor, measure_anchor
from stpcodec.evaluation.clips import Clip, open_clip
from stpcodec.evaluation.metrics import Psnr
from stpcodec.evaluation.points import Point, PointFile
from stpcodec.evaluation.subjects import Subject, measure_subject
from stpcodec.evaluation.summary import Comparison, as_json, comparisons, violations
from stpcodec.evaluation.tables import bd_rate_tables, points_table
from stpcodec.video.reader import VideoReader

DEFAULT_QUALITIES = (10, 30, 50, 70, 90)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure. frames: at most so many of each clip; fresh: measure our models again.

    check_video: decode each clip once per model to .mp4 as well, and compare frame times.
    """

    clips: tuple[Path, ...]
    subjects: tuple[Subject, ...]
    out: Path
    qualities: tuple[int, ...] = DEFAULT_QUALITIES
    anchors: tuple[Anchor, ...] = ()
    frames: int | None = None
    anchor_cache: Path | None = None
    fresh: bool = False
    check_video: bool = True


@dataclass(frozen=True)
class Result:
    """points: of this plan only; failed: points that could not be measured, with the reason."""

    points: tuple[Point, ...]
    comparisons: tuple[Comparison, ...]
    violations: tuple[str, ...]
    failed: tuple[str, ...]


def run(plan: Plan, *, progress: Progress = lambda line: None) -> Result:
    """Measure what is missing, then write the tables. One clip that fails does not end the run.

    Raises:
        UsageError: no clip, a quality out of range, scipy missing.
        InputError: a clip or an old table cannot be read.
    """
    if not plan.clips:
        raise UsageError("no clips to measure; name video files or folders of them")
    table = PointFile(plan.out / "points.csv")
    cache = PointFile(plan.anchor_cache) if plan.anchor_cache else table
    points: list[Point] = []
    failed: list[str] = []
    plan.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stpcodec-", dir=plan.out) as folder:
        for number, path in enumerate(plan.clips, start=1):
            progress(f"[{number}/{len(plan.clips)}] {path.name}")
            clip = open_clip(path, frames=plan.frames, folder=Path(folder))
            for measured in (_ours(plan, clip, table, Path(folder)), _theirs(plan, clip, table, cache)):
                for outcome in measured:
                    if isinstance(outcome, Point):
                        points.append(outcome)
                        progress("    " + _line(outcome))
                    else:
                        failed.append(outcome)
                        progress(f"    FAILED {outcome}")
    return _write(plan, points, failed)


def _ours(plan: Plan, clip: Clip, table: PointFile, folder: Path) -> Iterator[Point | str]:
    for subject in plan.subjects:
        for quality in plan.qualities:
            point = table.find(clip.hash, subject.name, subject.version, quality, clip.frames)
            if point is None or plan.fresh:
                check = plan.check_video and quality == plan.qualities[0]
                try:
                    result = measure_subject(subject, clip, quality=quality, folder=folder, check_video=check)
                except StpError as error:
                    yield str(error)
                    continue
                point = _point(
                    clip,
                    codec=subject.name,
                    version=subject.version,
                    setting=quality,
                    payload_bytes=result.coded.payload_bytes,
                    file_bytes=result.coded.file_bytes,
                    psnr=result.psnr,
                    seconds=(result.encode_seconds, result.decode_seconds),
                    problem=result.problem,
                )
                table.add(point)
            yield point


def _theirs(plan: Plan, clip: Clip, table: PointFile, cache: PointFile) -> Iterator[Point | str]:
    version = f"PyAV {av.__version__}"
    for anchor in plan.anchors:
        for crf in anchor.crf:
            key = (clip.hash, anchor.name, version, crf, clip.frames)
            point = table.find(*key) or cache.find(*key)
            if point is None:
                try:
                    with VideoReader(clip.path, warn=lambda message: None) as reader:
                        result = measure_anchor(anchor, clip.info, reader, crf=crf)
                except StpError as error:
                    yield f"{clip.name}: {error}"
                    continue
                point = _point(
                    clip,
                    codec=anchor.name,
                    version=version,
                    setting=crf,
                    payload_bytes=result.payload_bytes,
                    message_bytes=result.message_bytes,
                    file_bytes=result.payload_bytes + result.message_bytes,
                    psnr=result.psnr,
                    seconds=(result.encode_seconds, result.decode_seconds),
                )
            for store in (table, cache):
                if store.find(*key) is None:
                    store.add(point)
            yield point


def _point(
    clip: Clip,
    *,
    codec: str,
    version: str,
    setting: int,
    payload_bytes: int,
    file_bytes: int,
    psnr: Psnr,
    seconds: tuple[float, float],
    message_bytes: int = 0,
    problem: str = "",
) -> Point:
    return Point(
        clip=clip.name,
        group=clip.group,
        clip_hash=clip.hash,
        codec=codec,
        version=version,
        setting=setting,
        frames=psnr.frames,
        width=clip.info.width,
        height=clip.info.height,
        payload_bytes=payload_bytes,
        message_bytes=message_bytes,
        file_bytes=file_bytes,
        **{f"psnr_{plane}": value for plane, value in psnr.frame_mean.items()},
        **{f"clip_psnr_{plane}": value for plane, value in psnr.clip.items()},
        encode_seconds=seconds[0],
        decode_seconds=seconds[1],
        problem=problem,
    )


def _write(plan: Plan, points: Sequence[Point], failed: Sequence[str]) -> Result:
    models = [subject.name for subject in plan.subjects]
    result = Result(
        tuple(points),
        tuple(comparisons(points, models=models, anchors=[anchor.name for anchor in plan.anchors])),
        tuple(violations(points, models)),
        tuple(failed),
    )
    summary = {
        "date": time.strftime("%Y-%m-%d"),
        "stpcodec": stpcodec.__version__,
        "pyav": av.__version__,
        "python": platform.python_version(),
        "models": {subject.name: subject.version for subject in plan.subjects},
        "qualities": plan.qualities,
        "anchors": {a.name: {"options": dict(a.options), "crf": a.crf} for a in plan.anchors},
        "frames": plan.frames,
        "clips": len(plan.clips),
        "violations": result.violations,
        "failed": result.failed,
        "bd_rates": [as_json(comparison) for comparison in result.comparisons],
    }
    (plan.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (plan.out / "report.md").write_text(report(result), encoding="utf-8")
    return result


def report(result: Result) -> str:
    """The figures as Markdown."""
    parts = [bd_rate_tables(result.comparisons)]
    for title, lines in (("Violations", result.violations), ("Not measured", result.failed)):
        parts.append(
            f"{title}: " + ("none\n" if not lines else "\n\n" + "".join(f"- {line}\n" for line in lines))
        )
    parts.append(points_table(result.points) if result.points else "")
    return "\n".join(part for part in parts if part)


def _line(point: Point) -> str:
    return (
        f"{point.codec:8} {point.setting:3}  {point.payload_bytes:9} bytes  {point.bits_per_pixel:.4f} bpp  "
        f"{point.psnr_yuv:.2f} dB"
    )
