"""`--json`: objects alone on standard output, a summary last, no key that docs/json.md does not know."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Outcome, Run
from tests.codec.damage import flip_segment

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/json.md"


def documented() -> dict[str, set[str]]:
    """Type of object -> its keys: the words in backquotes below the heading."""
    keys = {}
    for part in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        for kind in re.findall(r"`(\w+)`", heading):
            keys[kind] = set(re.findall(r"`(\w+)`", text)) | {"type", "verb"}
    return keys


def objects(outcome: Outcome, verb: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in outcome.out.splitlines()]
    known = documented()
    for item in found:
        assert item["verb"] == verb
        assert set(item) <= known[item["type"]], set(item) - known[item["type"]]
    assert [item["type"] for item in found].count("summary") == 1
    assert found[-1]["type"] == "summary"
    assert found[-1]["exit_code"] == outcome.code
    return found


def test_encode_and_decode(clip: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct", "--verify", "--json-progress")
    *progress, file, summary = objects(outcome, "encode")
    assert "12 frames" in outcome.err
    assert {item["phase"] for item in progress} == {"encode", "verify"}
    assert progress[-1]["frames_done"] == progress[-1]["frames_total"] == 12
    assert file["bytes_written"] == (tmp_path / "x.stp").stat().st_size
    assert file["psnr_db"]["yuv"] > 30
    assert (summary["done"], summary["failed"], summary["warnings"]) == (1, 0, 0)
    file, _ = objects(run("decode", tmp_path / "x.stp", tmp_path / "x.mkv", "--json", "-q"), "decode")
    assert (file["frames"], file["target"]) == (12, str(tmp_path / "x.mkv"))


def test_several_files(clip: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    args = ("encode", clip, tmp_path / "text.mp4", "--out-dir", tmp_path / "out", "--model", "dct", "--json")
    good, bad, error, summary = objects(run(*args), "encode")
    assert (good["status"], bad["status"], bad["exit_code"]) == ("done", "failed", 3)
    assert (error["type"], error["exit_code"]) == ("error", 3)
    assert (summary["done"], summary["failed"], summary["frames"]) == (1, 1, 12)
    assert (summary["bytes_read"], summary["bytes_written"]) == (
        clip.stat().st_size, (tmp_path / "out/clip.stp").stat().st_size,
    )  # fmt: skip
    assert objects(run(*args), "encode")[0]["status"] == "skipped"
    assert objects(run(*args, "--dry-run"), "encode")[0]["status"] == "skipped"


def test_verify_and_repair(stp: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "bad.stp"
    path.write_bytes(stp.read_bytes())
    entry = flip_segment(path, 1)
    outcome = run("verify", path, "--json")
    problem, error, _ = objects(outcome, "verify")
    assert (problem["offset"], problem["length"], problem["damaged"]) == (entry.offset, entry.length, True)
    assert error["exit_code"] == outcome.code == 3
    assert f"bytes {entry.offset}" in outcome.err  # for people
    damaged, lost, file, _ = objects(run("repair", path, tmp_path / "out.stp", "--json"), "repair")
    assert damaged["type"] == lost["type"] == "problem"
    assert (lost["first_frame"], lost["end_frame"]) == (5, 10)
    assert (file["frames"], file["losses"]) == (7, 2)
    assert objects(run("verify", stp, tmp_path / "out.stp", "--json", "--deep"), "verify")[-1]["done"] == 2


def test_cut_concat_and_info(stp: Path, tmp_path: Path, run: Run) -> None:
    cut, _ = objects(run("cut", stp, tmp_path / "a.stp", "--end", "0.3", "--json"), "cut")
    assert (cut["frames"], cut["end_seconds"]) == (10, 0.4)
    joined, _ = objects(run("concat", stp, stp, tmp_path / "b.stp", "--json"), "concat")
    assert (joined["files"], joined["frames"]) == (2, 24)
    info, _ = objects(run("info", stp, "--json"), "info")
    assert info["sample_aspect_ratio"] in (None, [1, 1])


@pytest.mark.parametrize(
    "args",
    [("decode", "missing.stp", "out.mp4"), ("encode", "in.mp4", "out.stp", "--quality", "200"), ("cut", "x.stp")],
)
def test_failures_have_a_summary_too(args: tuple[str, ...], run: Run) -> None:
    outcome = run(*args, "--json")
    assert outcome.code in (2, 3)
    objects(outcome, args[0])


def test_log_file_has_what_is_said_and_not_shown(clip: Path, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    args = ("encode", clip, tmp_path / "x.stp", "--model", "dct", "-q", "--log-file", log)
    assert run(*args).err == ""
    assert run(*args).code == 2
    before, done, detail, failed = log.read_text().splitlines()
    assert before == "before"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d \d+ .*: 12 frames", done)
    assert "model dct" in detail
    assert "stpcodec: error: " in failed
    assert run(*args[:-1], tmp_path / "no/such/folder").code == 2


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(
    clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, value)
    outcome = run("encode", clip, tmp_path / "x.stp", "--model", "dct")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", outcome.err)
