"""Rate-distortion curves of other codecs on pieces of video held in memory, measured once and kept in a table."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import xxhash

from stpcodec.evaluation.anchors import Anchor, anchor_version, measure_anchor
from stpcodec.evaluation.clips import Clip
from stpcodec.evaluation.measured import point_of
from stpcodec.evaluation.points import Point, PointFile
from stpcodec.video.frames import Frame, VideoInfo

RATE = Fraction(25)
"""Frames a second that the encoders are told, of every piece: nobody knows a piece's own."""


def stored_curve(anchor: Anchor, name: str, frames: Sequence[Frame], table: PointFile) -> list[tuple[int, float]]:
    """(bytes, PSNR 6:1:1 in dB) of a piece at all of the anchor's settings; what is missing in `table` is added to it.

    name: of the piece, for who reads the table. frames: 8 bits, of one size. Raises as anchors.measure_anchor.
    """
    version, digest = anchor_version(anchor), frames_hash(frames)
    curve = []
    for crf in anchor.crf:
        point = table.find(digest, anchor.name, version, crf, len(frames))
        if point is None:
            point = _measured(anchor, crf, name, digest, frames)
            table.add(point)
        curve.append((point.payload_bytes, point.psnr_yuv))
    return curve


def frames_hash(frames: Sequence[Frame]) -> str:
    """xxh3_64 of all samples and of the size, 16 hex digits."""
    state = xxhash.xxh3_64(repr(frames[0].y.shape).encode())
    for frame in frames:
        for plane in (frame.y, frame.u, frame.v):
            state.update(plane.tobytes())
    return state.hexdigest()


def _measured(anchor: Anchor, crf: int, name: str, digest: str, frames: Sequence[Frame]) -> Point:
    height, width = frames[0].y.shape
    info = VideoInfo(name, width, height, 8, 1 / RATE, average_rate=RATE)
    piece = Clip(name, Path(name), digest, "", info, tuple(frame.pts for frame in frames))
    return point_of(piece, anchor.name, anchor_version(anchor), crf, measure_anchor(anchor, info, frames, crf=crf))
