"""Motion search: finds what moved, says nothing where nothing did."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import ANCHOR, SPACING, Hierarchy, reconstruct
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.planes import Planes
from stpcodec.model.warp import warp_planes
from tests.tiny_model import moving_planes

BITS = initial_tables().bits(ANCHOR)
LAGRANGIAN = 30 / 255**2


def find(frame: Tensor, reference: Tensor, before: Tensor | None = None) -> Tensor:
    """The field ``[2, rows, columns]`` in quarter samples of a frame whose anchor before had the field `before`."""
    hints = () if before is None else (before,)
    return reconstruct(search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, like=before, hints=hints))[0]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (96, 96), (16, 160)])
@pytest.mark.parametrize("thorough", [True, False])
def test_identical_frames_do_not_move(height: int, width: int, thorough: bool) -> None:
    still = moving_planes(1, height, width).y[0]
    levels = search(still, still, cost_bits=BITS, lagrangian=LAGRANGIAN, thorough=thorough)
    assert not any(level.any() for level in levels)


@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("thorough", [True, False])
def test_flat_frames_do_not_move(value: float, thorough: bool) -> None:
    flat = torch.full((48, 64), value)
    levels = search(flat, flat + 0.1, cost_bits=BITS, lagrangian=LAGRANGIAN, thorough=thorough)
    assert not any(level.any() for level in levels)


@pytest.mark.parametrize(("dy", "dx"), [(0, 2), (3, 0), (-2, 5), (6, -4)])
@pytest.mark.parametrize("distance", [1, 4])
def test_a_global_translation_is_found(dy: int, dx: int, distance: int) -> None:
    """Near and as far as an anchor is from its reference."""
    frames = moving_planes(5, 128, 160, dy=dy, dx=dx, seed=1)
    field = find(frames.y[distance], frames.y[0])
    wanted = torch.tensor([-4 * dy, -4 * dx]).view(2, 1, 1) * distance
    # Inside, where what is seen was in the reference too.
    rows, columns = (slice(32 // SPACING, (length - 32) // SPACING + 1) for length in (128, 160))
    error = (field[:, rows, columns] - wanted).abs().float()
    assert error.median() <= 1, "a quarter sample at most"
    inside = (slice(None), slice(32, -32), slice(32, -32))
    errors = [
        (predicted[inside] - frames.y[distance : distance + 1][inside]).square().mean()
        for predicted in (warp_planes(frames[0:1], field[None]).y, frames.y[:1])
    ]
    assert errors[0] < errors[1] / 40, "16 dB better than not moving"


@pytest.mark.parametrize("thorough", [True, False])
def test_motion_that_was_predicted_is_not_sent(thorough: bool) -> None:
    """Residuals are what is missing from the prediction: nothing, or by how much it is off."""
    frames = moving_planes(2, 128, 160, dy=3, dx=-5, seed=1).y
    hierarchy = Hierarchy.of(128, 160)
    right = torch.tensor([-12, 20], dtype=torch.int32).view(2, 1, 1).expand(2, hierarchy.rows, hierarchy.columns)
    inner = (0, slice(None), slice(3, 14), slice(3, 18))
    for off in (0, 8):
        levels = search(
            frames[1], frames[0], cost_bits=BITS, lagrangian=LAGRANGIAN, predicted=right + off, like=right,
            thorough=thorough,
        )  # fmt: skip
        found = reconstruct(levels)[inner]
        assert ((found + off).abs() <= 1).float().mean() > 0.95
        if not off:
            assert not found.any(), "at the rim what came in from outside may follow something else"


def test_a_moving_thing_leaves_its_surroundings_where_they_are() -> None:
    """A square jumps over a still background: its rim is torn within a cell, not smeared over several."""
    background = moving_planes(1, 128, 160, seed=1).y[0]
    thing = torch.rand(48, 48, generator=torch.Generator().manual_seed(0))
    thing = torch.nn.functional.avg_pool2d(thing[None], 5, 1, 2, count_include_pad=False)[0]
    reference, frame = background.clone(), background.clone()
    reference[40:88, 40:88] = thing
    frame[40:88, 60:108] = thing
    field = find(frame, reference)
    inner = field[:, 48 // SPACING : 80 // SPACING + 1, 80 // SPACING : 96 // SPACING + 1]
    assert ((inner - torch.tensor([0, -80]).view(2, 1, 1)).abs() <= 1).all()
    outside = torch.ones_like(field[0], dtype=torch.bool)
    outside[24 // SPACING : 104 // SPACING + 1, 24 // SPACING : 124 // SPACING + 1] = False
    assert not field[:, outside].any()
    warped = warp_planes(Planes(reference[None], *torch.zeros(2, 1, 64, 80)), field[None]).y[0]
    errors = [(picture - frame)[44:84, 84:104].square().mean() for picture in (warped, reference)]
    assert errors[0] < errors[1] / 300


@pytest.mark.parametrize(("dy", "dx"), [(0, 56), (-44, 52)])
def test_motion_too_fast_to_find_is_followed_from_the_frame_before(dy: int, dx: int) -> None:
    frames = moving_planes(2, 192, 256, dy=dy, dx=dx, seed=1).y
    wanted = torch.tensor([-4 * dy, -4 * dx], dtype=torch.int32).view(2, 1, 1)
    hierarchy = Hierarchy.of(192, 256)
    before = (wanted + torch.tensor([9, -6], dtype=torch.int32).view(2, 1, 1)).expand(
        2, hierarchy.rows, hierarchy.columns
    )
    found = find(frames[1], frames[0], before)[:, 8:17, 8:25]
    assert ((found - wanted).abs().amax(0) <= 1).float().mean() > 0.9


def test_the_field_before_is_not_needed_to_be_right() -> None:
    """A hint from a cut or a turn, and none at all, find the same motion."""
    frames = moving_planes(2, 128, 160, dy=3, dx=-5, seed=1).y
    hierarchy = Hierarchy.of(128, 160)
    random = torch.Generator().manual_seed(0)
    wrong = torch.randint(-200, 201, (2, hierarchy.rows, hierarchy.columns), generator=random, dtype=torch.int32)
    for before in (None, wrong):
        found = find(frames[1], frames[0], before)[:, 3:14, 3:18]
        assert ((found - torch.tensor([-12, 20]).view(2, 1, 1)).abs() <= 1).float().mean() > 0.95


@pytest.mark.parametrize("thorough", [True, False])
def test_shapes_and_types(thorough: bool) -> None:
    frames = moving_planes(4, 48, 80, dx=1).y
    levels = search(frames[3], frames[0], cost_bits=BITS, lagrangian=LAGRANGIAN, thorough=thorough)
    hierarchy = Hierarchy.of(48, 80)
    assert len(levels) == hierarchy.top + 1
    for number, level in enumerate(levels):
        assert level.shape == (1, 2, *hierarchy.shape(number))
        assert level.dtype == torch.int32
        outside = ~hierarchy.coded(number, 48, 80)
        assert not level[..., outside].any(), "points that are not coded stay zero"


def test_dear_motion_is_not_sent() -> None:
    """At an absurd price of a bit nothing moves; at a low one it does."""
    frames = moving_planes(5, 64, 96, dx=3).y
    for thorough in (True, False):
        dear = search(frames[1], frames[0], cost_bits=BITS, lagrangian=1e4, thorough=thorough)
        assert not any(level.any() for level in dear)
    assert find(frames[1], frames[0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_motion_never_makes_the_prediction_worse(seed: int) -> None:
    """Noise against noise: whatever is sent must pay for itself."""
    random = torch.Generator().manual_seed(seed)
    reference, frame = torch.rand(2, 64, 64, generator=random)
    field = find(frame, reference)
    grey = torch.full((1, 32, 32), 0.5)
    warped = warp_planes(Planes(reference[None], grey, grey), field[None]).y[0]
    # Bicubic here, bilinear in the search: allow for the difference.
    assert (warped - frame).square().mean() <= (reference - frame).square().mean() * 1.05
