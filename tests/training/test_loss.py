"""Training against the codec: the same integers, and bits that are near the bytes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.codec.latent_coder import encode_latents
from stpcodec.codec.quantiser import quantise
from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.latents.quantise import LARGEST_SYMBOL, SIXTEENTHS, scales
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.network import ChunkNetwork
from stpcodec.model.planes import Planes
from stpcodec.model.rates import squared_error
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training.export import export_weights
from stpcodec.training.loss import code_chunk, gaussian_bits, scale_of, worthwhile
from tests.tiny_model import initial_tables, moving_planes, tiny_network, tiny_tables

CPU = torch.device("cpu")


@given(st.sampled_from([0.11, 0.3, 1.0, 7.0, 160.0]))
def test_bits_are_those_of_a_distribution(scale: float) -> None:
    """Bins of width one sum to one: no bits come from nowhere."""
    values = torch.arange(-3000, 3001, dtype=torch.float64)
    likelihood = torch.exp2(-gaussian_bits(values, torch.full_like(values, scale)))
    assert likelihood.sum().item() == pytest.approx(1, abs=1e-3)
    assert likelihood.argmax() == 3000


def test_bits_far_out_still_have_a_gradient() -> None:
    value = torch.tensor([30.0], requires_grad=True)
    scale = torch.tensor([1.0], requires_grad=True)
    bits = gaussian_bits(value, scale)
    assert math.isfinite(bits.item())
    bits.sum().backward()
    assert value.grad is not None
    assert value.grad.item() > 0, "smaller is cheaper"
    assert scale.grad is not None
    assert scale.grad.item() < 0, "a wider scale would be cheaper"


def test_scales_are_the_codecs() -> None:
    torch.testing.assert_close(scale_of(torch.arange(64).double()), scales(), rtol=1e-5, atol=0)


def test_squared_error_is_weighted_six_three_three() -> None:
    """In luma's units: as much of luma's error as with the figure's own 6:1:1, and three times as much of chroma's."""
    grey = Planes(*(torch.full((3, side, side), 0.5) for side in (32, 16, 16)))
    for name, weight in (("y", 6), ("u", 3), ("v", 3)):
        planes = {n: getattr(grey, n).clone() for n in ("y", "u", "v")}
        planes[name][1] += 10 / 255
        error = squared_error(Planes(**planes), grey)
        torch.testing.assert_close(error, torch.tensor([0.0, 100.0 * weight / 8, 0.0]), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scales in the middle of the grid: positions of scale index 0, which the codec skips, do not come up."""
    network = tiny_network()
    for part in (network.intra, network.inter):
        torch.nn.init.constant_(part.prior.index_quality.points, 4.0)
        for head in part.prior.heads:
            torch.nn.init.normal_(head.weight, std=0.03)  # type: ignore[arg-type]
    return export_weights(network, tiny_tables(), initial_tables(), tmp_path_factory.mktemp("weights"))


def test_training_codes_what_the_codec_codes(weights: Path) -> None:
    """Same network, same latents: the trained forward pass and the codec's loop give the same integers."""
    network, model = load_network(str(weights)), load_model(weights, device=CPU)
    frames = moving_planes(4, 64, 96, dx=1)
    previous = (torch.randn(1, 32, 4, 6, generator=torch.Generator().manual_seed(0)) * 40).round() / SIXTEENTHS
    cases: list[tuple[ChunkNetwork, object, Planes, torch.Tensor | None]] = [
        (network.intra, model.intra, frames[:1], None),
        (network.inter, model.inter, frames[3:], previous),
    ]
    for part, transform, planes, before in cases:
        packed = pack_frames(planes, part.config.frames)
        context = None
        if part.inter:
            context = part.context(torch.full_like(packed, 0.5), torch.full((1, 96, 8, 12), 0.5))
        with torch.no_grad():
            coded = code_chunk(part, packed, torch.tensor([40.0]), context, before, optimise=False)
            y = part.analyse(packed, torch.tensor([40.0]), context)
        assert coded.index.min() > 0, "else this test compares the skipping too"
        coder = SymbolEncoder()
        sixteenths = None if before is None else (before[0] * SIXTEENTHS).int()
        y_hat = encode_latents(coder, transform, y[0], coded.z[0], sixteenths, 40, optimise=False)  # type: ignore[arg-type]
        assert torch.equal(y_hat, (coded.latents[0] * SIXTEENTHS).int())
        # The tables are Gaussian, training's have a small tail; its z is a Gaussian that nobody fitted.
        z_only = SymbolEncoder()
        tables_per_channel = transform.z_tables.rows // 4  # type: ignore[attr-defined]
        channels = (torch.arange(4) * tables_per_channel).view(4, 1, 1).expand(coded.z.shape[1:]).numpy()
        z_only.encode(coded.z[0].int().numpy(), transform.z_tables, channels)  # type: ignore[attr-defined]
        y_bits = 8 * (len(coder.finish()) - len(z_only.finish()))
        assert y_bits == pytest.approx(coded.y_bits.item(), rel=0.05, abs=64)


@pytest.mark.parametrize("scale", [0.2, 0.8, 5.0])
def test_symbols_are_made_cheaper_as_the_encoder_makes_them(scale: float) -> None:
    """Against its compiled quantiser, on the same bits."""
    wanted = torch.linspace(-6, 6, 481)
    table = np.zeros((1, 32), np.float32)
    table[0, :31] = gaussian_bits(torch.arange(-15, 16).float(), torch.tensor(scale)).numpy()
    for weight in (0.5, 3.0, 20.0):
        expected = quantise(
            wanted.numpy(), np.arange(481), np.zeros(481, np.int32), np.zeros(481, np.uint8),
            np.array([weight], np.float32), table, 481, LARGEST_SYMBOL,
        )  # fmt: skip
        found = worthwhile(wanted, torch.tensor(scale), torch.tensor(weight))
        assert found.int().tolist() == expected.tolist()
        assert (found.abs() <= wanted.abs().round()).all()
    assert (worthwhile(wanted, torch.tensor(scale), torch.tensor(0.5)).abs() < wanted.abs().round()).any()


def test_the_synthesis_meets_what_the_encoder_sends() -> None:
    """Fewer bits than rounding; and bits whose gradient is that of rounding."""
    network = tiny_network()
    torch.nn.init.constant_(network.intra.prior.index_quality.points, 1.0)
    packed = pack_frames(moving_planes(1, 64, 96, dx=1), 1)
    coded, gradients = [], []
    for optimise in (False, True):
        network.zero_grad()
        torch.manual_seed(0)  # the rate's noise
        coded.append(code_chunk(network.intra, packed, torch.tensor([20.0]), None, None, optimise=optimise))
        coded[-1].y_bits.sum().backward()
        gradients.append(network.intra.prior.heads[0].weight.grad.clone())  # type: ignore[union-attr, operator]
    rounded, cheaper = coded
    assert cheaper.y_bits.item() < rounded.y_bits.item()
    assert (cheaper.latents.abs() < rounded.latents.abs()).any()
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3)


def test_gradients_reach_both_networks(weights: Path) -> None:
    """From rate and distortion together, to every parameter that a file holds."""
    network = load_network(str(weights))
    packed = pack_frames(moving_planes(4, 64, 64, dx=1), 1)
    contexts = (
        network.inter.context(packed + 0.01, packed), network.inter.context(packed + 0.01, None, 0.1 * packed.flip(0)),
    )  # fmt: skip
    before, quality = torch.randn(4, 32, 4, 4), torch.full((4,), 40.0)
    coded = [code_chunk(network.inter, packed, quality, context, before) for context in contexts]
    coded.append(code_chunk(network.intra, packed, quality, None, None))
    loss = sum(
        part.y_bits.sum() + part.z_bits.sum() + 1e3 * (part.packed - packed).square().sum() for part in coded
    )  # fmt: skip
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
