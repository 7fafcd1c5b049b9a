from __future__ import annotations

import re
from pathlib import Path

import pytest

from stpcodec.container import StpReader
from tests.cli.conftest import Run


def test_encode_says_what_it_did_on_standard_error(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--verify", "--quality", "70")
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert "12 frames" in outcome.err
    assert "bits per pixel" in outcome.err
    psnr = {name: float(value) for name, value in re.findall(r"(y|u|v|yuv) (\d+\.\d+)", outcome.err)}
    assert set(psnr) == {"y", "u", "v", "yuv"}
    assert psnr["yuv"] > 30


def test_options_reach_the_file(clip: Path, tmp_path: Path, run: Run) -> None:
    target = tmp_path / "x.stp"
    assert run("encode", clip, target, "--model", "dct", "--quality", "33", "--segment-frames", "4").code == 0
    with StpReader(target) as stream:
        assert (stream.header.quality, stream.header.model) == (33, "dct")
        assert [entry.frame_count for entry in stream.segments] == [4, 4, 4]
        assert stream.has_sidecar


def test_quiet_is_quiet(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_verbose_names_model_and_device(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--device", "cpu", "-v")
    assert "model dct on cpu, 1 segments" in outcome.err


def test_existing_output_is_kept_unless_told(clip: Path, tmp_path: Path, run: Run) -> None:
    target = tmp_path / "x.stp"
    target.write_bytes(b"precious")
    outcome = run("encode", clip, target, "--model", "dct")
    assert outcome.code == 2
    assert outcome.err.startswith("stpcodec: error: ")
    assert "--overwrite" in outcome.err
    assert target.read_bytes() == b"precious"
    assert run("encode", clip, target, "--model", "dct", "--overwrite").code == 0
    assert target.read_bytes() != b"precious"


@pytest.mark.parametrize(("option", "value", "code"), [("--model", "bogus", 6), ("--device", "bogus", 2)])
def test_unknown_models_and_devices(clip: Path, tmp_path: Path, run: Run, option: str, value: str, code: int) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", option, value)
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert value in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_bar_is_drawn_on_terminals_only(
    clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct")
    assert "frames" in outcome.err
    assert "fps" in outcome.err
    assert "\x1b[" in outcome.err


@pytest.mark.usefixtures("quick_workers")
def test_jobs_change_nothing_but_the_time(clip: Path, tmp_path: Path, run: Run) -> None:
    for jobs in ("1", "2"):
        args = ("--model", "dct", "--segment-frames", "4", "--jobs", jobs, "-v")
        outcome = run("encode", clip, tmp_path / f"{jobs}.stp", *args)
        assert outcome.code == 0, outcome.err
        assert f"3 segments, {jobs} jobs" in outcome.err
    assert (tmp_path / "1.stp").read_bytes() == (tmp_path / "2.stp").read_bytes()


def test_no_jobs_is_wrong_usage(clip: Path, tmp_path: Path, run: Run) -> None:
    assert run("encode", clip, tmp_path / "x.stp", "--jobs", "0").code == 2
