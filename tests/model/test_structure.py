"""The slope of MS-SSIM that an encoder follows, against the package that measures it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.model.structure import SCALE_WEIGHTS, structural_slope
from tests.tiny_model import moving_planes


def pictures(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(luma with noise, luma)."""
    wanted = moving_planes(1, height, width).y[0].float()
    noise = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    return (wanted + 0.03 * noise).clamp(0, 1), wanted


@pytest.mark.parametrize(("height", "width"), [(176, 208), (192, 400)])
def test_the_slope_is_that_of_the_package(height: int, width: int) -> None:
    package = pytest.importorskip("pytorch_msssim")
    made, wanted = pictures(height, width)
    sample = made.clone().requires_grad_(True)
    pair = sample[None, None], wanted[None, None]
    similar = package.ms_ssim(*pair, data_range=1, weights=[0, *SCALE_WEIGHTS])
    expected = torch.autograd.grad(1 - similar, sample)[0]
    tolerance = 1e-3 * float(expected.abs().max())
    loss, slope = structural_slope(made, wanted)
    assert loss == pytest.approx(float(1 - similar.detach()), abs=1e-6)
    torch.testing.assert_close(slope, expected, rtol=1e-3, atol=tolerance)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (48, 48), (64, 112), (96, 272)])
def test_of_a_small_picture_it_is_that_of_the_scales_that_fit(height: int, width: int) -> None:
    """Along its slope SSIM of the half-size picture rises."""
    package = pytest.importorskip("pytorch_msssim")
    made, wanted = pictures(height, width)
    _, slope = structural_slope(made, wanted)
    better = (made - 0.01 * slope / slope.abs().max()).clamp(0, 1)
    halves = [torch.nn.functional.avg_pool2d(part[None, None], 2) for part in (made, better, wanted)]
    before, after = (float(package.ssim(part, halves[2], data_range=1)) for part in halves[:2])
    assert after > before


def test_there_is_none_where_no_window_fits() -> None:
    loss, slope = structural_slope(*pictures(16, 320))
    assert loss == 0
    assert slope.shape == (16, 320)
    assert not slope.any()


def test_equal_pictures_have_none() -> None:
    wanted = pictures(64, 64)[1]
    loss, slope = structural_slope(wanted, wanted)
    assert loss == pytest.approx(0, abs=1e-6)
    assert float(slope.abs().max()) < 1e-6


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
    for loss, slope in found[1:]:
        assert loss == found[0][0]
        assert torch.equal(slope, found[0][1])
