"""Regions of interest: what errors count where, and that the bits follow."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.codec.encoder import encode
from stpcodec.codec.interest import Interest, Region, levels_of
from stpcodec.codec.qualities import Qualities
from stpcodec.codec.stpfile import open as open_stp
from stpcodec.codec.tune import SSIM_TILT
from stpcodec.codec.verify import verify
from stpcodec.container import StpReader
from stpcodec.errors import UsageError
from stpcodec.latents.levels import LARGEST_LEVEL, LEVEL_STEP
from stpcodec.model.rates import LOG_LAMBDA_STEP
from tests.codec.clips import pictures, write_video


def test_shares_of_patches() -> None:
    shares = Region(8, 16, 16, 24).shares(64, 48)
    assert shares.tolist() == [[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0], [0, 0, 0]]
    assert not Region(100, 100, 16, 16).shares(64, 48).any()


GREY = torch.full((64, 64), 0.5)


def test_the_geometric_mean_is_one() -> None:
    weights = Interest((Region(0, 0, 32, 32, 8), Region(16, 0, 16, 16, 0.5))).weights([0], GREY)
    assert float(weights.log().mean()) == pytest.approx(0, abs=1e-6)
    assert float(weights[0, 0] / weights[3, 3]) == pytest.approx(8)
    assert float(weights[0, 1] / weights[3, 3]) == pytest.approx(4)


def test_times() -> None:
    interest = Interest((Region(0, 0, 16, 16, start_seconds=2, end_seconds=3),))

    def differ(*times: float) -> bool:
        weights = interest.weights(times, GREY)
        return bool((weights != weights[0, 0]).any())

    assert [differ(time) for time in (1.99, 2, 2.99, 3)] == [False, True, True, False]
    assert [differ(1.9, 2.1), differ(2.9, 3.1), differ(1.8, 1.9), differ(1.5, 3.5)] == [True, True, False, False]
    # All of the frame: nothing to take from.
    assert torch.equal(Interest((Region(0, 0, 64, 64),)).weights([0], GREY), torch.ones(4, 4))


def test_levels_are_the_nearest_and_stay_while_nearly_right() -> None:
    step = LOG_LAMBDA_STEP * LEVEL_STEP  # of a level, as a logarithm

    def levels(held: torch.Tensor | None, *wanted: float) -> list[int] | None:
        logs = torch.tensor(wanted)[None].repeat_interleave(2, 0).repeat_interleave(2, 1)
        found = levels_of(torch.exp(step * logs), held)
        return None if found is None else found[0].tolist()

    assert levels(None, 0.4, -0.4, 0.2) is None
    assert levels(None, 1.4, -2.6, 0.4, 30, -30) == [1, -3, 0, LARGEST_LEVEL, -LARGEST_LEVEL]
    held = torch.tensor([[1, 1, -3, 0]], dtype=torch.int32)
    assert levels(held, 1.7, 1.8, -2.3, 0.7) == [1, 2, -3, 0]
    assert levels(torch.zeros(1, 2, dtype=torch.int32), 0, 0) == [0, 0]  # what held is said to be over


def test_a_level_is_of_four_patches_and_of_what_there_is_at_the_border() -> None:
    weights = torch.ones(3, 3)
    weights[2, 2] = math.exp(2 * LOG_LAMBDA_STEP * LEVEL_STEP)
    weights[0, 0] = math.exp(4 * LOG_LAMBDA_STEP * LEVEL_STEP)
    found = levels_of(weights, None)
    assert found is not None
    assert found.tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("region", [(-1, 0, 8, 8), (0, 0, 0, 8), (0, 0, 8, 8, 100), (0, 0, 8, 8, 2, 3, 3)])
def test_what_is_refused(region: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        Region(*region)


@pytest.mark.parametrize("tile", [0, 128])
def test_better_inside_and_worse_outside(tmp_path: Path, tile: int) -> None:
    frames = pictures(6, height=160, width=192)
    noise = np.random.default_rng(1)
    frames = [(np.clip(y + noise.normal(0, 6, y.shape), 0, 255).astype(np.uint8), u, v) for y, u, v in frames]
    source = write_video(tmp_path / "in.mkv", frames)

    def errors(interest: Interest | None) -> tuple[float, float]:
        """Inside, outside."""
        target = tmp_path / "out.stp"
        qualities = Qualities(50, interest=interest)
        encode(source, target, quality=qualities, model="dct", tile=tile, overwrite=True)
        verify(target, deep=True).raise_if_bad()
        with open_stp(target) as file:
            squares = [(a.y.astype(float) - b[0]) ** 2 for a, b in zip(file, frames, strict=True)]
        inside = sum(s[32:96, 48:112].sum() for s in squares)
        return inside, sum(s.sum() for s in squares) - inside

    plain, weighed = errors(None), errors(Interest((Region(48, 32, 64, 64, 8),)))
    assert weighed[0] < 0.8 * plain[0]
    assert weighed[1] > plain[1]


@pytest.mark.parametrize("which", ["dct", "tiny"])
def test_tuned_for_structure(tmp_path: Path, tiny_weights: Path, which: str) -> None:
    """The header says how; a segment coded alone again gives the same, and the file is what it says."""
    model = which if which == "dct" else str(tiny_weights)
    source = write_video(tmp_path / "in.mkv", pictures(12, height=96, width=128))
    sizes = []
    for tune, name in (("psnr", "plain"), ("ssim", "tuned"), ("ssim", "again")):
        options = {"tune": tune}
        if name == "again":
            options = {"quality": Qualities(50, interest=Interest(tune=tune))}  # type: ignore[dict-item]
        encode(source, tmp_path / name, model=model, segment_frames=6, threads=1, jobs=1, **options)  # type: ignore[arg-type]
        verify(tmp_path / name, deep=True, model=model).raise_if_bad()
        with StpReader(tmp_path / name) as stream:
            assert stream.header.tilt == (SSIM_TILT if (tune, which) == ("ssim", "tiny") else 0)
            assert ("tune ssim" in stream.header.encoder) == (tune == "ssim")
        sizes.append((tmp_path / name).read_bytes())
    assert sizes[0] != sizes[1] == sizes[2]


def test_an_unknown_tune_is_refused() -> None:
    with pytest.raises(UsageError, match="tune 'film': must be psnr or ssim"):
        Interest(tune="film")


@pytest.mark.usefixtures("quick_workers")
def test_jobs_do_not_change_the_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(20, height=64, width=64))
    qualities = Qualities(50, interest=Interest((Region(0, 0, 32, 32, start_seconds=0.2),)))
    for jobs in (1, 2):
        encode(source, tmp_path / f"{jobs}", quality=qualities, model="dct", segment_frames=8, jobs=jobs, threads=1)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
