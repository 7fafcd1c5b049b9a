"""A segment coded again and again, by other choices of the encoder, of which the best is kept: `--effort`.

    effort 0     one pass by the quickest choices
    effort 1     the usual: by the choices that are best on average, with better latents of the frames that open a
                 segment (model/refine.py) and a motion search of more patience
    effort 2..9  3 to 20 passes more: one of a higher quality, which says what a decibel costs here; from 6 on four
                 that find the lengths of chunks (lengths.py); then one choice after the other, up its ladder or down
                 it as long as that pays; then with latents that are improved by what decoding makes of them
                 (model/refine.py)

Decoding does not change. Cost is ln(bytes) − slope·dB, with the mean over frames of PSNR 6:1:1 and the slope that the
segment itself has between two qualities; so what is kept lies below the segment's own rate-distortion curve. Choices
also move along that curve: a last pass, at another quality, brings the best ones back to the PSNR of the usual ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from stpcodec.codec.choices import USUAL, Choices
from stpcodec.codec.comparison import LOSSLESS_DB, PLANE_WEIGHTS, weighted
from stpcodec.container import Segment
from stpcodec.model.planes import Planes
from stpcodec.video.frames import Frame

PASSES = (0, 0, 3, 4, 5, 6, 9, 12, 16, 20)
"""By effort: further passes at most."""
ROUNDS = (0, 0, 2, 3, 3, 4, 4, 6, 8, 8)
"""By effort: rounds of better latents."""
LENGTHS_FROM, LENGTHS_PASSES = 6, 4
"""Lengths of chunks are found by coding from this effort on; it takes as long as so many passes."""
REFINED_CAUTION = 0.75
"""The quantiser's caution is so much less with them: what one latent loses, others make up for. Measured:
docs/ablations.md."""
QUALITY_STEP = 6
"""Between the two qualities that say what a decibel costs."""
SLOPES = 0.08, 0.5
"""What a decibel may cost, in ln(bytes): where PSNR saturates, the two passes say nothing."""
LADDERS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("intra_bonus", (2, 10, 18, 26, 34, 42, 50)),
    ("joining", (0.0, 1.0, 1.12, 2.0)),
    ("motion_caution", (0.5, 1.0, 2.0, 4.0, 8.0)),
    ("spread", (0.0, 0.5, 1.0, 1.5, 2.0)),
    ("caution", (1.6, 2.3, 3.2, 4.5)),
)
"""What is tried, in this order. The usual choice is a rung of each."""


class Builder(Protocol):
    """A segment being encoded (segments.SegmentBuilder)."""

    @property
    def psnr_db(self) -> float:
        """Mean over frames, 6:1:1; once closed."""
        ...

    @property
    def coded_bytes(self) -> int: ...

    def add(self, frames: Sequence[Frame]) -> None: ...

    def close(self) -> Segment: ...


@dataclass(frozen=True)
class Trial:
    choices: Choices
    segment: Segment
    coded_bytes: int
    psnr_db: float


class SearchedSegment:
    """As a `Builder`; codes when it is closed. Memory: the frames of the whole segment as they were read.

    build: a new builder of the segment by these choices, its quality raised by so much. lengths: of chunks, found by
    coding these frames, which were added together; None where they are not found so.
    """

    def __init__(
        self, build: Callable[[Choices, int], Builder],
        lengths: Callable[[Sequence[Sequence[Frame]]], tuple[int, ...]] | None, *, quality: float, effort: int,
    ) -> None:  # fmt: skip
        self._build, self._lengths, self._effort = build, lengths, effort
        self._step = QUALITY_STEP if quality + QUALITY_STEP <= 100 else -QUALITY_STEP
        self._parts: list[Sequence[Frame]] = []

    @property
    def coded_bytes(self) -> int:
        """Nothing is coded before it is closed."""
        return 0

    def add(self, frames: Sequence[Frame]) -> None:
        self._parts.append(frames)

    def close(self) -> Segment:
        parts, self._parts = self._parts, []

        def trial(choices: Choices, raised: int) -> Trial:
            builder = self._build(choices, raised)
            for frames in parts:
                builder.add(frames)
            segment = builder.close()
            return Trial(choices, segment, builder.coded_bytes, builder.psnr_db)

        usual = trial(USUAL, 0)
        if sum(map(len, parts)) < 2:  # one frame: its bonus would only be another quality
            return usual.segment
        return best(
            usual, trial, raised=self._step, passes=PASSES[self._effort], rounds=ROUNDS[self._effort],
            lengths=partial(self._lengths, parts) if self._lengths and self._effort >= LENGTHS_FROM else None,
        ).segment  # fmt: skip


def decibels(originals: Sequence[Planes], decoded: Sequence[Planes]) -> list[float]:
    """PSNR 6:1:1 of every frame, given as tiles; where tiles overlap, both count."""
    found = []
    for number in range(len(originals[0])):
        planes = {}
        for name in PLANE_WEIGHTS:
            error, samples = 0.0, 0
            for original, result in zip(originals, decoded, strict=True):
                ours = getattr(result, name)[number]
                error += float((getattr(original, name)[number].to(ours.device) - ours).square().sum())
                samples += ours.numel()
            planes[name] = min(LOSSLESS_DB, -10 * math.log10(max(error / samples, 1e-12)))
        found.append(weighted(planes))
    return found


def best(
    usual: Trial, trial: Callable[[Choices, int], Trial], *, raised: int, passes: int, rounds: int,
    lengths: Callable[[], tuple[int, ...]] | None = None,
) -> Trial:  # fmt: skip
    """The cheapest of `passes` trials and the usual one, with about the PSNR of that; the first tells what a decibel
    costs. rounds: of better latents, tried last; lengths: finds those of chunks, as long as LENGTHS_PASSES trials."""
    other = trial(usual.choices, raised)
    gained = other.psnr_db - usual.psnr_db
    slope = math.log(other.coded_bytes / usual.coded_bytes) / gained if gained else math.inf
    slope = min(max(slope, SLOPES[0]), SLOPES[1])

    def cost(found: Trial) -> float:
        return math.log(found.coded_bytes) - slope * found.psnr_db

    kept, left = usual, passes - 3
    if lengths is not None:
        left -= LENGTHS_PASSES + 1
        kept = min(kept, trial(replace(kept.choices, lengths=lengths()), 0), key=cost)
    for name, rungs in LADDERS:
        if name == "joining" and kept.choices.lengths:
            continue
        start = rungs.index(getattr(kept.choices, name))
        for way in (1, -1):
            rung, improved = start + way, False
            while left and 0 <= rung < len(rungs):
                found = trial(replace(kept.choices, **{name: rungs[rung]}), 0)  # type: ignore[arg-type]
                left -= 1
                if cost(found) >= cost(kept):
                    break
                kept, rung, improved = found, rung + way, True
            if improved:  # the other way is behind it
                break
    refined = trial(replace(kept.choices, rounds=rounds, caution=REFINED_CAUTION * kept.choices.caution), 0)
    kept = min(kept, refined, key=cost)
    back = round((usual.psnr_db - kept.psnr_db) * raised / gained) if gained else 0
    if back:
        level = trial(kept.choices, back)
        return level if cost(level) < cost(usual) else usual
    return kept
