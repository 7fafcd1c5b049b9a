from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stpcodec.errors import InputError
from stpcodec.evaluation.points import Point, PointFile

POINT = Point(
    clip="a clip, with a comma.mkv", group="raw", clip_hash="00ff", codec="stp-s", version="0.1.0+abc", setting=50,
    frames=49, width=640, height=360, payload_bytes=12345, message_bytes=0, file_bytes=23456,
    psnr_y=35.125, psnr_u=40.5, psnr_v=41.25, psnr_yuv=36.5625, clip_psnr_y=35.0, clip_psnr_u=40.25,
    clip_psnr_v=41.0, clip_psnr_yuv=36.40625, encode_seconds=1.5, decode_seconds=0.75,
)  # fmt: skip


def test_points_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "points.csv"
    table = PointFile(path)
    table.add(POINT)
    table.add(replace(POINT, setting=70, problem="2 frame times differ, first frame 3"))
    assert PointFile(path).points == table.points == [POINT, table.points[1]]


def test_figures_that_are_missing_come_back_missing(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    table = PointFile(path)
    table.add(replace(POINT, ms_ssim=0.987654, vmaf=None))
    table.add(replace(POINT, setting=70, ms_ssim=None, vmaf=93.25))
    assert path.read_text().splitlines()[1].endswith(",0.987654,")
    assert [(p.ms_ssim, p.vmaf) for p in PointFile(path).points] == [(0.987654, None), (None, 93.25)]


def test_a_table_of_before_ms_ssim_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    PointFile(path).add(POINT)
    lines = [line.rsplit(",", 2)[0] for line in path.read_text().splitlines()]
    assert lines[0].endswith(",problem")
    path.write_text("\n".join(lines) + "\n")
    table = PointFile(path)
    assert table.points == [POINT]
    table.add(replace(POINT, setting=70, vmaf=90.0))
    assert PointFile(path).points == table.points
    assert {line.count(",") for line in path.read_text().replace("clip, with", "clip with").splitlines()} == {24}


def test_ms_ssim_in_db() -> None:
    assert POINT.ms_ssim_db is None
    assert replace(POINT, ms_ssim=0.99).ms_ssim_db == pytest.approx(20)
    assert replace(POINT, ms_ssim=1.0).ms_ssim_db == 100


def test_find_returns_the_newest_of_a_key(tmp_path: Path) -> None:
    table = PointFile(tmp_path / "points.csv")
    table.add(POINT)
    table.add(replace(POINT, payload_bytes=1))
    found = table.find("00ff", "stp-s", "0.1.0+abc", 50, 49)
    assert found is not None
    assert found.payload_bytes == 1
    assert table.find("00ff", "stp-s", "0.1.0+abc", 50, 48) is None
    assert table.find("00ff", "stp-s", "0.1.0+other", 50, 49) is None


def test_a_line_cut_off_by_an_interruption_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    table = PointFile(path)
    table.add(POINT)
    table.add(replace(POINT, setting=70))
    path.write_bytes(path.read_bytes()[:-20])
    again = PointFile(path)
    assert again.points == [POINT]
    again.add(replace(POINT, setting=90))
    assert [p.setting for p in PointFile(path).points] == [50, 90]


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("name,size\na,1\n")
    with pytest.raises(InputError, match="not a table of points"):
        PointFile(path)
    assert path.read_text() == "name,size\na,1\n"


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    PointFile(path).add(POINT)
    path.write_text(path.read_text().replace("12345", "many"))
    with pytest.raises(InputError, match="line 2 is damaged"):
        PointFile(path)


def test_bits_per_pixel() -> None:
    assert POINT.bits_per_pixel == pytest.approx(8 * 12345 / (49 * 640 * 360))
