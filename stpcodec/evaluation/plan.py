"""What a sweep is asked for, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stpcodec.evaluation.anchors import Anchor
from stpcodec.evaluation.exhibit import Exhibit
from stpcodec.evaluation.points import Key, Point
from stpcodec.evaluation.quality import PSNR_ONLY, Instruments
from stpcodec.evaluation.subjects import Subject
from stpcodec.evaluation.summary import Comparison
from stpcodec.evaluation.traces import Trace

DEFAULT_QUALITIES = (10, 30, 50, 70, 90)


@dataclass(frozen=True)
class Plan:
    """What to measure. frames: at most so many of each clip; fresh: measure our models again.

    check_video: decode each clip once per model to .mp4 as well, and compare frame times.
    page_bytes: write report.html, with pictures of at most so many bytes; None: no page.
    notes: what the reader must know about this run, such as a metric that is not available.
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
    instruments: Instruments = PSNR_ONLY
    page_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """points: of this plan only; failed: points that could not be measured, with the reason.

    traces and exhibits: for the page; without one they are empty.
    """

    points: tuple[Point, ...]
    comparisons: tuple[Comparison, ...]
    violations: tuple[str, ...]
    failed: tuple[str, ...]
    notes: tuple[str, ...] = ()
    traces: Mapping[Key, Trace] = field(default_factory=dict)
    exhibits: tuple[Exhibit, ...] = ()
