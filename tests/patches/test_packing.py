from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.errors import UsageError
from stpcodec.patches.packing import CHANNELS, pack, unpack
from stpcodec.patches.padding import crop_planes, pad_planes

sizes = st.integers(1, 70)


def random_planes(count: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    chroma = (count, (height + 1) // 2, (width + 1) // 2)
    return (
        torch.rand(count, height, width, generator=noise),
        torch.rand(chroma, generator=noise),
        torch.rand(chroma, generator=noise),
    )


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_round_trip(count: int, rows: int, columns: int) -> None:
    planes = random_planes(count, 8 * rows, 8 * columns)
    packed = pack(*planes)
    assert packed.shape == (count, CHANNELS, rows, columns)
    assert all(torch.equal(a, b) for a, b in zip(unpack(packed), planes, strict=True))


def test_where_every_sample_goes() -> None:
    y = torch.arange(16 * 24).reshape(1, 16, 24)
    u = 1000 + torch.arange(8 * 12).reshape(1, 8, 12)
    v = 2000 + torch.arange(8 * 12).reshape(1, 8, 12)
    packed = pack(y, u, v)
    for row, column in ((0, 0), (1, 2)):
        cell = packed[0, :, row, column]
        assert torch.equal(cell[:64].reshape(8, 8), y[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8])
        assert torch.equal(cell[64:80].reshape(4, 4), u[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4])
        assert torch.equal(cell[80:].reshape(4, 4), v[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4])


@given(st.integers(1, 2), sizes, sizes, st.sampled_from([8, 16, 64]))
def test_any_size_through_padding_and_packing(count: int, height: int, width: int, multiple: int) -> None:
    planes = random_planes(count, height, width)
    back = crop_planes(*unpack(pack(*pad_planes(*planes, multiple))), height, width)
    assert all(torch.equal(a, b) for a, b in zip(back, planes, strict=True))


def test_other_shapes_are_refused() -> None:
    y, u, v = random_planes(1, 16, 16)
    for planes in ((y[:, :12], u, v), (y, u[:, :4], v[:, :4]), (y, u, v[..., :4]), (y, u[..., :4], v[..., :4])):
        with pytest.raises(UsageError, match="not 4:2:0"):
            pack(*planes)
    with pytest.raises(UsageError, match="96 channels, not 95"):
        unpack(torch.zeros(1, 95, 2, 2))
