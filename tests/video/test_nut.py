"""Raw frames in NUT: exact times and samples; what it loses is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stpcodec.video.frames import Frame, VideoInfo
from stpcodec.video.reader import VideoReader
from stpcodec.video.writer import VideoWriter
from tests.codec.clips import pictures

TIMES = [0, 1, 7, 8, 1000, 100000]


@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)])
def test_times_and_samples_come_back(tmp_path: Path, bit_depth: int, time_base: Fraction) -> None:
    info = VideoInfo("x", 71, 49, bit_depth, time_base, average_rate=Fraction(25), metadata={"title": "hello"})
    frames = pictures(len(TIMES), height=49, width=71, bit_depth=bit_depth)
    said: list[str] = []
    with VideoWriter(tmp_path / "out.nut", info, warn=said.append) as writer:
        for pts, (y, u, v) in zip(TIMES, frames, strict=True):
            writer.write(Frame(y, u, v, pts, 1))
    assert said == []
    with VideoReader(tmp_path / "out.nut", warn=said.append) as reader:
        assert reader.info.metadata["title"] == "hello"
        assert reader.info.bit_depth == bit_depth
        for frame, pts, planes in zip(reader, TIMES, frames, strict=True):
            assert frame.pts * reader.info.time_base == pts * time_base
            assert all(map(np.array_equal, (frame.y, frame.u, frame.v), planes))


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    info = VideoInfo(
        "x", 64, 48, 8, Fraction(1, 25), rotation=90, sample_aspect_ratio=Fraction(4, 3), color_primaries=1
    )
    said: list[str] = []
    with VideoWriter(tmp_path / "out.nut", info, warn=said.append) as writer:
        writer.write(Frame(*pictures(1)[0], 0))
    assert len(said) == 1
    assert "nut cannot hold rotation, the pixel aspect ratio, colour range" in said[0]
