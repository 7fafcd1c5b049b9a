"""Decoded frames together with what each of them cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stpcodec.codec.chunk import History
from stpcodec.codec.patch_bits import PictureBits, chunk_bits
from stpcodec.codec.prefetch import prefetched
from stpcodec.codec.samples import to_samples
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.tiling import TiledCodec, TileLatents
from stpcodec.container import Segment
from stpcodec.video.frames import Frame


@dataclass(frozen=True)
class InspectedFrame:
    """number: in the file. bits: of its picture's streams; patches: those of them that have a place, float64
    ``[⌈H/16⌉, ⌈W/16⌉]``. Frames that are coded together have an equal share each."""

    number: int
    frame: Frame
    bits: float
    patches: np.ndarray

    @property
    def pts(self) -> int:
        return self.frame.pts

    @property
    def size_bytes(self) -> int:
        return self.frame.size_bytes + self.patches.nbytes


def inspected_segment(codec: SegmentCodec, segment: Segment) -> Iterator[InspectedFrame]:
    """As `SegmentCodec.frames`: integers are decoded and priced ahead, beside the synthesis."""
    tiled, header = codec.tiled, codec.header
    histories: list[History] | None = None
    index = 0
    with prefetched(_priced(codec, tiled, segment), depth=1) as ahead:
        for latents, costs in ahead:
            planes, histories = tiled.synthesise(latents, histories)
            samples = to_samples(planes, height=header.height, width=header.width, bit_depth=header.bit_depth)
            for (y, u, v), cost in zip(samples, costs, strict=True):
                frame = Frame(y, u, v, segment.pts[index], segment.durations[index] if segment.durations else 0)
                share = 1 / cost.frame_count
                yield InspectedFrame(segment.first_frame + index, frame, share * cost.coded, share * cost.patches)
                index += 1


def _priced(
    codec: SegmentCodec, tiled: TiledCodec, segment: Segment
) -> Iterator[tuple[list[TileLatents], list[PictureBits]]]:
    """The integers of every chunk, and the picture of each of its frames."""
    previous: list[TileLatents] | None = None
    for chunk, latents in zip(segment.chunks, codec.latents(segment), strict=True):
        yield latents, _by_frame(chunk_bits(tiled, chunk.streams, latents, previous))
        previous = latents


def _by_frame(pictures: list[PictureBits]) -> list[PictureBits]:
    """The picture of every frame, in order of time."""
    in_time = sorted(pictures, key=lambda picture: picture.first_frame)
    return [picture for picture in in_time for _ in range(picture.frame_count)]
