from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_sheet(stp: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("thumb", stp, tmp_path / "s.png", "-n", "2", "-v")
    assert outcome.code == 0, outcome.err
    assert "2 pictures, 140x56" in outcome.err
    assert "at 0:00:00.000, 0:00:00.200" in outcome.err
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    outcome = run("thumb", stp, tmp_path / "t.png", "--json")
    assert "3 pictures of the 12 asked for" in outcome.err
    assert len(json.loads(outcome.out.splitlines()[0])["seconds"]) == 3


def test_what_is_wrong_is_one_line(stp: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "s.png").write_bytes(b"mine")
    for code, target in ((2, "s.png"), (2, "s.gif"), (5, "no/s.png")):
        outcome = run("thumb", stp, tmp_path / target)
        assert (outcome.code, outcome.err.count("\n")) == (code, 1)
    assert (tmp_path / "s.png").read_bytes() == b"mine"
