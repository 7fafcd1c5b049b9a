"""Latents added to a trained model: what it decoded before stays, and what it could not say can be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.config import ModelConfig
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.training.dataset import ClipDataset, PictureDataset
from stpcodec.training.grow import grow
from tests.tiny_model import TINY, tiny_network
from tests.training.material import cached_clip

CPU = torch.device("cpu")
LARGER = replace(
    TINY, intra=replace(TINY.intra, latents=48), inter=replace(TINY.inter, latents=40)
)  # fmt: skip
QUALITY = torch.tensor([90.0])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cache")
    return [cached_clip(folder, count=7, seed=seed) for seed in (0, 10)]


def grown(clips: list[Path], config: ModelConfig, seed: int = 5) -> StpNetwork:
    torch.manual_seed(1)
    data = ClipDataset(clips, frames=2, crop=64, chunks=2, seed=0)
    pictures = PictureDataset(clips, crop=64, seed=1)
    return grow(tiny_network(seed), config, data, pictures, batches=6, device=CPU).eval()


@pytest.fixture(scope="module")
def larger(clips: list[Path]) -> StpNetwork:
    return grown(clips, LARGER)


@pytest.fixture(scope="module")
def packed(clips: list[Path]) -> Tensor:
    return pack_frames(PictureDataset(clips, crop=64, seed=9).pictures(1, CPU), 1)


@torch.no_grad()
def decoded(network: ChunkNetwork, packed: Tensor, latents: int) -> Tensor:
    """By the first `latents` of them, not rounded."""
    y = network.analyse(packed, QUALITY, None)
    y[:, latents:] = 0
    return network.synthesise(y, QUALITY, None)


def test_with_the_new_latents_zero_nothing_has_changed(larger: StpNetwork, packed: Tensor) -> None:
    before = tiny_network().eval()
    old = TINY.intra.latents
    torch.testing.assert_close(decoded(larger.intra, packed, old), decoded(before.intra, packed, old))


@torch.no_grad()
def test_the_prior_says_of_the_old_latents_what_it_said(larger: StpNetwork) -> None:
    old = TINY.inter.latents
    z, known = torch.randint(-7, 8, (1, 4, 1, 1)).float(), torch.randint(-60, 60, (1, old, 4, 4)).float()
    for number in range(2):
        small, large = tiny_network().inter.prior, larger.inter.prior
        longer = torch.nn.functional.pad(known, (0, 0, 0, 0, 0, 8))
        small_features, large_features = small.begin(z, known, QUALITY, (4, 4)), large.begin(z, longer, QUALITY, (4, 4))
        assert torch.equal(small_features, large_features)
        index, mean = small.step(number, small_features, known if number else None, QUALITY)
        new_index, new_mean = large.step(number, large_features, longer if number else None, QUALITY)
        assert torch.equal(new_index[:, :old], index)
        assert torch.equal(new_mean[:, :old], mean)


def test_the_new_latents_say_what_was_missing(larger: StpNetwork, packed: Tensor) -> None:
    short = (decoded(larger.intra, packed, TINY.intra.latents) - packed).square().mean()
    full = (decoded(larger.intra, packed, LARGER.intra.latents) - packed).square().mean()
    assert full < 0.7 * short


def test_new_directions_are_orthogonal_to_the_old_ones(larger: StpNetwork) -> None:
    from stpcodec.training.initialise import sample_weights

    for part, config in ((larger.intra, TINY.intra), (larger.inter, TINY.inter)):
        inverse = part.linear.inverse_matrix.weight[:, :, 0, 0].detach().double() * sample_weights(384)[:, None]
        old, new = inverse[:, : config.latents], inverse[:, config.latents :]
        torch.testing.assert_close(new.T @ new, torch.eye(new.shape[1], dtype=torch.float64), atol=1e-5, rtol=0)
        assert float((old.T @ new).abs().max()) < 1e-5 * float(old.norm())


def test_models_that_differ_in_more_are_refused(clips: list[Path]) -> None:
    wider = replace(LARGER, intra=replace(LARGER.intra, width=24))
    with pytest.raises(ModelError, match="does not grow into"):
        grown(clips, wider)
