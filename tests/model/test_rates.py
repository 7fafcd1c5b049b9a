"""Quality to Lagrangian to quantiser step."""

from __future__ import annotations

import math

import pytest
import torch

from stpcodec.latents.gop import coding_order
from stpcodec.model.rates import (
    INTRA_BONUS,
    LAMBDA_LARGEST,
    LAMBDA_SMALLEST,
    depth_bonus,
    lagrange_lambda,
    quantiser_step,
)


def test_lambda_is_log_spaced_between_its_ends() -> None:
    weight = lagrange_lambda(torch.arange(1, 101))
    assert weight[0].item() == pytest.approx(LAMBDA_SMALLEST)
    assert weight[-1].item() == pytest.approx(LAMBDA_LARGEST)
    assert (weight[1:] > weight[:-1]).all()
    torch.testing.assert_close(weight[1:] / weight[:-1], (weight[1] / weight[0]).expand(99), rtol=1e-4, atol=0)


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_step_minimises_the_cost_it_says_it_does(quality: int) -> None:
    """λ·(0.7·255²)·Δ²/12 - log2 Δ, by a search over steps."""
    weight = float(lagrange_lambda(torch.tensor(quality)))
    steps = torch.logspace(-4, 1, 20_001, dtype=torch.float64)
    cost = weight * 255**2 * 0.7 * steps**2 / 12 - torch.log2(steps)
    best = float(steps[cost.argmin()])
    assert math.log(float(quantiser_step(torch.tensor(quality))) / best) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("frames", range(1, 9))
def test_what_others_are_predicted_from_is_coded_better(frames: int) -> None:
    """Every depth of every chunk has its bonus; the anchor's is the largest, the last depth's the smallest."""
    bonus = [depth_bonus(frames, depth) for depth in sorted({picture.depth for picture in coding_order(frames)})]
    assert bonus == sorted(bonus, reverse=True)
    assert -INTRA_BONUS <= bonus[-1] <= 0 <= bonus[0] <= INTRA_BONUS
