"""Which decodes of a clip are shown side by side, and their pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stpcodec.evaluation.clips import Clip
from stpcodec.evaluation.pictures import Shown
from stpcodec.evaluation.points import Point


@dataclass(frozen=True)
class Exhibit:
    """A clip in the page. rows of `shown`: the original, then one for every point."""

    clip: Clip
    points: tuple[Point, ...]
    shown: Shown


def choose(points: Sequence[Point], models: Sequence[str]) -> list[Point]:
    """One point a codec, all of about one rate.

    The first codec (of our models, if there are any) gives its middle quality; our other models theirs of the same
    quality, other codecs the one of the nearest rate (as a ratio).
    """
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.codec, []).append(point)
    order = [name for name in models if name in curves] + [name for name in curves if name not in models]
    if not order:
        return []
    lead = sorted(curves[order[0]], key=lambda p: p.payload_bytes)
    middle = lead[(len(lead) - 1) // 2]
    chosen = [middle]
    for name in order[1:]:
        same = [p for p in curves[name] if name in models and p.setting == middle.setting]
        chosen.append(same[0] if same else nearest(curves[name], middle.payload_bytes))
    return chosen


def nearest(curve: Sequence[Point], payload_bytes: int) -> Point:
    """The point whose rate is nearest as a ratio."""
    return min(curve, key=lambda p: abs(math.log(p.payload_bytes / payload_bytes)))


def planes_path(folder: Path, clip: Clip, point: Point) -> Path:
    """Where the frames shown of a point are kept for the next run."""
    name = re.sub(r"[^\w.+-]", "_", f"{point.codec}-{point.version}-{point.setting}")
    return folder / f"{clip.hash}-{clip.frames}" / f"{name}.npz"
