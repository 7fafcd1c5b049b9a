"""Better latents than the analysis has: what the error of a picture says about them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.model import refine
from stpcodec.model.bands import Band
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality
from stpcodec.model.rates import lagrange_lambda, squared_error, squared_error_map
from stpcodec.model.refine import Refiner, usable
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes

QUALITY = 40
CPU = torch.device("cpu")


def field() -> torch.Tensor:
    """Eight quarter samples to the right, as `moving_planes(dx=2)` moves."""
    points = torch.zeros(1, 2, 9, 13, dtype=torch.int32)
    points[:, 1] = -8
    return points


@pytest.mark.parametrize("references", [0, 1, 2])
@pytest.mark.parametrize("levelled", [False, True], ids=["one quality", "several"])
def test_the_error_falls_towards_what_is_wanted(tiny_weights: Path, references: int, levelled: bool) -> None:
    model = load_model(tiny_weights, device=CPU)
    transform = model.inter if references else model.intra
    with torch.inference_mode():  # as the codec is
        frames = moving_planes(3, 64, 96, dx=2)
        known = [frames[slice(number, number + 1)] for number in (0, 2)[:references]]
        choice = torch.zeros(4, 6, dtype=torch.int32) if references == 2 else None
        fields = None if not references else torch.cat([field(), -field()])[:references]
        target = frames[1:2]
        context = transform.context(known, fields, choice, QUALITY, 0)
        quality: Quality = QUALITY
        if levelled:
            quality = QUALITY + torch.tensor([-10, 0, 20]).int().repeat(4, 2)
        y, _ = transform.analyse(target, quality, context)
        decoded = y.round()
        refiner = transform.refiner(target, known, fields, choice, quality)
        assert refiner is not None
        way = refiner.wanted(decoded) - decoded

        def cost(latents: torch.Tensor) -> float:
            """Of errors, in bits."""
            made = transform.synthesise(latents, quality, context)
            if isinstance(quality, int):
                worth = float(lagrange_lambda(torch.tensor(quality))) * target.y.numel()
                return worth * float(squared_error(made, target)[0])
            return float((lagrange_lambda(quality) * squared_error_map(made, target, 16)).sum())

        assert cost(decoded + 0.5 * way) < cost(decoded), "half of the way is better"
        # The slope is that of the very error that the codec's own synthesis makes, in units of its curvature.
        step = 0.01 * way
        slope = (cost(decoded + step) - cost(decoded - step)) / 2
        curvature = transform.error_weights(quality)
        curvature = curvature[:, None, None] if isinstance(quality, int) else curvature
        expected = -2 * float((curvature * way * step).sum())
        assert slope == pytest.approx(expected, rel=0.05)


def test_of_an_orthonormal_transform_there_is_nothing_better() -> None:
    frames = Planes(*(torch.rand(1, side, side) for side in (32, 16, 16)))
    assert load_model("dct", device=CPU).intra.refiner(frames, (), None, None, QUALITY) is None


@pytest.mark.parametrize("references", [0, 1])
def test_of_a_tilted_network_structure_counts_too(
    tiny_weights: Path, references: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many squared errors less buy more of MS-SSIM than where squared errors alone count."""
    package = pytest.importorskip("pytorch_msssim")
    monkeypatch.setattr(refine, "TRUST_LEFT", 2.0)
    model = load_model(tiny_weights, device=CPU)
    plain = model.inter if references else model.intra
    bought = []
    with torch.inference_mode():
        frames = moving_planes(2, 192, 192, dx=2)
        known, target = [frames[:1]][:references], frames[1:2]
        points = torch.zeros(1, 2, 25, 25, dtype=torch.int32) if references else None
        for transform in (plain, plain.tilted(0)):  # the same steps: what differs is what counts
            context = transform.context(known, points, None, QUALITY, 0)
            decoded = transform.analyse(target, QUALITY, context)[0].round()
            refiner = transform.refiner(target, known, points, None, QUALITY)
            assert refiner is not None
            way = refiner.wanted(decoded) - decoded
            ends = [transform.synthesise(decoded + share * way, QUALITY, context) for share in (0, 0.1)]
            less = float(squared_error(ends[0], target) - squared_error(ends[1], target))
            before, after = (float(package.ms_ssim(end.y[None], target.y[None], data_range=1)) for end in ends)
            assert less > 0
            bought.append((after - before) / less)
    assert bought[1] > 1.1 * bought[0]


def test_where_structure_cannot_be_trusted_squared_errors_alone_count(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, target = load_model(tiny_weights, device=CPU).intra, moving_planes(1, 192, 192)
    with torch.inference_mode():
        decoded = plain.analyse(target, QUALITY, None)[0].round()
        found = []
        for transform, left in ((plain, 2.0), (plain.tilted(0), 0.0), (plain.tilted(0), 2.0)):
            monkeypatch.setattr(refine, "TRUST_LEFT", left)
            refiner = transform.refiner(target, (), None, None, QUALITY)
            assert refiner is not None
            found.append(refiner.wanted(decoded))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found[0], found[2], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("tilt", [None, 6])
def test_bands_say_together_what_the_whole_says(tiny_weights: Path, tilt: int | None) -> None:
    """A latent near a band's end counts for the samples of both."""
    transform = load_model(tiny_weights, device=CPU).intra
    if tilt is not None:
        transform = transform.tilted(tilt)
    frames = moving_planes(1, 512, 32)
    with torch.inference_mode():
        refiner = transform.refiner(frames, (), None, None, QUALITY)
        assert refiner is not None
        assert len(refiner.parts) > 1
        decoded = transform.analyse(frames, QUALITY, None)[0].round()
        banded = Refiner(refiner.network, usable(frames), refiner.parts, QUALITY)
        whole = Refiner(refiner.network, usable(frames), [(Band(0, 32, 0, 32), None)], QUALITY)
        torch.testing.assert_close(banded.wanted(decoded), whole.wanted(decoded), rtol=1e-4, atol=1e-4)


def test_in_bfloat16_latents_move_about_as_they_should(tiny_weights: Path) -> None:
    transform = load_model(tiny_weights, device=CPU).intra
    frames = moving_planes(1, 64, 96)
    with torch.inference_mode():
        decoded = transform.analyse(frames, QUALITY, None)[0].round()
        refiner = transform.refiner(frames, (), None, None, QUALITY)
        assert refiner is not None
        exact, coarse = (
            Refiner(refiner.network, usable(frames), refiner.parts, QUALITY, dtype=dtype).wanted(decoded) - decoded
            for dtype in (torch.float32, torch.bfloat16)
        )
    assert not torch.equal(exact, coarse)
    assert float((exact - coarse).norm() / exact.norm()) < 0.05
