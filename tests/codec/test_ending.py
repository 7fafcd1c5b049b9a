"""How well the last frames of a segment are coded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.ending import WORTH_FRAMES, ending_discount
from stpcodec.codec.picture import OFFSET_ZERO
from stpcodec.container import Chunk
from stpcodec.evaluation.predictions import coded_segment
from stpcodec.latents.gop import coding_order
from stpcodec.model.rates import INTRA_BONUS, depth_bonus
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame

HEIGHT, WIDTH = 64, 96


def noise(count: int) -> list[Frame]:
    random = np.random.default_rng(0)
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    lumas = random.integers(0, 256, (count, HEIGHT, WIDTH), dtype=np.uint8)
    return [Frame(y=luma, u=grey, v=grey, pts=number, duration=1) for number, luma in enumerate(lumas)]


def raised(chunk: Chunk) -> list[int]:
    """Of every picture, by how much its quality differs from the file's and from what its depth says."""
    offsets = [chunk.streams[0][2 * number] - OFFSET_ZERO for number in range(chunk.frame_count)]
    depths = [picture.depth for picture in coding_order(chunk.frame_count)]
    return [offset - depth_bonus(chunk.frame_count, depth) for offset, depth in zip(offsets, depths, strict=True)]


def test_an_anchor_is_worth_less_the_fewer_frames_follow() -> None:
    discounts = [ending_discount(behind) for behind in range(WORTH_FRAMES + 3)]
    assert discounts == sorted(discounts, reverse=True)
    assert len(set(discounts[: WORTH_FRAMES + 1])) == WORTH_FRAMES + 1
    assert discounts[0] > 0
    assert discounts[WORTH_FRAMES:] == [0] * 3


@pytest.mark.parametrize("count", [2, 9, 10, 17, 20])
def test_a_segment_ends_so(tiny_weights: Path, count: int) -> None:
    """Anchors of its last eight frames, or of what is left behind whole eights, and no other picture."""
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    _, segment = coded_segment(codec, noise(count), 60)
    last_group = 1 + (count - 2) // codec.chunk_frames * codec.chunk_frames
    frames = 1
    for chunk in segment.chunks[1:]:
        start, frames = frames, frames + chunk.frame_count
        less = ending_discount(count - frames) if start >= last_group else 0
        assert raised(chunk) == [-less] + [0] * (chunk.frame_count - 1)
    assert frames == count


def test_the_lowest_quality_is_kept(tiny_weights: Path) -> None:
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    for quality in (1, 3):
        _, segment = coded_segment(codec, noise(4), quality)
        behind = 3
        for chunk in segment.chunks[1:]:
            behind -= chunk.frame_count
            lowered = max(1, quality - ending_discount(behind))
            assert raised(chunk)[0] == lowered - quality
            assert ending_discount(behind) > quality - lowered, "less than it would be elsewhere"


def test_a_single_frame_is_no_ending(tiny_weights: Path) -> None:
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    _, alone = coded_segment(codec, noise(1), 40)
    assert alone.chunks[0].streams[0][0] == OFFSET_ZERO + INTRA_BONUS
