"""Rate-distortion curves of other codecs on pieces of video held in memory, measured once and kept in a table."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import xxhash

from stpcodec.evaluation.anchors import Anchor, anchor_version, measure_anchor
from stpcodec.evaluation.points import Point, PointFile
from stpcodec.video.frames import Frame, VideoInfo

RATE = Fraction(25)
"""Frames a second that the encoders are told. Of a piece nobody knows it, and with a fixed crf it changes little."""


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
    found = measure_anchor(anchor, info, frames, crf=crf)
    psnr = found.psnr
    return Point(
        clip=name, group="", clip_hash=digest, codec=anchor.name, version=anchor_version(anchor), setting=crf,
        frames=psnr.frames, width=width, height=height, payload_bytes=found.payload_bytes,
        message_bytes=found.message_bytes, file_bytes=found.payload_bytes + found.message_bytes,
        encode_seconds=found.encode_seconds, decode_seconds=found.decode_seconds, problem="",
        **{f"psnr_{plane}": value for plane, value in psnr.frame_mean.items()},
        **{f"clip_psnr_{plane}": value for plane, value in psnr.clip.items()},
    )  # fmt: skip
