"""Levels of quality: their tables, and what they mean for patches."""

from __future__ import annotations

import pytest
import torch

from stpcodec.latents.levels import (
    DECAY_OF_100,
    LARGEST_CHANGE,
    LEVEL_CONTEXTS,
    level_counts,
    level_shape,
    patch_qualities,
)


@pytest.mark.parametrize(("height", "width", "shape"), [(32, 32, (1, 1)), (48, 64, (2, 2)), (16, 208, (1, 7))])
def test_levels_cover_the_picture(height: int, width: int, shape: tuple[int, int]) -> None:
    assert level_shape(height, width) == shape
    levels = torch.zeros(shape, dtype=torch.int32)
    assert patch_qualities(levels, 40, height // 16, width // 16).shape == (height // 16, width // 16)


def test_a_level_counts_in_its_own_patches() -> None:
    levels = torch.tensor([[0, 2, -1], [8, -8, 0]], dtype=torch.int32)
    assert patch_qualities(levels, 50, 3, 5).tolist() == [
        [50, 50, 60, 60, 45],
        [50, 50, 60, 60, 45],
        [90, 90, 10, 10, 50],
    ]


def test_there_are_no_qualities_beyond_the_largest_and_the_smallest() -> None:
    levels = torch.tensor([[8, -8]], dtype=torch.int32)
    assert patch_qualities(levels, 90, 2, 4).unique().tolist() == [50, 100]
    assert patch_qualities(levels, 20, 2, 4).unique().tolist() == [1, 60]


def test_no_change_is_likeliest_and_every_change_can_be_coded() -> None:
    counts = level_counts()
    assert counts.shape == (LEVEL_CONTEXTS, 2 * LARGEST_CHANGE + 2)
    assert counts.min() == 1
    assert (counts.argmax(1) == LARGEST_CHANGE).all()
    assert torch.equal(counts[:, :-1], counts[:, :-1].flip(1))
    assert counts[:, LARGEST_CHANGE + 1].tolist() == [65536 * decay // 100 for decay in DECAY_OF_100]
