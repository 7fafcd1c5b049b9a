"""What coding a cell takes: that of cosine transforms of the true difference, wherever the vectors point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import SPACING
from stpcodec.model.motion_cells import SENT_BITS, field_bits
from stpcodec.model.motion_phases import MARGIN, quarter_phases
from stpcodec.model.warp import dense_flow, warp
from tests.tiny_model import moving_planes

HEIGHT, WIDTH = 48, 80
WORTH = 30_000.0


def left_to_code(difference: Tensor, worth: float) -> Tensor:
    """Per coefficient of 4×4 cosine transforms, ``[H, W]``: left out, or sent with the logarithm of its size."""
    place, order = torch.arange(4) + 0.5, torch.arange(4)
    basis = torch.cos(torch.pi * order[:, None] * place / 4) * (0.5**0.5)
    basis[0] *= 0.5**0.5
    height, width = difference.shape
    blocks = difference.view(height // 4, 4, width // 4, 4).permute(0, 2, 1, 3)
    squared = worth * (basis @ blocks @ basis.T).square()
    bits = torch.where(squared < SENT_BITS, squared, SENT_BITS + torch.log2(squared / SENT_BITS))
    return bits.permute(0, 2, 1, 3).reshape(height, width)


def bits_of_cells(frame: Tensor, reference: Tensor, field: np.ndarray, worth: float = WORTH) -> np.ndarray:
    out = np.empty((HEIGHT // SPACING, WIDTH // SPACING), np.float32)
    field_bits(frame.numpy(), quarter_phases(reference.numpy()), field, np.float32(worth), 0, len(out), out)
    return out


def exact_bits(frame: Tensor, reference: Tensor, field: np.ndarray) -> np.ndarray:
    flow = dense_flow(torch.from_numpy(field)[None].float() / 4, HEIGHT, WIDTH)
    moved = warp(reference[None, None], flow)[0, 0]
    bits = left_to_code(moved - frame, WORTH).numpy()
    return bits.reshape(HEIGHT // SPACING, SPACING, WIDTH // SPACING, SPACING).sum((1, 3))


def planes() -> tuple[Tensor, Tensor]:
    frame, reference = (moving_planes(1, HEIGHT, WIDTH, seed=seed).y[0].contiguous() for seed in (1, 2))
    return frame, reference


@pytest.mark.parametrize("vector", [(0, 0), (4, -8), (-6, 3), (2047, -2047), (-180, 9), (400, 400)])
def test_one_vector_everywhere_is_what_the_decoder_does(vector: tuple[int, int]) -> None:
    frame, reference = planes()
    field = np.broadcast_to(np.array(vector, np.int32)[:, None, None], (2, HEIGHT // 8 + 1, WIDTH // 8 + 1)).copy()
    found, exact = bits_of_cells(frame, reference, field), exact_bits(frame, reference, field)
    # The logarithm is that of a float's bits, at most 0.09 too small.
    assert (found <= exact + 0.05).all()
    assert (found >= exact - 0.09 * SPACING**2).all()


@pytest.mark.parametrize("most", [6, 40, 3000])
def test_vectors_of_their_own_are_nearly_what_the_decoder_does(most: int) -> None:
    """Interpolated between quarters, and (torn) the nearest point's."""
    frame, reference = planes()
    shape = (2, HEIGHT // 8 + 1, WIDTH // 8 + 1)
    field = np.random.default_rng(most).integers(-most, most + 1, shape).clip(-2047, 2047).astype(np.int32)
    found, exact = bits_of_cells(frame, reference, field), exact_bits(frame, reference, field)
    assert abs(found.mean() / exact.mean() - 1) < 0.02
    assert np.abs(found - exact).mean() < 0.03 * exact.mean()


def test_nothing_left_takes_nothing() -> None:
    frame, _ = planes()
    still = np.zeros((2, HEIGHT // 8 + 1, WIDTH // 8 + 1), np.int32)
    assert not bits_of_cells(frame, frame, still).any()


def test_phases_are_the_reference_at_quarters() -> None:
    _, reference = planes()
    phases = quarter_phases(reference.numpy())
    assert phases.shape == (4, 4, HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    for down in range(4):
        for across in range(4):
            flow = torch.tensor([down / 4, across / 4]).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
            moved = warp(reference[None, None], flow)[0, 0].numpy()
            inner = phases[down, across, MARGIN : MARGIN + HEIGHT, MARGIN : MARGIN + WIDTH]
            assert np.allclose(inner, moved, atol=1e-5)
    assert np.allclose(phases[:, :, :4, :4], float(reference[0, 0]), atol=1e-5)
