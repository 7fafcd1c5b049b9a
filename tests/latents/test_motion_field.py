"""The motion hierarchy: grids of odd sizes, integer interpolation, contexts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import (
    CONTEXTS,
    MAX_LEVELS,
    SPACING,
    Hierarchy,
    activity_after,
    context_of,
    magnitude,
    reconstruct,
    scale_base,
    spread,
    upsample,
    zero_levels,
)

sides = st.integers(1, 70).map(lambda cells: cells * SPACING)


@given(sides, sides)
def test_every_level_fits_the_one_above(height: int, width: int) -> None:
    hierarchy = Hierarchy.of(height, width)
    assert hierarchy.top < MAX_LEVELS
    assert hierarchy.shape(0) == (hierarchy.rows, hierarchy.columns)
    assert hierarchy.rows > height // SPACING, "control points up to the far edge"
    assert hierarchy.columns > width // SPACING
    for level in range(hierarchy.top):
        rows, columns = hierarchy.shape(level + 1)
        assert hierarchy.shape(level) == (2 * rows - 1, 2 * columns - 1)


@given(sides, sides)
def test_coded_points_partition_the_grid(height: int, width: int) -> None:
    """Each control point of the frame is coded on exactly one level; nothing without influence is coded."""
    hierarchy = Hierarchy.of(height, width)
    times = torch.zeros(hierarchy.rows, hierarchy.columns, dtype=torch.int32)
    for level in range(hierarchy.top + 1):
        coded = hierarchy.coded(level, height, width)
        assert coded.shape == hierarchy.shape(level)
        times[:: 1 << level, :: 1 << level] += coded.int()
    inside = times[: height // SPACING + 1, : width // SPACING + 1]
    assert (inside == 1).all()
    assert times.max() == 1, "and never twice outside either"


def test_a_point_that_is_not_coded_moves_nothing_inside() -> None:
    """Its whole influence lies beyond the frame, checked by moving each such point in turn."""
    height, width = 48, 80
    hierarchy = Hierarchy.of(height, width)
    for level in range(hierarchy.top + 1):
        outside = ~hierarchy.coded(level, height, width)
        if level < hierarchy.top:  # points that exist already on the coarser level are not new here
            outside[::2, ::2] = False
        for row, column in outside.nonzero().tolist():
            levels = zero_levels(hierarchy, 1)
            levels[level][0, :, row, column] = 64
            field = reconstruct(levels)[..., : height // SPACING + 1, : width // SPACING + 1]
            assert not field.any(), (level, row, column)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_upsample_is_rounded_bilinear_interpolation(rows: int, columns: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    parents = torch.randint(-500, 500, (2, 2, rows, columns), generator=random, dtype=torch.int32)
    children = upsample(parents)
    assert children.shape == (2, 2, 2 * rows - 1, 2 * columns - 1)
    assert children.dtype == torch.int32
    assert torch.equal(children[..., ::2, ::2], parents), "parents stay"
    for row in range(2 * rows - 1):
        for column in range(2 * columns - 1):
            around = parents[..., row // 2 : row // 2 + 1 + row % 2, column // 2 : column // 2 + 1 + column % 2]
            exact = around.double().mean((-2, -1))
            # One rounding an axis, each by at most a half upwards.
            assert ((children[..., row, column] - exact) >= 0).all()
            assert ((children[..., row, column] - exact) <= 1).all()


def test_halves_round_up_on_both_sides_of_zero() -> None:
    assert upsample(torch.tensor([[[[1, 2, -1, -2]]]])).tolist() == [[[[1, 2, 2, 1, -1, -1, -2]]]]


def test_a_constant_field_costs_one_level() -> None:
    hierarchy = Hierarchy.of(160, 96)
    levels = zero_levels(hierarchy, 1)
    levels[-1][:] = torch.tensor([5, -3]).view(1, 2, 1, 1)
    field = reconstruct(levels)
    assert field.shape == (1, 2, hierarchy.rows, hierarchy.columns)
    assert (field[:, 0] == 5).all()
    assert (field[:, 1] == -3).all()


@given(st.integers(1, 8), st.integers(-2000, 2000), st.integers(-2000, 2000))
def test_scaled_base_is_uniform_motion_rounded(frames: int, dy: int, dx: int) -> None:
    base = torch.tensor([dy, dx], dtype=torch.int32).view(2, 1, 1)
    scaled = scale_base(base, frames)
    assert scaled.shape == (frames - 1, 2, 1, 1)
    assert scaled.dtype == torch.int32
    for k in range(1, frames):
        for component, vector in enumerate((dy, dx)):
            rounded = (2 * vector * k + frames) // (2 * frames)  # Python's integers, halves up
            assert scaled[k - 1, component].item() == rounded
            assert abs(rounded - vector * k / frames) <= 0.5


def test_activity_spreads_to_the_nearest_children() -> None:
    activity = torch.tensor([[[0, 8], [0, 0]]])
    assert spread(activity).tolist() == [[[0, 8, 8], [0, 8, 8], [0, 0, 0]]]
    residual = torch.tensor([[[[3, 0]], [[-1, 0]]]])
    assert magnitude(residual).tolist() == [[[4, 0]]]
    assert activity_after(residual, torch.tensor([[[2, 9]]])).tolist() == [[[4, 4]]]


@pytest.mark.parametrize("base", [None, 0, 1, 5, 4000])
def test_contexts_stay_in_their_table(base: int | None) -> None:
    inherited = torch.tensor([[[0, 1, 2, 3, 8, 9, 1 << 21]]])
    given_base = None if base is None else torch.full_like(inherited, base)
    seen = set()
    for level in range(MAX_LEVELS):
        context = context_of(level, inherited, given_base)
        assert context.min() >= 0
        assert context.max() < CONTEXTS
        seen |= set(context.flatten().tolist())
    assert len(seen) == MAX_LEVELS * 4, "every level and activity class has a context of its own"
