"""The slope of MS-SSIM that an encoder follows, against the package that measures it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.model.structure import structural_slope
from tests.tiny_model import moving_planes


def pictures(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(luma with noise, luma)."""
    wanted = moving_planes(1, height, width).y[0].float()
    noise = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    return (wanted + 0.03 * noise).clamp(0, 1), wanted


@pytest.mark.parametrize(("height", "width"), [(176, 208), (192, 400), (16, 16), (16, 320)])
def test_the_slope_is_that_of_the_package(height: int, width: int) -> None:
    """Of five scales, or, where there is room for one alone, of SSIM."""
    package = pytest.importorskip("pytorch_msssim")
    made, wanted = pictures(height, width)
    sample = made.clone().requires_grad_(True)
    measure = package.ms_ssim if height > 160 else package.ssim
    similar = measure(sample[None, None], wanted[None, None], data_range=1)
    expected = torch.autograd.grad(1 - similar, sample)[0]
    tolerance = 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(structural_slope(made, wanted), expected, rtol=1e-3, atol=tolerance)


@pytest.mark.parametrize("side", [16, 32, 64, 96])
def test_against_it_a_small_picture_becomes_more_alike(side: int) -> None:
    package = pytest.importorskip("pytorch_msssim")
    made, wanted = pictures(side, side)
    slope = structural_slope(made, wanted)
    better = (made - 0.01 * slope / slope.abs().max()).clamp(0, 1)
    before, after = (float(package.ssim(part[None, None], wanted[None, None], data_range=1)) for part in (made, better))
    assert after > before


def test_equal_pictures_have_none() -> None:
    wanted = pictures(64, 64)[1]
    assert float(structural_slope(wanted, wanted).abs().max()) < 1e-6


def test_it_does_not_depend_on_threads() -> None:
    """Otherwise the bytes of a file would."""
    made, wanted = pictures(240, 320)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(structural_slope(made, wanted))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
