"""Decoded frames together with what each of them cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stpcodec.codec.chunk import History
from stpcodec.codec.patch_bits import PictureBits, chunk_bits
from stpcodec.codec.samples import to_samples
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import Selection
from stpcodec.codec.tiling import TileLatents
from stpcodec.container import Segment, StpReader
from stpcodec.video.frames import Frame


@dataclass(frozen=True)
class InspectedFrame:
    """number: in the file. bits: of its picture's streams; patches: those of them that have a place, float64
    ``[⌈H/16⌉, ⌈W/16⌉]``. Frames that are coded together have an equal share each."""

    number: int
    frame: Frame
    bits: float
    patches: np.ndarray


def inspected_frames(stream: StpReader, codec: SegmentCodec, chosen: Selection) -> Iterator[InspectedFrame]:
    """The frames chosen, in order. Memory: one segment's bytes and one chunk of frames.

    Raises:
        CorruptSegment: naming file and segment.
    """
    for number in chosen.segments:
        for inspected in _of_segment(codec, stream.read_segment(number)):
            if chosen.holds(inspected.frame.pts):
                yield inspected


def _of_segment(codec: SegmentCodec, segment: Segment) -> Iterator[InspectedFrame]:
    tiled, header = codec.tiled, codec.header
    previous: list[TileLatents] | None = None
    histories: list[History] | None = None
    index = 0
    for chunk, latents in zip(segment.chunks, codec.latents(segment), strict=True):
        costs = _by_frame(chunk_bits(tiled, chunk.streams, latents, previous))
        planes, histories = tiled.synthesise(latents, histories)
        samples = to_samples(planes, height=header.height, width=header.width, bit_depth=header.bit_depth)
        for (y, u, v), cost in zip(samples, costs, strict=True):
            frame = Frame(y, u, v, segment.pts[index], segment.durations[index] if segment.durations else 0)
            share = 1 / cost.frame_count
            yield InspectedFrame(segment.first_frame + index, frame, share * cost.coded, share * cost.patches)
            index += 1
        previous = latents


def _by_frame(pictures: list[PictureBits]) -> list[PictureBits]:
    """The picture of every frame, in order of time."""
    in_time = sorted(pictures, key=lambda picture: picture.first_frame)
    return [picture for picture in in_time for _ in range(picture.frame_count)]
