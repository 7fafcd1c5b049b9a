"""A sheet shows first frames of segments, upright and in their colours, and decodes no other segment."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.codec.encoder import encode
from stpcodec.codec.sheet import arranged, sheet
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, InputError, OutputError, UsageError
from stpcodec.video.frames import Frame, VideoInfo
from stpcodec.video.reader import VideoReader
from stpcodec.video.still import png, small_picture
from tests.codec.clips import pictures, write_video
from tests.codec.damage import flip_segment
from tests.video import media


@pytest.fixture(scope="module")
def stp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 segments of two frames, 80 ms apart; the picture grows brighter."""
    frames = []
    for number, (y, u, v) in enumerate(pictures(40)):
        frames.append((np.full_like(y, 40 + 10 * (number // 2)), np.full_like(u, 128), np.full_like(v, 128)))
    folder = tmp_path_factory.mktemp("sheet")
    source = write_video(folder / "in.mkv", frames)
    encode(source, folder / "x.stp", model="dct", segment_frames=2, quality=90)
    return folder / "x.stp"


def read_png(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def test_pictures_are_spread_over_the_file(
    stp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_segment = StpReader.read_segment

    def watched(self: StpReader, number: int) -> object:
        read.append(number)
        return read_segment(self, number)

    monkeypatch.setattr(StpReader, "read_segment", watched)
    report = sheet(stp, tmp_path / "s.png", count=4, columns=2, picture_width=32)
    assert read == [2, 7, 12, 17]
    assert report.seconds == (0.16, 0.56, 0.96, 1.36)
    page = read_png(tmp_path / "s.png")
    assert page.shape == (report.height, report.width, 3) == (4 + 2 * 28, 4 + 2 * 36, 3)
    levels = [page[y + 12, x + 16, 0] for y in (4, 32) for x in (4, 40)]
    expected = [round((40 + 10 * number - 16) * 255 / 219) for number in read]
    assert levels == pytest.approx(expected, abs=3)
    assert (page[:4] == 24).all()


def test_few_segments_have_few_pictures(stp: Path, tmp_path: Path) -> None:
    report = sheet(stp, tmp_path / "s.png", count=50)
    assert (len(report.seconds), report.columns) == (20, 5)
    assert report.width == 5 * (64 + 4) + 4  # never enlarged


def test_damaged_segments_are_left_out(stp: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.stp"
    path.write_bytes(stp.read_bytes())
    flip_segment(path, 7)
    warnings: list[str] = []
    report = sheet(path, tmp_path / "s.png", count=4, warn=warnings.append)
    assert len(report.seconds) == 3
    assert len(warnings) == 1
    for number in (2, 12, 17):
        flip_segment(path, number)
    with pytest.raises(CorruptFile, match="no intact segment"):
        sheet(path, tmp_path / "t.png", count=4, warn=warnings.append)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.png", "x.stp"]


def test_what_is_refused(stp: Path, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"mine")
    for kind, source, target, options in (
        (UsageError, stp, "s.jpg", {}),
        (UsageError, stp, "s.png", {"count": 0}),
        (UsageError, stp, "s.png", {"picture_width": 5000}),
        (UsageError, stp, "there.png", {}),
        (InputError, tmp_path / "missing.stp", "s.png", {}),
        (OutputError, stp, "no/folder.png", {}),
    ):
        with pytest.raises(kind):
            sheet(source, tmp_path / target, **options)  # type: ignore[arg-type]
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def first_of(path: Path) -> tuple[Frame, VideoInfo]:
    with VideoReader(path) as reader:
        return next(iter(reader)), reader.info


@pytest.mark.parametrize("options", [{}, {"pixel_format": "yuv420p10le"}, {"color": (2, 1, 1, 1)}])
def test_colours_are_those_of_the_video(tmp_path: Path, options: dict[str, object]) -> None:
    path = media.make_video(tmp_path / "in.mkv", 1, 96, 80, codec="ffv1", **options)  # type: ignore[arg-type]
    frame, info = first_of(path)
    ours = small_picture(frame, info, width=96).astype(int)
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
        theirs = picture.to_ndarray(format="rgb24").astype(int)
    assert ours.shape == (80, 96, 3)
    assert np.abs(ours - theirs).mean() < 2


def test_turned_and_stretched_pictures_are_shown_as_meant(tmp_path: Path) -> None:
    y, u, v = pictures(1)[0]
    y[:, :32], y[:, 32:] = 50, 200  # dark at the left
    path = write_video(tmp_path / "in.mkv", [(y, u, v)])
    frame, info = first_of(path)
    turned = small_picture(frame, replace(info, rotation=90), width=320)
    assert turned.shape == (64, 48, 3)
    assert turned[-8, 24].mean() < turned[8, 24].mean()  # counter-clockwise: the left side is below
    assert small_picture(frame, replace(info, rotation=-90), width=24).shape == (32, 24, 3)
    wide = small_picture(frame, replace(info, sample_aspect_ratio=Fraction(2)), width=64)
    assert wide.shape == (24, 64, 3)


@pytest.mark.parametrize("shape", [(1, 1), (33, 47), (7, 200)])
def test_png_files_are_read_back(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    (tmp_path / "x.png").write_bytes(png(picture))
    assert (read_png(tmp_path / "x.png") == picture).all()


def test_an_uneven_last_row() -> None:
    page = arranged([np.full((10, 20, 3), 200, np.uint8)] * 5, 3)
    assert page.shape == (2 * 14 + 4, 3 * 24 + 4, 3)
    assert (page == 200).sum() == 5 * 10 * 20 * 3
