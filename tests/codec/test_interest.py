"""Regions of interest: what errors count where, and that the bits follow."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.codec.encoder import encode
from stpcodec.codec.interest import Interest, Region, raised
from stpcodec.codec.qualities import Qualities
from stpcodec.codec.stpfile import open as open_stp
from stpcodec.codec.verify import verify
from stpcodec.errors import UsageError
from tests.codec.clips import pictures, write_video


def test_shares_of_patches() -> None:
    shares = Region(8, 16, 16, 24).shares(64, 48)
    assert shares.tolist() == [[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0], [0, 0, 0]]
    assert not Region(100, 100, 16, 16).shares(64, 48).any()


def test_the_geometric_mean_is_one() -> None:
    weights = Interest((Region(0, 0, 32, 32, 8), Region(16, 0, 16, 16, 0.5))).weights(0, 64, 64)
    assert weights is not None
    assert float(weights.log().mean()) == pytest.approx(0, abs=1e-6)
    assert float(weights[0, 0] / weights[3, 3]) == pytest.approx(8)
    assert float(weights[0, 1] / weights[3, 3]) == pytest.approx(4)


def test_times() -> None:
    interest = Interest((Region(0, 0, 16, 16, start_seconds=2, end_seconds=3),))
    assert [interest.weights(t, 32, 32) is not None for t in (1.99, 2, 2.99, 3)] == [False, True, True, False]
    assert Interest((Region(0, 0, 32, 32),)).weights(0, 32, 32) is None  # all of the frame: nothing to take from


def test_what_quality_gives_weights_lose() -> None:
    weights = torch.tensor([[4.0, 0.5]])
    quality, left = raised(50, weights)
    assert 50 < quality < 80
    gain = math.log(float(weights[0, 0] / left[0, 0])) / (quality - 50)
    assert raised(100, weights)[0] == 100
    assert gain == pytest.approx(math.log(200) / 99, rel=1e-4)


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


@pytest.mark.usefixtures("quick_workers")
def test_jobs_do_not_change_the_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(20, height=64, width=64))
    qualities = Qualities(50, interest=Interest((Region(0, 0, 32, 32, start_seconds=0.2),)))
    for jobs in (1, 2):
        encode(source, tmp_path / f"{jobs}", quality=qualities, model="dct", segment_frames=8, jobs=jobs, threads=1)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
