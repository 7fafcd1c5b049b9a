"""Which latents count more where structure is judged."""

from __future__ import annotations

import math

import pytest
import torch

from stpcodec.codec.tune import SSIM_TILT
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.dct import dct_matrix
from stpcodec.model.network import ChunkNetwork
from stpcodec.model.planes import Planes
from stpcodec.model.rates import LOG_LAMBDA_STEP
from stpcodec.model.transform import FULL_TILT
from stpcodec.training.tilt import tilt_table
from tests.tiny_model import TINY


def network_of(rows: list[Planes]) -> ChunkNetwork:
    """With these latents first, of pictures of one patch; the others are those of a fresh network."""
    network = ChunkNetwork(TINY.intra, inter=False)
    packed = [torch.nn.functional.pixel_unshuffle(pack_frames(row, 1), 2).flatten() for row in rows]
    with torch.no_grad():
        network.linear.inverse_matrix.weight[:, : len(rows), 0, 0] = torch.stack(packed, 1)
    return network


def cosine(row: int, column: int) -> Planes:
    basis = dct_matrix(16)
    return Planes((basis[row][:, None] * basis[column])[None], torch.zeros(1, 8, 8), torch.zeros(1, 8, 8))


def test_low_frequencies_count_more_than_high_ones() -> None:
    along = [(0, 0), (0, 2), (4, 4), (0, 9), (12, 0), (15, 15)]
    table = tilt_table(network_of([cosine(*place) for place in along]))
    assert table.dtype == torch.int32
    assert table.shape == (1, TINY.intra.latents)
    found = table[0, : len(along)].tolist()
    assert found == sorted(found, reverse=True)
    assert found[0] == found[1] == 18
    assert found[-1] == -13
    assert len(set(found)) >= 4


def test_all_samples_of_chroma_count_the_same() -> None:
    """As much as those of luma where `--tune ssim` tilts: half of what they do in training's 6:3:3."""
    grain = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(1, 16, 16)
    rows = [Planes(nothing, grain, torch.zeros(1, 8, 8)), Planes(nothing, torch.zeros(1, 8, 8), grain), cosine(0, 0)]
    table = tilt_table(network_of(rows))[0, :3].tolist()
    assert table == [-17, -17, 18]
    assert math.exp(table[0] * LOG_LAMBDA_STEP * SSIM_TILT / FULL_TILT) == pytest.approx(0.5, rel=0.02)
