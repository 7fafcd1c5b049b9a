"""The learned transforms before any training: a linear codec with everything else silent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from stpcodec.model.layers import QUALITIES, Block, LinearPatch, QualityTable, zero_conv
from stpcodec.model.network import ChunkNetwork
from tests.tiny_model import TINY


def test_a_new_block_is_the_identity() -> None:
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(Block(8)(x), x)
    assert not zero_conv(8, 3)(x).any()


def test_quality_table_is_linear_between_its_points() -> None:
    table = QualityTable(3)
    with torch.no_grad():
        table.points.copy_(torch.arange(8.0)[:, None] * torch.tensor([1.0, -2.0, 0.5]))
    quality = torch.arange(1, QUALITIES + 1)
    values = table(quality)
    assert values.shape == (QUALITIES, 3, 1, 1)
    expected = (quality - 1).float()[:, None] * (7 / 99) * torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(values[:, :, 0, 0], expected, atol=1e-5, rtol=0)
    assert torch.equal(values[0, :, 0, 0], table.points[0])
    torch.testing.assert_close(values[-1, :, 0, 0], table.points[-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("frames", "inter"), [(1, False), (1, True), (4, True)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_new_network_is_its_linear_codec(frames: int, inter: bool, weighted: bool) -> None:
    """With a full orthonormal basis and without rounding it reproduces its input, however samples weigh."""
    config = replace(TINY.inter if inter else TINY.intra, frames=frames, latents=384 * frames)
    torch.manual_seed(0)
    network = ChunkNetwork(config, inter=inter)
    basis, _ = torch.linalg.qr(torch.randn(384 * frames, 384 * frames))
    network.linear.set_basis(basis.T, torch.rand(384 * frames) + 0.5 if weighted else None)
    packed = torch.rand(2, 96 * frames, 4, 6)
    quality = torch.tensor([20.0, 80.0])
    context = None
    if inter:
        context = network.context(torch.rand_like(packed), torch.rand(2, 96, 4, 6))
    with torch.no_grad():
        y = network.analyse(packed, quality, context)
        decoded = network.synthesise(y, quality, context)
    assert y.shape == (2, 384 * frames, 2, 3)
    torch.testing.assert_close(decoded, packed, atol=1e-4, rtol=0)


def test_a_weighted_basis_minds_what_weighs_more() -> None:
    """One latent for two samples of equal variance: it keeps the one whose error counts."""
    linear = LinearPatch(2, 1)
    weights = torch.tensor([1.0, 3.0])
    linear.set_basis(torch.tensor([[0.6, 0.8]]), weights)
    patch = torch.tensor([0.5, -0.25]).view(1, 2, 1, 1)
    latent = F.conv2d(patch, linear.forward_matrix.weight)
    assert latent.item() == pytest.approx(0.6 * 0.5 * 1 + 0.8 * -0.25 * 3)
    decoded = F.conv2d(latent, linear.inverse_matrix.weight).flatten()
    torch.testing.assert_close(decoded * weights, latent.item() * torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("frames", [1, 4])
def test_zero_latents_decode_to_the_prediction(frames: int) -> None:
    network = ChunkNetwork(replace(TINY.inter, frames=frames), inter=True)
    prediction = torch.rand(1, 96 * frames, 4, 4)
    context = network.context(prediction, torch.rand(1, 96, 4, 4))
    decoded = network.synthesise(torch.zeros(1, TINY.inter.latents, 2, 2), torch.tensor([50]), context)
    torch.testing.assert_close(decoded.detach(), prediction)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (4, 4), (5, 9)])
def test_hyper_latents_are_a_quarter_rounded_up(height: int, width: int) -> None:
    network = ChunkNetwork(TINY.intra, inter=False)
    z = network.hyper_analyse(torch.randn(2, TINY.intra.latents, height, width))
    assert z.shape == (2, TINY.intra.hyper, -(-height // 4), -(-width // 4))
    assert z.dtype == torch.float32
