"""Scales, companding and straight-through rounding."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.quantise import (
    LIMIT,
    SCALE_COUNT,
    SCALE_LARGEST,
    SCALE_SMALLEST,
    compand,
    compand_smooth,
    compand_trained,
    floor_through,
    round_through,
    scales,
)


def test_scales_are_log_spaced_between_their_ends() -> None:
    grid = scales()
    assert grid.shape == (SCALE_COUNT,)
    assert grid[0].item() == pytest.approx(SCALE_SMALLEST)
    assert grid[-1].item() == pytest.approx(SCALE_LARGEST)
    ratios = grid[1:] / grid[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios))


def test_companding_is_the_rounded_logarithm_exactly() -> None:
    """Every input there is, against 16·log2(1 + k/16) in fifty decimal digits."""
    expected = []
    with localcontext() as context:
        context.prec = 50
        two = Decimal(2).ln()
        for k in range(4200):
            exact = 16 * (1 + Decimal(k) / 16).ln() / two
            expected.append(min(LIMIT, int(exact.quantize(Decimal(1), rounding="ROUND_HALF_EVEN"))))
    k = torch.arange(4200)
    want = torch.tensor(expected, dtype=torch.float32)
    assert torch.equal(compand(k), want)
    assert torch.equal(compand(-k), -want), "odd"
    assert torch.equal(compand(k.float()), want), "the same from integer-valued floats"


def test_companding_saturates() -> None:
    huge = torch.tensor([2**31 - 1, -(2**31) + 1, 1 << 20], dtype=torch.int32)
    assert compand(huge).tolist() == [127.0, -127.0, 127.0]


def test_trained_companding_has_the_integers_forward_and_the_curve_backward() -> None:
    y = (torch.arange(-4000, 4001) / 16).requires_grad_()
    companded = compand_trained(y)
    assert torch.allclose(companded, compand((y.detach() * 16).round()), atol=1e-4)
    (companded.sum()).backward()
    smooth = y.detach().clone().requires_grad_()
    compand_smooth(smooth).clamp(-LIMIT, LIMIT).sum().backward()
    torch.testing.assert_close(y.grad, smooth.grad)


@given(st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=20))
def test_straight_through(values: list[float]) -> None:
    """Forward: numpy's rounding. Backward: as if nothing had happened."""
    for function, reference in ((round_through, np.round), (floor_through, np.floor)):
        x = torch.tensor(values, requires_grad=True)
        result = function(x)
        expected = reference(np.array(values, dtype=np.float32))
        np.testing.assert_allclose(result.detach().numpy(), expected, rtol=0, atol=0.01)
        result.sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, torch.ones_like(x))
