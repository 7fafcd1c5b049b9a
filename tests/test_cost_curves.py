"""The tool that measures time and memory: its arithmetic, and the videos that it makes."""

from __future__ import annotations

import math
from pathlib import Path

import av
import pytest

from tests.codec.clips import pictures, write_video
from tests.cost_curves import Cost, report, slope
from tests.cost_curves import write_video as write_long_video


def test_slopes_of_powers() -> None:
    across = [300, 600, 1200, 4800]
    assert slope(across, [7 * x for x in across]) == pytest.approx(1)
    assert slope(across, [5.0] * 4) == pytest.approx(0)
    assert slope(across, [x**2 for x in across]) == pytest.approx(2)
    assert math.isnan(slope(across, [1, 2, 3, -1]))


def test_the_report_subtracts_the_start() -> None:
    def cost(series: str, frames: int, seconds: float, mib: int) -> Cost:
        return Cost(series, frames, 320, 180, 1000, seconds, seconds, mib << 20, seconds, seconds, mib << 20)

    text = report([cost("start", 1, 4, 600), cost("length", 300, 14, 700), cost("length", 600, 24, 700)])
    assert "encode against frames: time to the power 1.000, memory to the power 0.000; 1.00 times" in text
    assert "decode against frames" in text
    assert "samples" not in text


def test_a_long_video_is_a_short_one_again_and_again(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "in.mkv", pictures(5, height=48, width=64))
    write_long_video(tmp_path / "long.mp4", [clip, clip], 310, (32, 32))
    with av.open(str(tmp_path / "long.mp4")) as video:
        lumas = [frame.to_ndarray(format="gray").astype(int) for frame in video.decode(video=0)]
    assert len(lumas) == 310
    near = [abs(one - other).mean() for one, other in zip(lumas[:8], lumas[300:308], strict=True)]
    assert max(near) < 3, "the block begins anew"
    assert abs(lumas[1] - lumas[7]).mean() < 3, "there and back"
