"""Defaults from a file and the environment: what they reach, what wins, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stpcodec.cli.settings import user_config
from tests.cli.conftest import Run


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STPCODEC_CONFIG", str(tmp_path / "mine.toml"))
    return tmp_path / "mine.toml"


def encoded(run: Run, clip: Path, target: Path, *options: object) -> dict[str, Any]:
    outcome = run("encode", clip, target, "--json", "--overwrite", *options)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out.splitlines()[0])


def test_the_command_line_wins_over_the_environment_over_the_file(
    config: Path, clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('[defaults]\nthreads = 1\n[encode]\nmodel = "dct"\nquality = 33\nsegment-frames = 4\n')
    target = tmp_path / "x.stp"
    file = encoded(run, clip, target)
    assert (file["model"], file["quality"], file["segments"]) == ("dct", 33, 3)
    monkeypatch.setenv("STPCODEC_ENCODE_QUALITY", "44")
    assert encoded(run, clip, target)["quality"] == 44
    assert encoded(run, clip, target, "--quality", "55")["quality"] == 55


def test_flags(config: Path, stp: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[verify]\ndeep = true\n[train]\nquiet = true\n")
    assert "all decoded" in run("verify", stp).out
    monkeypatch.setenv("STPCODEC_VERIFY_DEEP", "0")
    assert "all decoded" not in run("verify", stp).out
    monkeypatch.setenv("STPCODEC_VERIFY_JSON", "1")
    assert json.loads(run("verify", stp).out.splitlines()[-1])["type"] == "summary"


def test_an_aim_gives_way_to_a_quality_of_the_command_line(config: Path, clip: Path, tmp_path: Path, run: Run) -> None:
    config.write_text('[encode]\nmodel = "dct"\ntarget-size = "20kB"\n')
    assert encoded(run, clip, tmp_path / "x.stp")["goal"]["kind"] == "size"
    assert "goal" not in encoded(run, clip, tmp_path / "x.stp", "--quality", "50")
    assert encoded(run, clip, tmp_path / "x.stp", "--target-psnr", "33")["goal"]["kind"] == "psnr"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[encode]\nqualty = 3", "[encode] qualty: no such option; did you mean quality?"),
        ("[encod]\nquality = 3", "[encod] is no command; did you mean encode?"),
        ("quality = 3", "quality stands outside of a section"),
        ("[encode]\nquality = 300", "[encode] quality = 300: "),
        ('[encode]\nquality = "fine"', "[encode] quality = 'fine': "),
        ("[encode]\noverwrite = 3", "must be true or false"),
        ("[encode", "is no TOML file"),
        (None, "cannot be read"),
    ],
)
def test_mistakes_are_named(config: Path, stp: Path, run: Run, text: str | None, said: str) -> None:
    if text is not None:
        config.write_text(text)
    outcome = run("info", stp)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert str(config) in outcome.err
    assert said in outcome.err


def test_mistakes_in_the_environment(stp: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPCODEC_ENCODE_QUALITY", "lots")
    outcome = run("info", stp)
    assert outcome.code == 2
    assert "environment, encode: quality = 'lots'" in outcome.err


def test_the_users_file_but_none_of_the_working_folder(
    stp: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STPCODEC_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stpcodec.toml").write_text("[verify]\nquiet = true\n")
    assert run("verify", stp).out != ""
    user_config().parent.mkdir(parents=True)
    user_config().write_text("[verify]\nquiet = true\n")
    assert run("verify", stp).out == ""
    monkeypatch.setenv("STPCODEC_CONFIG", "")
    assert run("verify", stp).out != ""
