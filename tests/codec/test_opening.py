"""How well the frame that opens a segment is coded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.opening import opening_bonus
from stpcodec.codec.picture import OFFSET_ZERO
from stpcodec.evaluation.predictions import coded_segment
from stpcodec.model.rates import INTRA_BONUS
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame

HEIGHT, WIDTH = 128, 192
QUALITIES = (1, 15, 40, 65, 90, 100)


def picture(seed: int = 0) -> Tensor:
    """Luma with texture, no place of which is like another."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(HEIGHT // 4, WIDTH // 4, generator=random).repeat_interleave(4, 0).repeat_interleave(4, 1)


@pytest.mark.parametrize("quality", QUALITIES)
def test_what_comes_back_is_coded_best(quality: int) -> None:
    first = picture()
    assert opening_bonus(first, first, quality) == INTRA_BONUS
    assert opening_bonus(first, first.roll((4, 8), (0, 1)), quality) > opening_bonus(first, picture(1), quality)


def test_what_does_not_come_back_is_coded_less_well_the_higher_the_quality() -> None:
    bonus = [opening_bonus(picture(), picture(1), quality) for quality in QUALITIES]
    assert bonus == sorted(bonus, reverse=True)
    assert 0 <= bonus[-1] < bonus[0] <= INTRA_BONUS


def test_between_them_it_is_between_them() -> None:
    first, other = picture(), picture(1)
    bonus = []
    for rows in range(0, HEIGHT + 1, 8):
        later = torch.cat((other[:rows], first[rows:]))
        bonus.append(opening_bonus(first, later, 60))
    assert bonus == sorted(bonus, reverse=True)
    assert len(set(bonus)) > 3


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_nothing_to_see_is_still(value: float) -> None:
    flat = torch.full((HEIGHT, WIDTH), value)
    assert opening_bonus(flat, flat, 50) == INTRA_BONUS
    assert opening_bonus(picture(), flat, 50) < INTRA_BONUS


@pytest.mark.parametrize("count", [1, 2, 9, 12])
@pytest.mark.parametrize("same", [True, False])
def test_a_segment_begins_so_well(tiny_weights: Path, count: int, *, same: bool) -> None:
    """By the last of the frames that come next, eight of them at most."""
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    luma = [(255 * picture(0 if same else number)).byte() for number in range(count)]
    frames = [Frame(y=y.numpy(), u=grey, v=grey, pts=number, duration=1) for number, y in enumerate(luma)]
    _, segment = coded_segment(codec, frames, 40)
    later = luma[min(count - 1, codec.chunk_frames)]
    bonus = opening_bonus(luma[0] / 255, later / 255, 40) if count > 1 else INTRA_BONUS
    assert segment.chunks[0].streams[0][0] - OFFSET_ZERO == bonus
    assert (bonus == INTRA_BONUS) == (same or count == 1)
