"""How long chunks are: by how well frames can be told from far ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.codec.planning import Planner
from tests.tiny_model import moving_planes

HEIGHT, WIDTH = 128, 192


def planned(luma: Tensor) -> list[int]:
    """Lengths of the chunks of all frames behind the first."""
    planner = Planner(luma[0])
    return planner.plan(luma[1:])


def blinking(count: int, share: float) -> Tensor:
    """A still texture over which, every second frame, blocks of noise lie: hidden then, and seen again after."""
    random = torch.Generator().manual_seed(3)
    luma = moving_planes(1, HEIGHT, WIDTH).y.repeat(count, 1, 1)
    for number in range(1, count, 2):
        hidden = (torch.rand(HEIGHT // 32, WIDTH // 32, generator=random) < share).float()
        mask = hidden.repeat_interleave(32, 0).repeat_interleave(32, 1)
        noise = torch.rand(HEIGHT // 8, WIDTH // 8, generator=random).repeat_interleave(8, 0).repeat_interleave(8, 1)
        luma[number] = torch.where(mask > 0, noise, luma[number])
    return luma


def test_what_comes_back_is_told_from_afar() -> None:
    lengths = planned(blinking(9, share=0.4))
    assert sum(lengths) == 8
    assert max(lengths) >= 2, "frame 2 is frame 0; from frame 1 it is not to be had"


def test_what_is_known_from_nearby_alone_is_coded_in_chunks_of_two() -> None:
    """Two frames on, it has moved further than any match reaches."""
    assert planned(moving_planes(9, HEIGHT, WIDTH, dx=12).y) == [2] * 4


@pytest.mark.parametrize("count", range(1, 9))
def test_lengths_add_up_and_are_powers_of_two(count: int) -> None:
    lengths = planned(blinking(count + 1, share=0.5))
    assert sum(lengths) == count
    assert all(length in (1, 2, 4, 8) for length in lengths)


def test_long_chunks_begin_where_halves_met() -> None:
    lengths = planned(blinking(9, share=0.5))
    start = 0
    for length in lengths:
        assert start % length == 0
        start += length


def test_the_last_frame_is_remembered() -> None:
    """Two calls of four frames look at the same neighbours as one call of eight, as far as chunks of four reach."""
    luma = blinking(9, share=0.4)
    planner = Planner(luma[0])
    parts = planner.plan(luma[1:5]) + planner.plan(luma[5:])
    whole = planned(luma)
    assert whole == parts or whole == [8]


def test_sizes_that_are_no_multiples_of_blocks() -> None:
    luma = moving_planes(5, 48, 80, dx=3).y
    assert sum(planned(luma)) == 4
