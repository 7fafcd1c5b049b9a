"""Compiled sums of squared errors against the tensor operations they stand for."""

from __future__ import annotations

import pytest
import torch

from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.picture_motion import choose_blend
from stpcodec.model.planes import Planes
from stpcodec.model.rates import squared_error, squared_error_map


def planes(count: int, height: int, width: int, seed: int) -> Planes:
    random = torch.Generator().manual_seed(seed)
    sides = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    return Planes(*(torch.rand(count, *side, generator=random) for side in sides))


@pytest.mark.parametrize("block", [16, 64])
@pytest.mark.parametrize("size", [(1, 16, 16), (2, 80, 144), (1, 64, 128)])
def test_maps_agree(block: int, size: tuple[int, int, int]) -> None:
    one, other = planes(*size, seed=0), planes(*size, seed=1)
    expected = squared_error_map(one, other, block)  # with gradients, and so by tensors
    with torch.inference_mode():
        found = squared_error_map(one, other, block)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-2)
    whole = squared_error(one, other)
    torch.testing.assert_close(found.sum((1, 2)) / one.y[0].numel(), whole, rtol=1e-4, atol=1e-2)
    with torch.inference_mode():
        torch.testing.assert_close(squared_error(one, other), whole, rtol=1e-4, atol=1e-2)


def test_a_blend_of_one_frame_is_that_of_many() -> None:
    frames = planes(2, 64, 96, seed=2)
    right, noise = pack_frames(frames, 1), torch.rand(2, 96, 8, 12, generator=torch.Generator().manual_seed(3))
    columns = torch.arange(12)
    pair = torch.where(columns < 8, right, noise), torch.where(columns > 4, right, noise)
    together = choose_blend(frames, pair, 0.01)
    for number in range(2):
        alone = choose_blend(frames[slice(number, number + 1)], (pair[0][number, None], pair[1][number, None]), 0.01)
        assert torch.equal(alone[0], together[number])
    assert together.unique().numel() == 3
