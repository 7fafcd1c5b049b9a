"""Block matching: finds where whole windows came from, near and far, and never moves what stands still."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import SPACING
from stpcodec.model.motion_match import FINE_WINDOW, MATCH_REACH, REACH, Matcher, match
from tests.tiny_model import moving_planes

SMALL = (192, 256)
LARGE = (96, 1040)
"""Beyond 1024 samples the exhaustive match is at half the scale and reaches twice as far."""


def fine_texture(count: int, height: int, width: int, dy: int, dx: int) -> Tensor:
    """Noise a few samples wide on slower shades, moving by (dy, dx) a frame: ``[count, H, W]``."""
    random = torch.Generator().manual_seed(3)
    reach = count * max(abs(dy), abs(dx), 1)
    rows, columns = height + 2 * reach, width + 2 * reach
    noise = torch.nn.functional.avg_pool2d(torch.rand(1, 1, rows, columns, generator=random), 5, 1, 2)
    shades = torch.nn.functional.interpolate(
        torch.rand(1, 1, rows // 16, columns // 16, generator=random), size=(rows, columns), mode="bicubic"
    )
    texture = (1.2 * noise + 0.6 * shades - 0.4)[0, 0].clamp(0, 1)
    return torch.stack([
        texture[reach - t * dy : reach - t * dy + height, reach - t * dx : reach - t * dx + width]
        for t in range(count)
    ])  # fmt: skip


def coarse_texture(count: int, height: int, width: int, dy: int, dx: int) -> Tensor:
    return moving_planes(count, height, width, dy=dy, dx=dx).y


textures = pytest.mark.parametrize("texture", [fine_texture, coarse_texture])


def share_found(vectors: Tensor, dy: int, dx: int) -> float:
    """Of the control points whose window was in the reference: how many have exactly its displacement."""
    down, right = (abs(d) // SPACING + 2 for d in (dy, dx))
    inside = vectors[:, down:-down, right:-right]
    assert inside[0].numel() > 20, "else this test looks at nothing"
    return float((inside == torch.tensor([-dy, -dx]).view(2, 1, 1)).all(0).float().mean())


@textures
@pytest.mark.parametrize(
    ("size", "dy", "dx"),
    [
        (SMALL, 1, 0), (SMALL, 0, -3), (SMALL, 5, 7), (SMALL, -11, 14), (SMALL, 0, 32), (SMALL, -32, 16),
        (LARGE, 1, -2), (LARGE, 0, 33), (LARGE, 0, -60), (LARGE, 16, 60),
    ],
    ids=str,
)  # fmt: skip
def test_a_whole_displacement_is_found_exactly(texture, size: tuple[int, int], dy: int, dx: int) -> None:  # type: ignore[no-untyped-def]
    reference, frame = texture(2, *size, dy, dx)
    vectors = match(frame, reference, [])
    assert vectors.shape == (2, size[0] // SPACING + 1, size[1] // SPACING + 1)
    assert share_found(vectors, dy, dx) > 0.95


@textures
@pytest.mark.parametrize(("dy", "dx"), [(0, 60), (-52, 61), (40, -40)])
def test_a_hint_reaches_further(texture, dy: int, dx: int) -> None:  # type: ignore[no-untyped-def]
    """What moved fast a frame ago is found beyond the reach of the exhaustive match, also where the hint is old."""
    assert max(abs(dy), abs(dx)) > 4 * MATCH_REACH
    reference, frame = texture(2, *SMALL, dy, dx)
    shape = (2, SMALL[0] // SPACING + 1, SMALL[1] // SPACING + 1)
    hint = torch.tensor([-dy + 3.0, -dx - 2.0]).view(2, 1, 1).expand(shape)
    assert share_found(match(frame, reference, [hint]), dy, dx) > 0.95
    assert share_found(match(frame, reference, [torch.zeros(shape), hint]), dy, dx) > 0.95, "one of several"


@textures
def test_a_wrong_hint_does_no_harm(texture) -> None:  # type: ignore[no-untyped-def]
    reference, frame = texture(2, *SMALL, 3, -5)
    random = torch.Generator().manual_seed(0)
    hint = torch.randint(-200, 201, (2, SMALL[0] // SPACING + 1, SMALL[1] // SPACING + 1), generator=random).float()
    assert share_found(match(frame, reference, [hint]), 3, -5) > 0.95


@textures
@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 176), (48, 80), (96, 1040)])
def test_what_stands_still_does_not_move(texture, height: int, width: int) -> None:  # type: ignore[no-untyped-def]
    still = texture(1, height, width, 0, 0)[0]
    random = torch.Generator().manual_seed(0)
    hint = torch.randint(-9, 10, (2, height // SPACING + 1, width // SPACING + 1), generator=random).float()
    for starts in ([], [hint]):
        vectors = match(still, still, starts)
        assert vectors.shape == (2, height // SPACING + 1, width // SPACING + 1)
        assert not vectors.any()


@pytest.mark.parametrize("change", [0.0, 0.25])
def test_flat_pictures_do_not_move(change: float) -> None:
    """Every vector fits alike: the smallest wins, also when all of it became brighter."""
    flat = torch.full((64, 96), 0.5)
    assert not match(flat + change, flat, []).any()


def test_two_things_move_apart() -> None:
    """A square goes one way over a background that goes the other: no point but at its rim is in between."""
    background = fine_texture(2, *SMALL, 0, 4)
    thing = fine_texture(2, *SMALL, 0, 0)[0].flip(0, 1)
    reference, frame = background.clone()
    reference[64:128, 96:160] = thing[64:128, 96:160]
    frame[64:128, 88:152] = thing[64:128, 96:160]  # eight samples to the left
    vectors = match(frame, reference, [])
    square = vectors[:, 9:16, 12:18]
    assert (square == torch.tensor([0, 8]).view(2, 1, 1)).all(0).float().mean() > 0.9
    left = vectors[:, 2:-2, 2:8]
    assert (left == torch.tensor([0, -4]).view(2, 1, 1)).all(0).float().mean() > 0.9


def test_errors_are_those_of_the_windows() -> None:
    """Every second row of a window, compared sample by sample; beyond the edge the border is repeated."""
    random = torch.Generator().manual_seed(0)
    frame, reference = torch.rand(2, 32, 48, generator=random)
    matcher = Matcher(frame, reference, spacing=SPACING, window=FINE_WINDOW)
    assert (matcher.rows, matcher.columns, matcher.reach) == (32 // SPACING + 1, 48 // SPACING + 1, REACH)
    vectors = torch.randint(-REACH, REACH + 1, (2, matcher.rows, matcher.columns), generator=random, dtype=torch.int32)
    vectors[:, 0, 0], vectors[:, -1, -1] = -REACH, REACH
    found = matcher.error(vectors.numpy())
    inside = [(y, x) for y in range(0, FINE_WINDOW, 2) for x in range(FINE_WINDOW)]
    steps = torch.tensor(inside).T - FINE_WINDOW // 2
    for row in range(matcher.rows):
        for column in range(matcher.columns):
            y, x = row * SPACING + steps[0], column * SPACING + steps[1]
            dy, dx = vectors[:, row, column].tolist()
            own = frame[y.clamp(0, 31), x.clamp(0, 47)]
            other = reference[(y + dy).clamp(0, 31), (x + dx).clamp(0, 47)]
            assert found[row, column].item() == pytest.approx((own - other).abs().mean().item(), abs=1e-5)
