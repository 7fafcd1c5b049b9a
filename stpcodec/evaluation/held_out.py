"""What a model makes of frames that nobody learned from, by coding them: bytes and errors, nothing estimated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.comparison import PlanePsnr
from stpcodec.evaluation.predictions import coded_segment
from stpcodec.model.transform import Model
from stpcodec.video.frames import Frame

QUALITIES = 20, 45, 70
"""Rising: `saving` joins them to curves."""
_PLACES = 33


@dataclass(frozen=True)
class CodedPieces:
    """Of all pieces together, at one quality. psnr_db: 6:1:1, mean over frames."""

    quality: int
    coded_bytes: int
    psnr_db: float


def code_pieces(model: Model, pieces: Sequence[Sequence[Frame]], quality: int) -> CodedPieces:
    """pieces: 8-bit frames of one size each, coded as a segment each, on the CPU."""
    psnr, coded_bytes = PlanePsnr(8), 0
    for frames in pieces:
        owner, segment = coded_segment(ChunkCodec(model), frames, quality)
        coded_bytes += sum(len(stream) for chunk in segment.chunks for stream in chunk.streams)
        for decoded, source in zip(owner.frames(segment), frames, strict=True):
            psnr.add(decoded, source)
    return CodedPieces(quality, coded_bytes, psnr.result()["yuv"])


def saving(before: Sequence[CodedPieces], after: Sequence[CodedPieces]) -> float:
    """Share of the bytes that is saved at the same PSNR, over the range that both curves have.

    Both by rising quality; between two points the logarithm of the bytes is a line in decibels. Where all of `after` is
    better than all of `before`, its smallest is compared with the largest: more is saved. Where all is worse, 0.
    """
    old, new = _curve(before), _curve(after)
    low, high = max(old[0][0], new[0][0]), min(old[-1][0], new[-1][0])
    if low >= high:
        return 1 - math.exp(new[0][1] - old[-1][1]) if new[0][0] >= old[-1][0] else 0.0
    places = np.linspace(low, high, _PLACES)
    old_bytes, new_bytes = (
        np.interp(places, [db for db, _ in curve], [log_bytes for _, log_bytes in curve]) for curve in (old, new)
    )
    return 1 - math.exp(float(np.mean(new_bytes - old_bytes)))


def _curve(points: Sequence[CodedPieces]) -> list[tuple[float, float]]:
    """(decibels, ln bytes) of the points that are better than those before them."""
    curve: list[tuple[float, float]] = []
    for point in points:
        if not curve or point.psnr_db > curve[-1][0]:
            curve.append((point.psnr_db, math.log(point.coded_bytes)))
    return curve
