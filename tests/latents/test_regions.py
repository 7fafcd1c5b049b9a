"""Regions with and without the synthesis network: their tables and what they mean in samples."""

from __future__ import annotations

import pytest
import torch

from stpcodec.latents.blend import BLEND_CONTEXTS, walk_blend
from stpcodec.latents.regions import REGION, SHARE_OF_1024, network_share, region_counts, region_shape


@pytest.mark.parametrize(("height", "width", "shape"), [(64, 64, (1, 1)), (80, 128, (2, 2)), (16, 208, (1, 4))])
def test_regions_cover_the_picture(height: int, width: int, shape: tuple[int, int]) -> None:
    assert region_shape(height, width) == shape
    share = network_share(torch.zeros(shape, dtype=torch.int32), height // 8, width // 8)
    assert share.shape == (height // 8, width // 8)
    assert share.all()


def test_a_flag_counts_in_its_own_region() -> None:
    regions = torch.tensor([[0, 1], [1, 0]], dtype=torch.int32)
    share = network_share(regions, 10, 16)
    side = REGION // 8
    assert share[:side, :side].all()
    assert not share[:side, side:].any()
    assert not share[side:, :side].any()
    assert share[side:, side:].all()
    assert share.sum() == 8 * 8 + 2 * 8


def test_tables_expect_what_is_around() -> None:
    """By the three known neighbours: the more of them are linear, the likelier the next one is."""
    counts = region_counts()
    assert counts.shape == (BLEND_CONTEXTS, 4)
    assert counts.min() == 1
    assert (counts[:, :2].sum(1) == 1024).all()
    for value, share in ((0, SHARE_OF_1024[0]), (1, SHARE_OF_1024[3])):
        flags = torch.full((3, 4), value, dtype=torch.int32)
        inner = [context for (row, part), context in walk_blend(flags) if row == 1]
        assert counts[inner[0][1]][1] == share, "an even column with all three above"
    assert [int(counts[context][1]) for context in (0, 1, 4, 13)] == list(SHARE_OF_1024)
