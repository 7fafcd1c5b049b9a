from __future__ import annotations

import json
from pathlib import Path

import pytest

from stpcodec.cli.quantities import parse_rate, parse_size
from stpcodec.errors import UsageError
from tests.cli.conftest import Run


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
