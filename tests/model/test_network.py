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


@pytest.mark.parametrize("references", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_new_network_is_its_linear_codec(references: int, weighted: bool) -> None:
    """With a full orthonormal basis and without rounding it reproduces its input, however samples weigh."""
    inter = references > 0
    config = replace(TINY.inter if inter else TINY.intra, latents=384)
    torch.manual_seed(0)
    network = ChunkNetwork(config, inter=inter)
    basis, _ = torch.linalg.qr(torch.randn(384, 384))
    network.linear.set_basis(basis.T, torch.rand(384) + 0.5 if weighted else None)
    packed, prediction, other = torch.rand(3, 2, 96, 4, 6)
    quality = torch.tensor([20.0, 80.0])
    context = None
    if inter:
        context = network.context(prediction, *((other,) if references == 1 else (None, other)))
    with torch.no_grad():
        y = network.analyse(packed, quality, context)
        decoded = network.synthesise(y, quality, context)
    assert y.shape == (2, 384, 2, 3)
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


@pytest.mark.parametrize("references", [1, 2])
def test_zero_latents_decode_to_the_prediction(references: int) -> None:
    network = ChunkNetwork(TINY.inter, inter=True)
    prediction, other = torch.rand(2, 1, 96, 4, 4)
    context = network.context(prediction, other) if references == 1 else network.context(prediction, None, other)
    decoded = network.synthesise(torch.zeros(1, TINY.inter.latents, 2, 2), torch.tensor([50]), context)
    torch.testing.assert_close(decoded.detach(), prediction)


def test_what_two_references_disagree_about_says_nothing_before_training() -> None:
    """So weights of pictures with one reference alone are a start for those between two."""
    torch.manual_seed(0)
    network = ChunkNetwork(TINY.inter, inter=True)
    prediction, difference = torch.rand(2, 1, 96, 4, 4)
    agreed, told = (network.context(prediction, None, d).features for d in (torch.zeros_like(difference), difference))
    single = network.context(prediction, prediction).features
    for features in (agreed, told, single):
        assert features is not None
    torch.testing.assert_close(told, agreed)
    torch.testing.assert_close(agreed, single)
    torch.nn.init.normal_(network.context_between.weight)
    moved = network.context(prediction, None, difference).features
    assert moved is not None
    assert not torch.allclose(moved, agreed), "afterwards it does"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (4, 4), (5, 9)])
def test_hyper_latents_are_a_quarter_rounded_up(height: int, width: int) -> None:
    network = ChunkNetwork(TINY.intra, inter=False)
    z = network.hyper_analyse(torch.randn(2, TINY.intra.latents, height, width))
    assert z.shape == (2, TINY.intra.hyper, -(-height // 4), -(-width // 4))
    assert z.dtype == torch.float32
