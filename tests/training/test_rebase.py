"""Other bases for a trained network: what it decodes stays, and its prior learns what its latents are now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.model.chunk_io import pack_frames, predict
from stpcodec.model.layers import QUALITY_POINTS
from stpcodec.model.network import ChunkNetwork, Context, StpNetwork
from stpcodec.model.rates import quantiser_step
from stpcodec.training import rebase as room
from stpcodec.training.bases import block_transform
from stpcodec.training.dataset import ClipDataset, PictureDataset
from stpcodec.training.initialise import sample_weights
from stpcodec.training.rebase import Stored, change_basis, prior_loss, rebase
from tests.tiny_model import TINY, tiny_network
from tests.training.conftest import Clock
from tests.training.material import cached_clip

CPU = torch.device("cpu")
WHOLE = replace(TINY, intra=replace(TINY.intra, latents=384), inter=replace(TINY.inter, latents=384))
QUALITY = torch.tensor([70.0])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cache")
    return [cached_clip(folder, count=7, seed=seed) for seed in (0, 10)]


@pytest.fixture
def data(clips: list[Path]) -> ClipDataset:
    return ClipDataset(clips, frames=2, crop=64, chunks=2, seed=0)


@pytest.fixture
def pictures(clips: list[Path]) -> PictureDataset:
    return PictureDataset(clips, crop=64, seed=1)


def whole_network() -> StpNetwork:
    """With a basis that is neither orthonormal nor a block transform, and gains that undo each other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = StpNetwork(WHOLE).eval()
        quality = 1 + 99 * torch.arange(QUALITY_POINTS) / (QUALITY_POINTS - 1)
        gain = -torch.log(quantiser_step(quality))[:, None].expand(-1, 384)
        with torch.no_grad():
            for part in (network.intra, network.inter):
                for layer in (part.analysis_leave, part.synthesis_leave):
                    layer.weight.normal_(std=0.005)
                matrix = torch.linalg.qr(torch.randn(384, 384))[0] * (0.8 + 0.4 * torch.rand(384))
                part.linear.forward_matrix.weight.copy_(matrix[:, :, None, None])
                part.linear.inverse_matrix.weight.copy_(torch.linalg.inv(matrix)[:, :, None, None])
                part.log_gain.points.copy_(gain)
                part.log_inverse_gain.points.copy_(-gain)
    return network


@torch.no_grad()
def decoded(network: ChunkNetwork, packed: Tensor, context: Context | None) -> Tensor:
    return network.synthesise(network.analyse(packed, QUALITY, context), QUALITY, context)


@pytest.mark.parametrize("name", ["intra", "inter"])
def test_without_rounding_it_decodes_what_it_decoded(name: str, data: ClipDataset) -> None:
    sequence, network = data.sequences(1, 1, CPU), whole_network()
    packed, context, part = pack_frames(sequence.frame(2), 1), None, getattr(network, name)
    if name == "inter":
        with torch.no_grad():
            context = part.context(*predict(sequence.frame(0), sequence.fields[:, 0, 0, 0]))
    before = decoded(part, packed, context)
    change_basis(part, block_transform(4), 0.7)
    with torch.no_grad():
        part.log_inverse_gain.points.copy_(-part.log_gain.points)
    torch.testing.assert_close(decoded(part, packed, context), before, atol=1e-4, rtol=0)
    assert (before - packed).abs().max() > 1e-3, "the networks add something"


def test_the_new_synthesis_is_the_basis_itself() -> None:
    part, basis = whole_network().intra, block_transform(16)
    change_basis(part, basis, 1.0)
    inverse = part.linear.inverse_matrix.weight[:, :, 0, 0] * sample_weights(384).float()[:, None]
    torch.testing.assert_close(inverse, basis.T, atol=1e-6, rtol=0)
    assert (part.log_gain.points.diff(dim=0) > 0).all(), "finer steps at higher quality"
    product = torch.exp(part.log_gain.points + part.log_inverse_gain.points)
    assert ((product > 0.9) & (product < 1)).all()
    part.prior.check_exact("here")


def test_networks_without_all_latents_are_refused() -> None:
    with pytest.raises(ModelError, match="24 latents cannot be rebased: it takes 384"):
        change_basis(tiny_network().intra, block_transform(4), 1.0)


def test_both_networks_are_rebased_and_their_priors_learn(
    data: ClipDataset, pictures: PictureDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the stored latents of each: cheaper after thirty steps than at first, and nothing else has moved."""
    torch.manual_seed(0)
    network, original = whole_network(), room._learn_prior
    seen: dict[str, tuple[float, float, Stored]] = {}

    def learn(part: ChunkNetwork, stored: Stored, minutes: float, say, poll, name: str) -> None:  # type: ignore[no-untyped-def]
        room._start_scales(part, stored)
        chosen = torch.arange(min(16, len(stored.quality)))
        with torch.no_grad():
            first = float(prior_loss(part, stored, chosen))
        analysis = part.linear.forward_matrix.weight.clone()
        original(part, stored, minutes, say, poll, name)
        assert torch.equal(part.linear.forward_matrix.weight, analysis)
        with torch.no_grad():
            seen[name] = (first, float(prior_loss(part, stored, chosen)), stored)

    monkeypatch.setattr(room, "_learn_prior", learn)
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=Clock()))
    polls: list[int] = []
    rebase(
        network, data, pictures, minutes=5.0, batches=1, device=CPU, say=lambda s: None, poll=lambda: polls.append(1)
    )
    assert len(polls) == 2 * 29
    assert network.training
    for name in ("intra", "inter"):
        first, last, stored = seen[name]
        assert last < 0.97 * first, name
        assert stored.latents.shape[1] == 384
    assert seen["intra"][2].before is None
    before = seen["inter"][2].before
    assert before is not None
    assert before.shape == seen["inter"][2].latents.shape
    assert not before[:8].any(), "behind the intra frame the prior looks at nothing"
    assert before[8:].any()
