from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.errors import UsageError
from stpcodec.patches.padding import crop_planes, pad_planes, padded_size
from tests.patches.test_packing import random_planes

sizes = st.integers(1, 70)
multiples = st.sampled_from([2, 8, 16, 64])


@given(sizes, sizes, multiples)
def test_padding_repeats_the_border_and_crops_away(height: int, width: int, multiple: int) -> None:
    planes = random_planes(2, height, width)
    y, u, v = pad_planes(*planes, multiple)
    high, wide = padded_size(height, width, multiple)
    assert y.shape == (2, high, wide)
    assert u.shape == v.shape == (2, high // 2, wide // 2)
    assert 0 <= high - height < multiple
    assert 0 <= wide - width < multiple
    assert torch.equal(y[:, height:], y[:, height - 1 : height].expand(-1, high - height, -1))
    assert torch.equal(y[..., width:], y[..., width - 1 : width].expand(-1, -1, wide - width))
    chroma_rows = (height + 1) // 2
    assert torch.equal(u[:, chroma_rows:], u[:, chroma_rows - 1 : chroma_rows].expand(-1, high // 2 - chroma_rows, -1))
    assert all(torch.equal(a, b) for a, b in zip(crop_planes(y, u, v, height, width), planes, strict=True))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32, torch.bfloat16])
def test_any_dtype(dtype: torch.dtype) -> None:
    y, u, v = ((plane * 100).to(dtype) for plane in random_planes(1, 5, 3))
    padded = pad_planes(y, u, v, 16)
    assert {plane.dtype for plane in padded} == {dtype}
    assert torch.equal(padded[0][0, 15], padded[0][0, 4])


def test_whole_multiples_are_not_copied() -> None:
    planes = random_planes(1, 32, 48)
    assert all(a is b for a, b in zip(pad_planes(*planes, 16), planes, strict=True))


def test_what_does_not_fit_is_refused() -> None:
    y, u, v = random_planes(1, 5, 7)
    with pytest.raises(UsageError, match="not 4:2:0"):
        pad_planes(y, u[..., :3], v[..., :3], 16)
    with pytest.raises(UsageError, match="must be even"):
        pad_planes(y, u, v, 15)
    with pytest.raises(UsageError, match="cannot crop"):
        crop_planes(y, u, v, 6, 7)
