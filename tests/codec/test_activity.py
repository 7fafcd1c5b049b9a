"""What errors count where the eye judges by structure."""

from __future__ import annotations

import pytest
import torch

from stpcodec.codec.activity import activity_weights


def half_busy(noise: float) -> torch.Tensor:
    """Grey on the left, noise on the right."""
    luma = torch.full((64, 128), 0.5)
    luma[:, 64:] += noise * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    return luma.clamp(0, 1)


def test_the_geometric_mean_is_one() -> None:
    weights = activity_weights(half_busy(0.2))
    assert weights.shape == (4, 8)
    assert float(weights.log().mean()) == pytest.approx(0, abs=1e-5)


def test_errors_count_more_where_less_is() -> None:
    ratios = []
    for noise in (0.02, 0.05, 0.1, 0.2):
        weights = activity_weights(half_busy(noise))
        ratios.append(float(weights[:, :3].mean() / weights[:, 5:].mean()))
    assert ratios[0] > 1.1
    assert ratios == sorted(ratios)
    assert torch.allclose(activity_weights(half_busy(0)), torch.ones(4, 8))


def test_strength_is_an_exponent() -> None:
    weights = {strength: activity_weights(half_busy(0.1), strength) for strength in (0.3, 0.6)}
    torch.testing.assert_close(weights[0.3].square(), weights[0.6])


def test_brightness_does_not_count() -> None:
    luma = half_busy(0.05)
    torch.testing.assert_close(activity_weights(luma - 0.2), activity_weights(luma), rtol=1e-3, atol=1e-3)
