"""Block transforms as bases of the linear path."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.model.chunk_io import pack_frames, unpack_frames
from stpcodec.model.dct import dct_matrix
from stpcodec.model.planes import Planes
from stpcodec.training.bases import block_transform


@pytest.fixture(scope="module", params=[4, 8, 16])
def transform(request: pytest.FixtureRequest) -> tuple[int, Tensor]:
    return request.param, block_transform(request.param)


def planes_of(rows: Tensor) -> Planes:
    """Basis functions ``[N, 384]`` as pictures of one patch."""
    return unpack_frames(torch.nn.functional.pixel_shuffle(rows[:, :, None, None], 2), 1)


def test_rows_are_orthonormal(transform: tuple[int, Tensor]) -> None:
    rows = transform[1]
    torch.testing.assert_close(rows @ rows.T, torch.eye(384), atol=1e-5, rtol=0)


def test_every_row_lies_in_one_block_of_one_plane(transform: tuple[int, Tensor]) -> None:
    side, rows = transform
    shown = planes_of(rows)
    blocks = 0
    for plane, length in ((shown.y, 16), (shown.u, 8), (shown.v, 8)):
        size = min(side, length)
        cells = plane.reshape(384, length // size, size, length // size, size).abs().sum((2, 4)).flatten(1) > 1e-6
        assert (cells.sum(1) <= 1).all()
        assert cells.sum(0).tolist() == [size * size] * cells.shape[1]
        blocks += int(cells.sum())
    assert blocks == 384


def test_coefficients_are_those_of_the_cosine_transform() -> None:
    """Of a patch in four-by-four blocks: the same numbers, in another order."""
    random = torch.Generator().manual_seed(0)
    luma = torch.rand(1, 16, 16, generator=random)
    packed = pack_frames(Planes(luma, torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)), 1)
    found = block_transform(4) @ torch.nn.functional.pixel_unshuffle(packed, 2).flatten()
    basis = dct_matrix(4)
    wanted = basis @ luma.reshape(4, 4, 4, 4).permute(0, 2, 1, 3) @ basis.T
    torch.testing.assert_close(found[found != 0].sort()[0], wanted.flatten().sort()[0], atol=1e-5, rtol=0)


def test_neighbouring_blocks_are_coded_in_different_steps() -> None:
    shown = planes_of(block_transform(4)).y
    cells = shown.reshape(384, 4, 4, 4, 4).abs().sum((2, 4))
    for group in range(4):
        touched = (cells[group::4].sum(0) > 1e-6).nonzero().tolist()
        rows, columns = (group // 2, group // 2 + 2), (group % 2, group % 2 + 2)
        assert touched == [[row, column] for row in rows for column in columns]


def test_where_there_is_one_block_its_frequencies_are_dealt_out() -> None:
    for group in range(4):
        rows = planes_of(block_transform(16)[group::4]).y
        luma = rows[rows.abs().sum((1, 2)) > 1e-6]
        assert len(luma) == 64
        frequencies = (dct_matrix(16) @ luma @ dct_matrix(16).T).abs().flatten(1).argmax(1)
        assert {(int(f) // 16 % 2, int(f) % 2) for f in frequencies} == {(group // 2, group % 2)}


def test_low_frequencies_come_first(transform: tuple[int, Tensor]) -> None:
    """The first row of each group is the mean of a luma block, or as near to it as the group comes."""
    side, rows = transform
    first = planes_of(rows[:1]).y[0]
    assert first.abs().max() == pytest.approx(1 / side)
    assert len(first[first.abs() > 1e-6].unique()) == 1


@pytest.mark.parametrize("side", [0, 1, 3, 12, 32])
def test_sides_that_do_not_fit_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="blocks of side"):
        block_transform(side)
