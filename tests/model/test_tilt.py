"""Tilted transforms: each latent with the steps and scales of another quality, everything else as it was."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.model.band_work import CompiledWork, TorchWork
from stpcodec.model.bands import Band
from stpcodec.model.learned import LearnedTransform
from stpcodec.model.quality import Quality, batched
from stpcodec.model.rates import lagrange_lambda
from stpcodec.model.transform import FULL_TILT
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes

CPU = torch.device("cpu")
LEVELS = torch.tensor([[30, 95], [2, 60]], dtype=torch.int32)
QUALITIES: list[Quality] = [47, LEVELS]


@pytest.fixture(scope="module")
def intra(tiny_weights: Path) -> LearnedTransform:
    part = load_model(tiny_weights, device=CPU).intra
    assert isinstance(part, LearnedTransform)
    assert part.tilts
    # Of an untrained network the table is nearly empty: one with all that may be in it.
    tilt = (torch.arange(part.latents) * 7 % 41 - 20).int()
    return LearnedTransform(part.network, part.y_tables, part.z_tables, tilt=tilt)


def offsets(transform: LearnedTransform, tilt: int) -> torch.Tensor:
    """FORMAT.md §16, in other words: rounded, halves up."""
    table = transform._tilt
    assert table is not None
    return torch.tensor([(2 * tilt * g + FULL_TILT) // (2 * FULL_TILT) for g in table.tolist()])


def test_latents_have_the_steps_of_their_own_quality(intra: LearnedTransform) -> None:
    frame, own = moving_planes(1, 32, 32), offsets(intra, 6)
    assert own.min() < -10
    assert own.max() > 10
    gains = torch.exp(intra.network.log_gain(torch.arange(1, 101)))[:, :, 0, 0]  # [100, latents]
    with torch.inference_mode():
        plain, tilted = (part.analyse(frame, 47, None)[0][0] for part in (intra, intra.tilted(6)))
    of_own = gains[(46 + own).clamp(0, 99), torch.arange(intra.latents)]
    torch.testing.assert_close(tilted / of_own[:, None, None], plain / gains[46][:, None, None])


@pytest.mark.parametrize("quality", QUALITIES, ids=["one quality", "several"])
def test_no_tilt_is_as_before(intra: LearnedTransform, quality: Quality) -> None:
    frame = moving_planes(1, 32, 32)
    with torch.inference_mode():
        plain, tilted = (part.analyse(frame, quality, None)[0] for part in (intra, intra.tilted(0)))
    torch.testing.assert_close(plain, tilted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("quality", QUALITIES, ids=["one quality", "several"])
def test_compiled_and_torch_agree(intra: LearnedTransform, quality: Quality) -> None:
    network, frame = intra.tilted(8).network, moving_planes(1, 32, 32)
    band, found = Band(0, 2, 0, 2), []
    with torch.inference_mode():
        for work in (CompiledWork(network), TorchWork(network, torch.float32, CPU)):
            y = work.analyse(frame, quality, None, band)
            made = moving_planes(1, 32, 32)
            work.syntheses(y.round(), quality, None, band, [made])
            found.append((y, made.y, made.u))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("quality", QUALITIES, ids=["one quality", "several"])
def test_scales_follow_their_own_quality_alike_in_every_way_to_run(intra: LearnedTransform, quality: Quality) -> None:
    """The integers of the compiled prior and of torch's, and another scale where the offset is another."""
    tilted = intra.tilted(6)
    prior = tilted.network.prior
    frozen, before = prior.frozen, intra.network.prior.frozen
    assert frozen is not None
    assert before is not None
    rows = (torch.arange(100)[:, None] + offsets(intra, 6)[None]).clamp(0, 99)
    assert torch.equal(frozen["index_quality"], before["index_quality"].gather(0, rows))
    assert frozen["join_quality"] is before["join_quality"]
    z = torch.zeros(intra.hyper_shape(2, 2), dtype=torch.int32)
    run, y = tilted.run_prior(z, None, quality, (2, 2)), np.zeros((intra.latents, 2, 2), np.int32)
    levels = batched(quality, CPU)
    features = prior.begin(z[None].float(), None, levels, (2, 2))
    index, _ = prior.step(0, features, None, levels)
    expected = torch.where(prior.mask(0, 2, 2), index[0], 0.0)
    np.testing.assert_array_equal(run.step(0, y), expected.numpy().astype(np.uint8))


@pytest.mark.parametrize("quality", QUALITIES, ids=["one quality", "several"])
def test_what_an_error_counts_follows_too(intra: LearnedTransform, quality: Quality) -> None:
    """Bits for a squared error in samples are those of the channel's own quality; curvatures know nothing of it."""
    network, levels = intra.tilted(6).network, batched(quality, CPU)
    ratio = network.error_weights(levels) / network.curvatures(levels)
    own = (levels.reshape(1, 1, *LEVELS.shape) if levels.dim() > 1 else levels.view(1, 1, 1, 1)) + offsets(
        intra, 6
    ).view(1, -1, 1, 1)
    expected = lagrange_lambda(own.clamp(1, 100)) / lagrange_lambda(levels.reshape(1, 1, *ratio.shape[2:]))
    torch.testing.assert_close(ratio, expected.expand_as(ratio), rtol=1e-4, atol=0)


def test_a_tilted_transform_is_gone_with_its_last_user(intra: LearnedTransform) -> None:
    """Not only when Python looks for circles: whoever opens tuned files one after the other would hold many."""
    gc.collect()
    gc.disable()
    try:
        tilted = intra.tilted(5)
        with torch.inference_mode():  # every cache of it has something
            y = tilted.analyse(moving_planes(1, 32, 32), LEVELS, None)[0]
            tilted.synthesise(y.round(), LEVELS, None)
        parts = [weakref.ref(part) for part in (tilted, tilted.network, tilted._work, tilted._work._network)]
        del tilted
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()
