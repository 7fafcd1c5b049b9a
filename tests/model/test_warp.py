"""Motion compensation: whole shifts are exact, fields are interpolated between control points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import Hierarchy
from stpcodec.model.planes import Planes
from stpcodec.model.warp import dense_flow, warp, warp_planes
from tests.tiny_model import moving_planes

NOISE = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
ROUNDING = 3e-4
"""Of grid_sample's normalised coordinates at these sizes, on noise."""


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@given(dy=st.integers(-6, 6), dx=st.integers(-6, 6))
def test_a_whole_shift_is_exact_inside(mode: str, dy: int, dx: int) -> None:
    flow = torch.tensor([dy, dx], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    warped = warp(NOISE, flow, mode=mode)
    assert warped.shape == NOISE.shape
    # Eight samples from the edge every tap of the kernel lies inside.
    inside = (slice(None), slice(None), slice(8, 40), slice(8, 56))
    shifted = NOISE.roll((-dy, -dx), (2, 3))
    torch.testing.assert_close(warped[inside], shifted[inside], atol=ROUNDING, rtol=0)


def test_beyond_the_edge_the_border_is_repeated() -> None:
    flow = torch.full((1, 2, 48, 64), 100.0)
    warped = warp(NOISE, flow)
    torch.testing.assert_close(warped, NOISE[..., -1:, -1:].expand_as(NOISE), atol=ROUNDING, rtol=0)


def test_half_a_sample_interpolates() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 48, 64) / 64
    flow = torch.zeros(1, 2, 48, 64)
    flow[:, 1] = 0.5
    torch.testing.assert_close(warp(ramp, flow)[..., 8:56], ramp[..., 8:56] + 0.5 / 64, atol=1e-5, rtol=0)


@given(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32), st.sampled_from([1, 2]))
def test_a_constant_field_is_a_constant_flow(dy: float, dx: float, step: int) -> None:
    field = torch.tensor([dy, dx]).view(1, 2, 1, 1).expand(1, 2, 4, 5)
    flow = dense_flow(field, 48, 64, step=step)
    assert flow.shape == (1, 2, 48 // step, 64 // step)
    torch.testing.assert_close(flow, field[..., :1, :1].expand_as(flow), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("step", [1, 2])
def test_flow_is_linear_between_control_points(step: int) -> None:
    """A field that is linear in the position gives each sample's centre its own position back."""
    y, x = torch.meshgrid(torch.arange(4.0) * 16, torch.arange(5.0) * 16, indexing="ij")
    flow = dense_flow(torch.stack((y, x))[None], 48, 64, step=step)
    centres_y = (torch.arange(48 // step) + 0.5) * step
    centres_x = (torch.arange(64 // step) + 0.5) * step
    torch.testing.assert_close(flow[0, 0], centres_y[:, None].expand(-1, 64 // step))
    torch.testing.assert_close(flow[0, 1], centres_x[None].expand(48 // step, -1))


def test_points_of_the_extended_grid_do_not_count() -> None:
    hierarchy = Hierarchy.of(48, 80)
    field = torch.zeros(1, 2, hierarchy.rows, hierarchy.columns)
    field[..., 4:, :] = 99.0
    field[..., :, 6:] = 99.0
    assert not dense_flow(field, 48, 80).any()


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (4, -2), (-6, 8)])
def test_planes_move_together(dy: int, dx: int) -> None:
    """Luma by whole samples, chroma by half as many; both against a picture that really moved."""
    frames = moving_planes(2, 64, 96, dy=dy, dx=dx)
    reference, target = frames[0:1], frames[1:2]
    # Content that moved by (dy, dx) is found where it came from.
    field = torch.tensor([-4 * dy, -4 * dx], dtype=torch.int32).view(1, 2, 1, 1).expand(3, 2, 5, 7)
    warped = warp_planes(reference, field)
    assert len(warped) == 3
    for name, margin in (("y", 16), ("u", 8), ("v", 8)):
        found, wanted = getattr(warped, name), getattr(target, name)
        inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
        torch.testing.assert_close(found[inside], wanted.expand_as(found)[inside], atol=1e-4, rtol=0)


def test_each_reference_has_its_own_fields() -> None:
    references = moving_planes(2, 32, 32, dx=7)
    field = torch.zeros(4, 2, 3, 3, dtype=torch.int32)
    warped = warp_planes(references, field)
    expected = Planes(*(plane.repeat_interleave(2, 0) for plane in (references.y, references.u, references.v)))
    for name in ("y", "u", "v"):
        torch.testing.assert_close(getattr(warped, name), getattr(expected, name), atol=1e-5, rtol=0)
