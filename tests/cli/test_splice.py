from __future__ import annotations

from pathlib import Path

import av

from tests.cli.conftest import Run


def test_cut_says_what_it_kept_and_concat_joins_it_again(stp: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("cut", stp, tmp_path / "1.stp", "--end", "0.3")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.count("\n") == 1
    assert "0.000 s to 0.400 s" in outcome.err
    assert "whole segments around the 0 s to 0.3 s asked for; 10 frames" in outcome.err
    assert run("cut", stp, tmp_path / "2.stp", "--start", "0.4", "-q").err == ""
    outcome = run("concat", tmp_path / "1.stp", tmp_path / "2.stp", tmp_path / "again.stp")
    assert outcome.code == 0
    assert "2 files, 12 frames in 3 segments" in outcome.err
    assert run("verify", "--deep", tmp_path / "again.stp").code == 0
    assert run("decode", tmp_path / "again.stp", tmp_path / "again.mkv", "-q").code == 0
    assert run("decode", stp, tmp_path / "whole.mkv", "-q").code == 0
    with av.open(str(tmp_path / "again.mkv")) as again, av.open(str(tmp_path / "whole.mkv")) as whole:
        for ours, theirs in zip(again.decode(video=0), whole.decode(video=0), strict=True):
            assert ours.pts == theirs.pts
            assert (ours.to_ndarray() == theirs.to_ndarray()).all()


def test_what_cannot_be_cut_or_joined_is_one_line(stp: Path, tmp_path: Path, run: Run) -> None:
    for code, args in (
        (2, ("concat", stp)),
        (2, ("concat", stp, stp)),
        (3, ("concat", stp, tmp_path / "missing.stp", tmp_path / "out.stp")),
        (2, ("cut", stp, tmp_path / "out.stp", "--start", "9")),
        (2, ("cut", stp, stp, "--overwrite")),
    ):
        outcome = run(*args)
        assert outcome.code == code, outcome.err
        assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
