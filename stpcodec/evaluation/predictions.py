"""What the pictures of real encodes are predicted from: coded by the encoder, read back from its segments.

A file's pictures are mostly tens of predictions behind the intra frame, with motion that was searched for them, from
references that were coded at other qualities: no short sequence of crops looks like that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.parallel import Inline
from stpcodec.codec.picture import SKIP
from stpcodec.codec.segments import SegmentBuilder, SegmentCodec
from stpcodec.container import Segment, StreamHeader
from stpcodec.latents.chunk import PictureLatents
from stpcodec.latents.gop import coding_order
from stpcodec.model.chunk_io import blend, pack_frames, predict, warped_pair
from stpcodec.model.planes import Planes
from stpcodec.model.rates import squared_error
from stpcodec.model.transform import Model
from stpcodec.video.frames import Frame


@dataclass(frozen=True)
class PredictedPicture:
    """Packed ``[96, H/8, W/8]``: target, prediction, and other: the one reference as it is, or half of what two
    disagree about. previous: int32 ``[latents, H/16, W/16]`` in sixteenths, what the prior looked at, None if nothing.

    references: 1 or 2. skipped: coded as its prediction. bits per pixel; error: rates.squared_error.
    """

    target: Tensor
    prediction: Tensor
    other: Tensor
    previous: Tensor | None
    references: int
    quality: int
    skipped: bool
    bits: float
    error: float


def coded_segment(codec: ChunkCodec, frames: Sequence[Frame], quality: int) -> tuple[SegmentCodec, Segment]:
    """8-bit frames of one size as a segment, as `encode` codes them on the CPU, and what reads it."""
    height, width = frames[0].y.shape
    header = StreamHeader(
        width=width, height=height, bit_depth=8, time_base=(1, 25), model=codec.model.name,
        weights_sha256=codec.model.weights_sha256, quality=quality, segment_frames=len(frames),
    )  # fmt: skip
    owner = SegmentCodec(header, codec, torch.device("cpu"))
    builder = SegmentBuilder(owner, 0, Inline())
    builder.add(frames[:1])
    for start in range(1, len(frames), codec.chunk_frames):
        builder.add(frames[start : start + codec.chunk_frames])
    return owner, builder.close()


@torch.no_grad()
def predicted_pictures(model: Model, frames: Sequence[Frame], quality: int) -> Iterator[PredictedPicture]:
    """All pictures but the first of 8-bit frames, coded as one segment, in the order of coding. model: with motion.

    Frames' sides are multiples of 16.
    """
    codec = ChunkCodec(model)
    owner, segment = coded_segment(codec, frames, quality)
    history: History | None = None
    begun = 0
    for chunk, tiles in zip(segment.chunks, owner.latents(segment), strict=True):
        latents, count = tiles[0].latents, chunk.frame_count
        decoded, after = codec.synthesise(latents, history=history)
        if history is not None:
            originals = owner.planes(frames[begun : begun + count])
            known = {0: history.reference} | {n + 1: decoded[slice(n, n + 1)] for n in range(count)}
            done = {0: history.anchor}
            for number, picture in enumerate(coding_order(count)):
                integers = latents.pictures[number]
                done[picture.position] = integers
                guide, place = done[picture.guide], picture.position - 1
                yield _predicted(
                    integers, guide, [known[position] for position in picture.references],
                    originals[slice(place, place + 1)], known[picture.position], len(chunk.streams[1 + number]),
                )  # fmt: skip
        history, begun = after, begun + count


def _predicted(
    integers: PictureLatents, guide: PictureLatents, references: list[Planes], target: Planes, decoded: Planes,
    size: int,
) -> PredictedPicture:  # fmt: skip
    assert integers.field is not None
    if len(references) == 1:
        prediction, other = predict(references[0], integers.field)
    else:
        assert integers.choice is not None
        pair = warped_pair(references[0], references[1], integers.field[None])
        prediction, other = blend(pair, integers.choice[None])
    return PredictedPicture(
        pack_frames(target, 1)[0], prediction[0], other[0], None if guide.intra else guide.y, len(references),
        integers.quality, integers.mode == SKIP, 8 * size / target.y.numel(), float(squared_error(decoded, target)[0]),
    )  # fmt: skip
