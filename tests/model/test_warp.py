"""Motion compensation: whole shifts are exact, fields are interpolated between control points, or torn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE, Hierarchy
from stpcodec.latents.motion_kernels import TEAR
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
    field = torch.tensor([dy, dx]).view(1, 2, 1, 1).expand(1, 2, 48 // SPACING + 1, 64 // SPACING + 1)
    flow = dense_flow(field, 48, 64, step=step)
    assert flow.shape == (1, 2, 48 // step, 64 // step)
    torch.testing.assert_close(flow, field[..., :1, :1].expand_as(flow), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("step", [1, 2])
def test_flow_is_linear_between_control_points(step: int) -> None:
    """A field that is linear in the position is linear at the samples' centres, at the steepest that does not tear."""
    steepest = TEAR / UNITS_PER_SAMPLE
    y, x = torch.meshgrid(torch.arange(48 / SPACING + 1), torch.arange(64 / SPACING + 1), indexing="ij")
    flow = dense_flow(torch.stack((y, x))[None] * steepest, 48, 64, step=step)
    centres_y = (torch.arange(48 // step) + 0.5) * step * (steepest / SPACING)
    centres_x = (torch.arange(64 // step) + 0.5) * step * (steepest / SPACING)
    torch.testing.assert_close(flow[0, 0], centres_y[:, None].expand(-1, 64 // step))
    torch.testing.assert_close(flow[0, 1], centres_x[None].expand(48 // step, -1))


def flow_at(field: torch.Tensor, y: float, x: float) -> list[float]:
    """A field ``[2, rows, columns]`` at luma position (y, x): the cell around it, one sample at a time."""
    row, column = int(y // SPACING), int(x // SPACING)
    down, right = y / SPACING - row, x / SPACING - column
    corners = field[:, row : row + 2, column : column + 2].double()
    if float((corners.amax((1, 2)) - corners.amin((1, 2))).max()) > TEAR / UNITS_PER_SAMPLE:
        return corners[:, round(down), round(right)].tolist()
    weights = torch.tensor([[(1 - down) * (1 - right), (1 - down) * right], [down * (1 - right), down * right]])
    return (corners * weights).sum((1, 2)).tolist()


@pytest.mark.parametrize("step", [1, 2])
@given(spread=st.sampled_from([1, 4, 5, 100]), seed=st.integers(0, 10_000))
def test_cells_whose_corners_differ_take_the_nearest_corner(step: int, spread: int, seed: int) -> None:
    """Whole quarter samples, on both sides of the threshold."""
    random = torch.Generator().manual_seed(seed)
    field = torch.randint(-spread, spread + 1, (3, 2, 16 // SPACING + 1, 32 // SPACING + 1), generator=random)
    field = field / UNITS_PER_SAMPLE
    flow = dense_flow(field, 16, 32, step=step)
    for number in range(3):
        wanted = torch.tensor(
            [[flow_at(field[number], (y + 0.5) * step, (x + 0.5) * step) for x in range(32 // step)]
             for y in range(16 // step)]
        ).permute(2, 0, 1)  # fmt: skip
        torch.testing.assert_close(flow[number], wanted, atol=1e-5, rtol=0)


@given(st.integers(0, 10_000))
def test_mixed_precision_around_it_does_not_round_the_flow(seed: int) -> None:
    """As training does: a vector of 70 samples in bfloat16 would be off by a quarter."""
    random = torch.Generator().manual_seed(seed)
    far = torch.randint(-280, 281, (1, 2, 1, 1), generator=random) / UNITS_PER_SAMPLE
    near = torch.randint(0, TEAR + 1, (1, 2, 48 // SPACING + 1, 64 // SPACING + 1), generator=random)
    field = far + near / UNITS_PER_SAMPLE
    wanted = dense_flow(field, 48, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = dense_flow(field, 48, 64)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


@pytest.mark.parametrize(("difference", "torn"), [(TEAR, False), (TEAR + 1, True), (-TEAR, False), (-TEAR - 1, True)])
@pytest.mark.parametrize("component", [0, 1])
def test_a_field_tears_just_beyond_its_threshold(difference: int, torn: bool, component: int) -> None:
    """One edge down the frame: on its own cells the flow jumps in the middle, and both components do so together."""
    field = torch.zeros(1, 2, 16 // SPACING + 1, 32 // SPACING + 1)
    field[:, component, :, 2:] = difference / UNITS_PER_SAMPLE
    field[:, 1 - component, :, 2:] = 0.25
    flow = dense_flow(field, 16, 32)[0]
    edge = flow[:, 0, SPACING : 2 * SPACING]
    for values, far in ((edge[component], difference / UNITS_PER_SAMPLE), (edge[1 - component], 0.25)):
        if torn:
            wanted = torch.tensor([0.0] * (SPACING // 2) + [far] * (SPACING // 2))
        else:
            wanted = (torch.arange(SPACING) + 0.5) * (far / SPACING)
        torch.testing.assert_close(values, wanted)
    assert not flow[..., :SPACING].any()
    assert (flow[..., 2 * SPACING :] == field[..., :1, -1:][0]).all()


def test_what_tears_in_one_frame_leaves_the_others_smooth() -> None:
    fields = torch.zeros(2, 2, 16 // SPACING + 1, 32 // SPACING + 1)
    fields[0, 1, :, 2:] = 30.0
    fields[1, 1, :, 2:] = 1.0
    together = dense_flow(fields, 16, 32)
    for number in range(2):
        assert torch.equal(together[number], dense_flow(fields[number : number + 1], 16, 32)[0])
    assert together[1].unique().numel() > 3


def test_two_motions_meet_without_a_blur_between_them() -> None:
    """What tears are for: a picture whose right half moved away is predicted without samples from nowhere."""
    picture = torch.zeros(1, 48, 64)
    picture[..., 32:] = torch.rand(1, 48, 32, generator=torch.Generator().manual_seed(0))
    reference = Planes(picture, torch.zeros(1, 24, 32), torch.zeros(1, 24, 32))
    field = torch.zeros(1, 2, 48 // SPACING + 1, 64 // SPACING + 1, dtype=torch.int32)
    field[:, 1, :, 5:] = -16 * UNITS_PER_SAMPLE  # from column 36 on: what lay 16 samples to the left
    predicted = warp_planes(reference, field).y
    torch.testing.assert_close(predicted[..., :36], picture[..., :36], atol=ROUNDING, rtol=0)
    torch.testing.assert_close(predicted[..., 36:], picture[..., 20:48], atol=ROUNDING, rtol=0)


def test_points_of_the_extended_grid_do_not_count() -> None:
    hierarchy = Hierarchy.of(48, 80)
    rows, columns = 48 // SPACING + 1, 80 // SPACING + 1
    assert hierarchy.rows > rows
    assert hierarchy.columns > columns
    for far in (1.0, 99.0):
        field = torch.zeros(1, 2, hierarchy.rows, hierarchy.columns)
        field[..., rows:, :] = far
        field[..., :, columns:] = far
        assert not dense_flow(field, 48, 80).any()


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (4, -2), (-6, 8)])
def test_planes_move_together(dy: int, dx: int) -> None:
    """Luma by whole samples, chroma by half as many; both against a picture that really moved."""
    frames = moving_planes(2, 64, 96, dy=dy, dx=dx)
    reference, target = frames[0:1], frames[1:2]
    # Content that moved by (dy, dx) is found where it came from.
    field = torch.tensor([-4 * dy, -4 * dx], dtype=torch.int32).view(1, 2, 1, 1).expand(1, 2, 9, 13)
    warped = warp_planes(reference, field)
    assert len(warped) == 1
    for name, margin in (("y", 16), ("u", 8), ("v", 8)):
        found, wanted = getattr(warped, name), getattr(target, name)
        inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
        torch.testing.assert_close(found[inside], wanted.expand_as(found)[inside], atol=1e-4, rtol=0)


def test_each_reference_has_its_own_field() -> None:
    references = moving_planes(2, 32, 32, dx=7)
    field = torch.zeros(2, 2, 5, 5, dtype=torch.int32)
    field[1, 1] = 16
    warped = warp_planes(references, field)
    for name, shift in (("y", 4), ("u", 2), ("v", 2)):
        found, given = getattr(warped, name), getattr(references, name)
        torch.testing.assert_close(found[0], given[0], atol=1e-5, rtol=0)
        inside = (slice(None), slice(4, -4 - shift))
        torch.testing.assert_close(found[1][inside], given[1].roll(-shift, 1)[inside], atol=1e-4, rtol=0)


@given(st.sampled_from([TEAR, 60]), st.integers(0, 10_000))
def test_chroma_follows_the_vectors_at_its_own_centres(largest: int, seed: int) -> None:
    """Also in torn cells: no chroma sample lies across the edge between two vectors."""
    random = torch.Generator().manual_seed(seed)
    field = torch.randint(0, largest + 1, (1, 2, 5, 7), generator=random).int()
    chroma = torch.rand(2, 1, 16, 24, generator=random)
    warped = warp_planes(Planes(torch.rand(1, 32, 48, generator=random), chroma[0], chroma[1]), field)
    flow = dense_flow(field / UNITS_PER_SAMPLE, 32, 48, step=2) / 2
    for found, plane in ((warped.u, chroma[0]), (warped.v, chroma[1])):
        torch.testing.assert_close(found, warp(plane[None], flow)[0], atol=ROUNDING, rtol=0)
