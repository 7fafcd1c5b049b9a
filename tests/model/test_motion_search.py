"""Motion search: finds what moved, says nothing where nothing did."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import Hierarchy, reconstruct, scale_base
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.planes import Planes
from stpcodec.model.warp import warp_planes
from tests.tiny_model import moving_planes

BITS = initial_tables().bits()
LAGRANGIAN = 30 / 255**2


def find(frames: Tensor, reference: Tensor) -> Tensor:
    """All fields ``[T, 2, rows, columns]`` in quarter samples."""
    base, middle = search(frames, reference, cost_bits=BITS, lagrangian=LAGRANGIAN)
    last = reconstruct(base)
    if len(frames) == 1:
        return last
    return torch.cat((scale_base(last[0], len(frames)) + reconstruct(middle), last))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (96, 96), (16, 160)])
@pytest.mark.parametrize("count", [1, 4])
def test_identical_frames_do_not_move(height: int, width: int, count: int) -> None:
    still = moving_planes(1, height, width).y
    base, middle = search(still.expand(count, -1, -1), still[0], cost_bits=BITS, lagrangian=LAGRANGIAN)
    assert not any(level.any() for level in base + middle)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_flat_frames_do_not_move(value: float) -> None:
    flat = torch.full((4, 48, 64), value)
    base, middle = search(flat, flat[0] + 0.1, cost_bits=BITS, lagrangian=LAGRANGIAN)
    assert not any(level.any() for level in base + middle)


@pytest.mark.parametrize(("dy", "dx"), [(0, 2), (3, 0), (-2, 5), (6, -4)])
def test_a_global_translation_is_found(dy: int, dx: int) -> None:
    frames = moving_planes(5, 128, 160, dy=dy, dx=dx, seed=1)
    field = find(frames.y[1:], frames.y[0])
    assert field.shape[:2] == (4, 2)
    for t in range(4):
        wanted = torch.tensor([-4 * dy, -4 * dx]).view(2, 1, 1) * (t + 1)
        # Inside, where what is seen was in the reference too.
        error = (field[t, :, 2:7, 2:9] - wanted).abs().float()
        assert error.median() <= 1, f"frame {t}: a quarter sample at most"
    inside = (slice(None), slice(32, -32), slice(32, -32))
    errors = [
        (predicted[inside] - frames.y[1:][inside]).square().mean()
        for predicted in (warp_planes(frames[0:1], field).y, frames.y[:1].expand(4, -1, -1))
    ]
    assert errors[0] < errors[1] / 40, "16 dB better than not moving"


def test_shapes_and_types() -> None:
    frames = moving_planes(4, 48, 80, dx=1).y
    base, middle = search(frames[1:], frames[0], cost_bits=BITS, lagrangian=LAGRANGIAN)
    hierarchy = Hierarchy.of(48, 80)
    assert len(base) == len(middle) == hierarchy.top + 1
    for level, (last, before) in enumerate(zip(base, middle, strict=True)):
        assert last.shape == (1, 2, *hierarchy.shape(level))
        assert before.shape == (2, 2, *hierarchy.shape(level))
        assert last.dtype == before.dtype == torch.int32
        outside = ~hierarchy.coded(level, 48, 80)
        assert not last[..., outside].any(), "points that are not coded stay zero"
        assert not before[..., outside].any()


def test_dear_motion_is_not_sent() -> None:
    """At an absurd price of a bit nothing moves; at a low one it does."""
    frames = moving_planes(5, 64, 96, dx=3)
    dear = search(frames.y[1:], frames.y[0], cost_bits=BITS, lagrangian=1e4)
    assert not any(level.any() for level in dear[0] + dear[1])
    assert find(frames.y[1:], frames.y[0]).any()


def test_motion_never_makes_the_prediction_worse() -> None:
    """Noise against noise: whatever is sent must pay for itself."""
    random = torch.Generator().manual_seed(0)
    frames = torch.rand(5, 64, 64, generator=random)
    field = find(frames[1:], frames[0])
    grey = torch.full((1, 32, 32), 0.5)
    warped = warp_planes(Planes(frames[:1], grey, grey), field).y
    for t in range(4):
        # Bicubic here, bilinear in the search: allow for the difference.
        assert (warped[t] - frames[t + 1]).square().mean() <= (frames[0] - frames[t + 1]).square().mean() * 1.05
