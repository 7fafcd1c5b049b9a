"""A .stp file against its source, frame by frame: the check behind `encode --verify`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Protocol

import numpy as np

from stpcodec.codec.samples import peak
from stpcodec.container import StreamHeader
from stpcodec.errors import VerificationFailed
from stpcodec.video.frames import Frame

LOSSLESS_DB = 100.0
"""What a plane without any error counts as."""
PLANE_WEIGHTS = {"y": 6, "u": 1, "v": 1}
"""Of the planes' dB in one figure, "6:1:1"."""


def weighted(planes_db: Mapping[str, float]) -> float:
    """One figure of all planes'."""
    return sum(weight * planes_db[name] for name, weight in PLANE_WEIGHTS.items()) / sum(PLANE_WEIGHTS.values())


@dataclass
class PlanePsnr:
    """Mean over frames of the PSNR of each plane in dB; "yuv" weighs luma 6 and each chroma plane 1."""

    bit_depth: int
    sums: dict[str, float] = field(default_factory=lambda: {"y": 0.0, "u": 0.0, "v": 0.0})
    frames: int = 0

    def add(self, decoded: Frame, source: Frame) -> None:
        for name in self.sums:
            self.sums[name] += self._psnr(getattr(decoded, name), getattr(source, name))
        self.frames += 1

    def _psnr(self, a: np.ndarray, b: np.ndarray) -> float:
        difference = a.astype(np.int32) - b.astype(np.int32)
        mse = float(np.mean(np.square(difference), dtype=np.float64))
        return min(LOSSLESS_DB, 10 * math.log10(peak(self.bit_depth) ** 2 / mse)) if mse else LOSSLESS_DB

    def result(self) -> dict[str, float]:
        means = {name: total / self.frames for name, total in self.sums.items()}
        return {**means, "yuv": weighted(means)}


class Judge(Protocol):
    """Another measure than PSNR, which the caller brings: shown every pair of frames, then asked for one figure."""

    def add(self, source: Frame, decoded: Frame, /) -> None: ...
    def result(self) -> float: ...
    def close(self) -> None: ...


MakeJudge = Callable[[StreamHeader], Judge]
"""A new judge of a video of this size and bit depth. Raises UsageError where it cannot be judged."""


@dataclass(frozen=True)
class Verdict:
    """psnr_db: per plane ("y", "u", "v") and together ("yuv"). score: of the judge, if there was one."""

    psnr_db: dict[str, float]
    score: float | None


def compare(
    decoded: Iterable[Frame],
    source: Iterable[Frame],
    *,
    header: StreamHeader,
    name: str,
    on_frame: Callable[[int], None],
    judge: MakeJudge | None = None,
) -> Verdict:
    """`on_frame` gets the number of frames.

    Raises:
        VerificationFailed: a frame is missing on one side, or is shown at another time.
    """
    with closing(judge(header)) if judge else nullcontext() as judging:
        return _compare(decoded, source, PlanePsnr(header.bit_depth), judging, name, on_frame)


def _compare(
    decoded: Iterable[Frame], source: Iterable[Frame], psnr: PlanePsnr, judge: Judge | None, name: str,
    on_frame: Callable[[int], None],
) -> Verdict:  # fmt: skip
    for ours, theirs in zip_longest(decoded, source):
        if ours is None or theirs is None:
            missing = "the decoded video" if ours is None else "the source, read a second time,"
            raise VerificationFailed(
                f"{name}: {missing} ends after {psnr.frames} frames, the other goes on; encode again"
            )
        if ours.pts != theirs.pts:
            raise VerificationFailed(
                f"{name}: frame {psnr.frames} has pts {ours.pts}, its source {theirs.pts}; "
                f"encode again, and report this"
            )
        psnr.add(ours, theirs)
        if judge is not None:
            judge.add(theirs, ours)
        on_frame(psnr.frames)
    return Verdict(psnr.result(), judge.result() if judge is not None else None)
