"""The compiled prior against the prior as it was written: the same integers, whatever comes in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.model.prior import IntegerPrior
from stpcodec.model.prior_int8 import Int8Prior, eight_bit_products
from stpcodec.model.prior_run import CompiledPrior, CompiledRun, StepwiseRun
from stpcodec.model.quality import Quality
from stpcodec.model.transform import PriorRun
from tests.model.test_prior import frozen, make_prior

CPU = torch.device("cpu")


def coded(run: PriorRun, prior: IntegerPrior, size: tuple[int, int], loudness: int, seed: int) -> list[np.ndarray]:
    """What the steps say, with random symbols added between them, and y at the end."""
    random = np.random.default_rng(seed)
    y, found = np.zeros((prior.latents, *size), np.int32), []
    for number in range(prior.steps):
        index = run.step(number, y)
        found += [index.copy(), y.copy()]
        y[index > 0] += SIXTEENTHS * random.integers(-loudness, loudness + 1, int((index > 0).sum()), np.int32)
    return [*found, y]


@pytest.mark.parametrize("gain", [0.2, 1.0, 40.0], ids=["quiet", "usual", "saturated"])
@pytest.mark.parametrize(("steps", "previous"), [(2, True), (4, False), (4, True), (2, False)])
@given(
    height=st.integers(1, 9), width=st.integers(1, 9), quality=st.integers(1, 100), follows=st.booleans(),
    loudness=st.sampled_from([0, 1, 12, 300, 1 << 20]), seed=st.integers(0, 1000),
    kind=st.sampled_from(["one", "alike", "differ"]),
)  # fmt: skip
def test_compiled_and_stepwise_runs_agree(
    steps: int, previous: bool, gain: float, height: int, width: int, quality: int, follows: bool, loudness: int,
    seed: int, kind: str,
) -> None:  # fmt: skip
    prior, size = frozen(make_prior(steps=steps, previous=previous, seed=steps, gain=gain)), (height, width)
    random = torch.Generator().manual_seed(seed)
    z = torch.randint(-7, 8, (5, -(-height // 4), -(-width // 4)), generator=random, dtype=torch.int32)
    before = None
    if previous and follows:
        before = torch.randint(-loudness * 16 - 1, loudness * 16 + 2, (10, *size), generator=random, dtype=torch.int32)
    level: Quality = quality
    if kind == "differ":
        level = torch.randint(1, 101, size, generator=random, dtype=torch.int32)
    if kind == "alike":
        level = torch.full(size, quality, dtype=torch.int32)
    runs: list[PriorRun] = [
        StepwiseRun(prior, z, before, quality if kind == "alike" else level, size, CPU),
        CompiledRun(CompiledPrior(prior), z, before, level, size),
    ]
    if eight_bit_products():
        runs.append(CompiledRun(Int8Prior(prior), z, before, level, size))
    one, *others = (coded(run, prior, size, loudness, seed) for run in runs)
    for other in others:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_products_that_are_saturated_on_their_way_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors without VNNI: one factor without sign, two products in 16 bits."""

    def saturated(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        products = (x.int() + 128)[:, :, None] * weight.int()[None]
        pairs = (products[:, ::2] + products[:, 1::2]).clamp(-(1 << 15), (1 << 15) - 1)
        return (pairs.sum(1) - 128 * weight.int().sum(0)).int()

    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch, "_int_mm", saturated)
    assert not eight_bit_products.__wrapped__()


def test_no_eight_bit_products_without_their_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False, raising=False)
    assert not eight_bit_products.__wrapped__()
