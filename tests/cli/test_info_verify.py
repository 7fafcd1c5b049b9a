from __future__ import annotations

import json
from pathlib import Path

import pytest

from stpcodec.container import StpReader
from tests.cli.conftest import Run


def test_info_for_people(stp: Path, run: Run) -> None:
    outcome = run("info", stp)
    assert outcome.code == 0
    assert outcome.err == ""
    rows = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    assert rows["picture"].strip() == "64x48, 8 bit"
    assert rows["frames"].strip().startswith("12")
    assert rows["model"].strip().startswith("dct")
    assert rows["quality"].strip() == "50"


def test_info_for_programs(stp: Path, run: Run) -> None:
    outcome = run("info", "--json", stp)
    facts, summary = map(json.loads, outcome.out.splitlines())
    assert (facts["type"], facts["verb"], facts["status"]) == ("file", "info", "done")
    assert (summary["type"], summary["exit_code"], summary["done"]) == ("summary", 0, 1)
    assert facts["path"] == str(stp)
    assert (facts["width"], facts["height"], facts["bit_depth"], facts["frames"]) == (64, 48, 8, 12)
    assert facts["size_bytes"] == stp.stat().st_size
    assert facts["complete"] is True
    assert facts["duration_seconds"] == pytest.approx(0.48, abs=1e-3)
    assert [segment["frames"] for segment in facts["segments"]] == [5, 5, 2]
    assert facts["bits_per_pixel"] == pytest.approx(8 * facts["video_bytes"] / (12 * 64 * 48), rel=1e-4)


def test_info_of_a_file_cut_off_warns(stp: Path, tmp_path: Path, run: Run) -> None:
    with StpReader(stp) as stream:
        entry = stream.segments[1]
    (tmp_path / "cut.stp").write_bytes(stp.read_bytes()[: entry.offset + entry.length])
    outcome = run("info", tmp_path / "cut.stp")
    assert outcome.code == 0
    assert "warning" in outcome.err
    assert "10" in outcome.out


def test_info_of_a_file_cut_off_before_its_first_segment(stp: Path, tmp_path: Path, run: Run) -> None:
    """Found by tests/fuzz: the rate of no frames at all is unknown, not a crash."""
    with StpReader(stp) as stream:
        entry = stream.segments[0]
    (tmp_path / "cut.stp").write_bytes(stp.read_bytes()[: entry.offset])
    outcome = run("info", tmp_path / "cut.stp")
    assert outcome.code == 0
    assert "unknown" in outcome.out
    assert run("info", "--json", tmp_path / "cut.stp").code == 0


@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_verify_of_an_intact_file(stp: Path, run: Run, deep: tuple[str, ...]) -> None:
    outcome = run("verify", stp, *deep)
    assert (outcome.code, outcome.err) == (0, "")
    assert "intact, 12 frames in 3 segments" in outcome.out
    assert ("all decoded" in outcome.out) == bool(deep)
    assert run("verify", stp, "-q", *deep).out == ""


def test_verify_names_what_is_damaged(stp: Path, tmp_path: Path, run: Run) -> None:
    with StpReader(stp) as stream:
        entry = stream.segments[1]
    data = bytearray(stp.read_bytes())
    data[entry.offset + entry.length - 3] ^= 1
    path = tmp_path / "bad.stp"
    path.write_bytes(data)
    outcome = run("verify", path)
    assert outcome.code == 3
    assert f"bytes {entry.offset} to {entry.offset + entry.length}, 0.200 s to 0.400 s" in outcome.out
    assert outcome.err.count("\n") == 1
    assert "damaged in 1 place" in outcome.err
