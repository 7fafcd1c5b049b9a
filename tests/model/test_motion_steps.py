"""The search's own warp is the one that pictures are predicted by, bilinearly; steps go where the picture came from."""

from __future__ import annotations

import pytest
import torch

from stpcodec.latents.motion_field import Hierarchy
from stpcodec.model.motion_steps import gauss_newton, squared_error, warp_bilinear
from stpcodec.model.warp import dense_flow, warp
from tests.tiny_model import moving_planes


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (96, 208)])
@pytest.mark.parametrize("spread", [0.2, 1.5, 30.0])
def test_the_warp_is_that_of_prediction(height: int, width: int, spread: float) -> None:
    """Smooth, torn here and there, and torn everywhere; also far beyond the border."""
    random = torch.Generator().manual_seed(0)
    hierarchy = Hierarchy.of(height, width)
    field = spread * torch.randn(1, 2, hierarchy.rows, hierarchy.columns, generator=random)
    reference, frame = moving_planes(2, height, width, dy=1, dx=2).y
    expected = warp(reference[None, None], dense_flow(field, height, width), mode="bilinear")[0, 0]
    found = torch.from_numpy(warp_bilinear(reference.numpy(), field[0].numpy()))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    error = squared_error(frame.numpy(), reference.numpy(), field[0].numpy())
    assert error == pytest.approx(float((frame - found).square().sum()), rel=1e-4)


def test_steps_approach_the_motion() -> None:
    reference, frame = moving_planes(2, 96, 128, dy=0, dx=1).y
    hierarchy = Hierarchy.of(96, 128)
    field = torch.zeros(2, hierarchy.rows, hierarchy.columns).numpy()
    errors = [squared_error(frame.numpy(), reference.numpy(), field)]
    for _ in range(3):
        field, tensor = gauss_newton(frame.numpy(), reference.numpy(), field)
        errors.append(squared_error(frame.numpy(), reference.numpy(), field))
    assert errors[-1] < 0.1 * errors[0]
    assert (tensor[0] * tensor[1] >= tensor[2] ** 2 - 1e-6).all(), "a structure tensor is positive"
