from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from stpcodec.cli.quantities import parse_rate, parse_region, parse_size
from stpcodec.errors import UsageError
from tests.cli.conftest import Run
from tests.codec.clips import pictures, write_video


@pytest.mark.parametrize(
    ("text", "size"), [("25MB", 25e6), ("900 kB", 9e5), ("1.5MiB", 1.5 * 2**20), ("12345", 12345), ("2g", 2e9)]
)
def test_sizes(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "rate"), [("800k", 8e5), ("1.5M", 1.5e6), ("64kbit/s", 64e3), ("300 kbps", 3e5)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "MB", "-3MB", "0", "5 apples", "1e9", "nan", "25MBMB"])
def test_what_is_no_quantity(text: str) -> None:
    for parse in (parse_size, parse_rate):
        with pytest.raises(UsageError):
            parse(text)


def test_a_target_size(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--target-size", "20kB", "--json")
    assert outcome.code == 0, outcome.err
    file = json.loads(outcome.out.splitlines()[0])
    size = (tmp_path / "x.stp").stat().st_size
    assert file["goal"]["kind"] == "size"
    assert file["goal"]["reached"] == file["bytes_written"] == size <= 20_000
    assert f"quality {file['quality']} comes to {size} bytes, " in outcome.err


def test_out_of_reach_is_5(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--target-psnr", "99", "-q")
    assert outcome.code == 5
    assert outcome.err.count("\n") == 1
    assert "the nearest is" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--target-size", "1MB", "--bitrate", "1M"),
        ("--quality", "50", "--bitrate", "1M"),
        ("--target-size", "1MB", "--resume"),
        ("--target-size", "large"),
        ("--target-psnr", "-3"),
    ],
)
def test_wrong_usage(clip: Path, tmp_path: Path, run: Run, options: tuple[str, ...]) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", *options)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_ceiling(clip: Path, tmp_path: Path, run: Run) -> None:
    """12 frames are less than a second: all of the video's bytes are in the first."""
    assert run("encode", clip, tmp_path / "a.stp", "--model", "dct", "--quality", "70").code == 0
    options = ("--model", "dct", "--quality", "70", "--max-bitrate", "40k", "--json")
    outcome = run("encode", clip, tmp_path / "b.stp", *options)
    assert outcome.code == 0, outcome.err
    ceiling = json.loads(outcome.out.splitlines()[0])["ceiling"]
    assert ceiling["asked"] == 40_000 >= ceiling["reached"]
    assert ceiling["segments_lowered"] == 1
    assert "kbit/s in any second" in outcome.err
    outcome = run("encode", clip, tmp_path / "c.stp", "--model", "dct", "--max-bitrate", "1k", "-q")
    assert outcome.code == 5
    assert "the nearest is" in outcome.err


def test_a_quality_between_two(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--quality", "52.4", "--json")
    assert json.loads(outcome.out.splitlines()[0])["quality"] == 52.4


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough for MS-SSIM."""
    return write_video(tmp_path_factory.mktemp("large") / "large.mkv", pictures(6, height=176, width=176))


@pytest.mark.parametrize(("option", "value", "near"), [("--target-ssim", 0.996, 0.001), ("--target-vmaf", 95.0, 1)])
def test_what_eyes_are_said_to_see(
    large: Path, tmp_path: Path, run: Run, option: str, value: float, near: float
) -> None:
    pytest.importorskip("pytorch_msssim", reason="the extra `bench` is not installed")
    pytest.importorskip("imageio_ffmpeg", reason="the extra `bench` is not installed")
    outcome = run("encode", large, tmp_path / "x.stp", "--model", "dct", option, value, "--json")
    assert outcome.code == 0, outcome.err
    goal = json.loads(outcome.out.splitlines()[0])["goal"]
    assert value <= goal["reached"] <= value + near
    outcome = run("quality-search", large, "--model", "dct", option, value, "--json")
    assert outcome.code == 0, outcome.err
    file = json.loads(outcome.out.splitlines()[0])
    assert file["command"].startswith(f"stpcodec encode {large} ")
    assert f"--quality {file['quality']} --model dct" in file["command"]


def test_small_clips_have_no_ms_ssim(clip: Path, tmp_path: Path, run: Run) -> None:
    pytest.importorskip("pytorch_msssim", reason="the extra `bench` is not installed")
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--target-ssim", "0.9")
    assert outcome.code == 2
    assert "sides longer than 160" in outcome.err


def test_a_missing_extra_is_named(clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"--target-ssim": "pytorch_msssim", "--target-vmaf": "imageio_ffmpeg"}
    for option, module in needs.items():
        monkeypatch.setitem(sys.modules, module, None)
        outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", option, "0.9")
        assert outcome.code == 2
        assert "pip install 'stpcodec[bench]'" in outcome.err


def test_a_search_prints_the_command(clip: Path, run: Run) -> None:
    outcome = run("quality-search", clip, "--model", "dct", "--target-psnr", "36")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"stpcodec encode {clip} {clip.with_suffix('.stp')} --quality ")
    assert run("quality-search", clip, "--model", "dct", "--target-psnr", "90").code == 5
    assert run("quality-search", clip, "--model", "dct").code == 2


def test_a_search_knows_of_regions(clip: Path, tmp_path: Path, run: Run) -> None:
    """What lies outside gets worse, so the same PSNR needs more quality; the command is for the same regions."""
    regions = ("--roi", "0,0,16,16,64", "--roi", "16,0,16,16@0-0.2")
    plain = run("quality-search", clip, "--model", "dct", "--target-psnr", "36", "--json")
    outcome = run("quality-search", clip, "--model", "dct", "--target-psnr", "36", *regions, "--json")
    assert outcome.code == 0, outcome.err
    file = json.loads(outcome.out.splitlines()[0])
    assert file["quality"] > json.loads(plain.out.splitlines()[0])["quality"]
    command = shlex.split(file["command"])
    assert tuple(command[-4:]) == regions
    command[3] = str(tmp_path / "x.stp")
    assert run(*command[1:], "-q").code == 0
    assert run("quality-search", clip, "--model", "dct", "--target-psnr", "36", "--roi", "1,2").code == 2


def test_regions_as_people_write_them(clip: Path, tmp_path: Path, run: Run) -> None:
    assert parse_region("1,2,30,40,8@2-4.5") == ((1, 2, 30, 40), 8, 2, 4.5)
    assert parse_region("1,2,30,40@3-") == ((1, 2, 30, 40), None, 3, float("inf"))
    for wrong in ("1,2,3", "1,2,3,4,5,6", "a,2,3,4", "1,2,3,4@", "1,2,3,4@5", "1,2,3,4@b-c"):
        with pytest.raises(UsageError):
            parse_region(wrong)
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--roi", "0,0,32,32,100")
    assert outcome.code == 2
    assert run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--roi", "0,0,32,32,8@0-0.2", "-q").code == 0


def test_tuned_for_structure(clip: Path, tmp_path: Path, run: Run) -> None:
    for name, *options in (("a",), ("b", "--tune", "psnr"), ("c", "--tune", "ssim")):
        assert run("encode", clip, tmp_path / name, "--model", "dct", *options, "-q").code == 0
    plain, same, tuned = ((tmp_path / name).read_bytes() for name in "abc")
    assert plain == same != tuned
    outcome = run("encode", clip, tmp_path / "d", "--model", "dct", "--tune", "film")
    assert outcome.code == 2
    assert "tune 'film': must be psnr or ssim" in outcome.err
    assert not (tmp_path / "d").exists()
    outcome = run("quality-search", clip, "--model", "dct", "--target-psnr", "36", "--tune", "ssim", "--json")
    command = shlex.split(json.loads(outcome.out.splitlines()[0])["command"])
    assert command[command.index("--tune") + 1] == "ssim"
