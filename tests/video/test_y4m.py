"""stpcodec/video/y4m.py: the bytes of the header, and frames that FFmpeg and we read back unchanged."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stpcodec.video import Frame, VideoInfo, VideoReader, VideoWriter
from stpcodec.video.y4m import header
from tests.video import media

INFO = VideoInfo("x", 6, 4, 8, Fraction(1, 30), Fraction(30))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420jpeg\n"),
        ({"average_rate": Fraction(30000, 1001)}, b"YUV4MPEG2 W6 H4 F30000:1001 Ip A0:0 C420jpeg\n"),
        ({"bit_depth": 10}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420p10 XYSCSS=420P10\n"),
        ({"color_range": 2}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420jpeg XCOLORRANGE=FULL\n"),
        ({"color_range": 1}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420jpeg XCOLORRANGE=LIMITED\n"),
        ({"chroma_location": 1}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420mpeg2\n"),
        ({"chroma_location": 3}, b"YUV4MPEG2 W6 H4 F30:1 Ip A0:0 C420paldv\n"),
        ({"sample_aspect_ratio": Fraction(16, 11)}, b"YUV4MPEG2 W6 H4 F30:1 Ip A16:11 C420jpeg\n"),
        (
            {"interlaced": True, "stream_metadata": {"stpcodec_field_order": "3"}},
            b"YUV4MPEG2 W6 H4 F30:1 Ib A0:0 C420jpeg\n",
        ),
    ],
)
def test_header(change: dict, line: bytes) -> None:
    assert header(replace(INFO, **change)) == line


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize(("width", "height"), [(6, 4), (33, 17), (1, 1)])
def test_frames_come_back_exactly(tmp_path: Path, width: int, height: int, depth: int) -> None:
    info = replace(INFO, width=width, height=height, bit_depth=depth, color_range=2, sample_aspect_ratio=Fraction(4, 3))
    with VideoWriter(tmp_path / "a.y4m", info) as writer:
        for index in range(4):
            writer.write(Frame(*media.pattern(index, width, height, depth), pts=index))
    with VideoReader(tmp_path / "a.y4m") as reader:
        frames = list(reader)
        assert (reader.info.bit_depth, reader.info.color_range) == (depth, 2)
        assert reader.info.sample_aspect_ratio == Fraction(4, 3)
    assert len(frames) == 4
    for index, frame in enumerate(frames):
        for found, expected in zip(
            (frame.y, frame.u, frame.v), media.pattern(index, width, height, depth), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def test_planes_that_are_views_are_written_in_order() -> None:
    """The codec hands over crops of padded planes."""
    y, u, v = media.pattern(0, 16, 16)
    target = io.BytesIO()
    with VideoWriter(target, INFO) as writer:
        writer.write(Frame(y[:4, :6], u[:2, :3], v[:2, :3], 0))
    samples = y[:4, :6].tobytes() + u[:2, :3].tobytes() + v[:2, :3].tobytes()
    assert target.getvalue() == header(INFO) + b"FRAME\n" + samples


def write(info: VideoInfo, pts: list[int], sidecar: Path | None = None) -> list[str]:
    warnings: list[str] = []
    with VideoWriter(io.BytesIO(), info, sidecar=sidecar, warn=warnings.append) as writer:
        for time in pts:
            writer.write(Frame(*media.pattern(0, 6, 4), pts=time))
    return warnings


def test_uneven_times_are_warned_of_once() -> None:
    info = replace(INFO, time_base=Fraction(1, 90000))
    assert write(info, [0, 3000, 6000, 9000]) == []
    warnings = write(info, [0, 3000, 7000, 9000, 15000])
    assert len(warnings) == 1
    assert "one frame rate" in warnings[0]


def test_milliseconds_of_matroska_are_not_uneven() -> None:
    info = replace(INFO, time_base=Fraction(1, 1000))
    assert write(info, [0, 33, 67, 100, 133, 167]) == []


def test_what_is_lost_is_one_line(tmp_path: Path) -> None:
    info = replace(INFO, rotation=90, color_primaries=9, metadata={"title": "x", "major_brand": "isom"})
    warnings = write(info, [0], sidecar=tmp_path / "sidecar.mkv")
    assert len(warnings) == 1
    for word in ("audio", "rotation", "colour", "tags"):
        assert word in warnings[0]
    assert write(replace(INFO, metadata={"major_brand": "isom", "ENCODER": "Lavf"}), [0]) == []
