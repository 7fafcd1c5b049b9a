from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.codec.damage import cut_behind, flip_segment


@pytest.fixture
def damaged(stp: Path, tmp_path: Path) -> Path:
    (tmp_path / "bad.stp").write_bytes(stp.read_bytes())
    flip_segment(tmp_path / "bad.stp", 1)
    return tmp_path / "bad.stp"


def test_repair_says_what_is_lost(damaged: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("repair", damaged, tmp_path / "out.stp")
    assert (outcome.code, outcome.err) == (0, "")
    first, second, summary = outcome.out.splitlines()
    assert first.startswith(f"{damaged}: bytes ")
    assert "lost: frames 5 to 9, 0.200 s to 0.400 s, bytes " in second
    assert "7 frames in 2 segments" in summary
    assert "5 frames are lost" in summary
    assert run("verify", tmp_path / "out.stp").code == 0
    assert run("repair", damaged, tmp_path / "out.stp").code == 2
    assert run("repair", damaged, tmp_path / "out.stp", "--overwrite", "-q").code == 0
    assert run("verify", damaged).code == 3


def test_what_cannot_be_repaired(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.stp").write_bytes(b"not at all")
    outcome = run("repair", tmp_path / "x.stp", tmp_path / "out.stp")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out.stp").exists()


def test_conceal_warns_of_each_gap(damaged: Path, tmp_path: Path, run: Run) -> None:
    assert run("decode", damaged, tmp_path / "out.mkv").code == 3
    outcome = run("decode", damaged, tmp_path / "out.mkv", "--conceal", "-q")
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1
    assert "warning" in outcome.err
    assert "frames 5 to 9 (0.200 to 0.400 s) are lost" in outcome.err


def test_a_file_cut_off_decodes_with_a_warning(stp: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "cut.stp").write_bytes(stp.read_bytes())
    cut_behind(tmp_path / "cut.stp", 0, extra=30)
    outcome = run("decode", tmp_path / "cut.stp", tmp_path / "out.mkv")
    assert outcome.code == 0
    assert "up to its last complete segment, 5 frames" in outcome.err
