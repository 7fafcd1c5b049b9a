"""Every command of the README and of docs/ runs as it stands there, with small files under the names that it speaks of.

docs/commands.md holds the examples of every verb's help (test_reference.py), so these run too. What takes hours, a
network or a run's leftovers is in `NOT_RUN` with the reason, and is checked to parse.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import typer

from stpcodec.cli import main
from stpcodec.cli.session import Session
from stpcodec.evaluation.ffmpeg import NotAvailable, find_ffmpeg
from tests.cli.conftest import Run
from tests.codec.clips import pictures, write_video
from tests.codec.damage import flip_segment

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
NOT_RUN = {
    r"stpcodec (train|finetune) ": "trains for minutes to hours; test_training_verbs.py runs them for seconds",
    r"stpcodec (train-plot|export) ": "needs what a training run left; test_training_verbs.py makes one",
    r"stpcodec bench ": "takes minutes; test_bench.py runs it on two small clips",
    r"python -m stpcodec\.evaluation\.rate_distortion ": "takes minutes; test_sweep.py calls what it calls",
    r"python -m stpcodec\.training\.pages ": "needs a folder of fonts; test_pages.py draws",
    r"stpcodec batch .*--engine ray": "needs a cluster; test_ray_farm.py makes one",
    r"python -m tests\.codec\.target_figures ": "takes an hour; test_targets.py meets targets",
    r"python -m tests\.(seams|cost_curves) ": "takes minutes to hours",
    r"python -m tests\.fuzz": "takes minutes; tests/fuzz runs short campaigns",
    r"make ": "makes an environment and takes minutes",
    r"pip install ": "needs a network",
}
WRITERS = {"encode", "decode", "repair", "cut", "concat", "thumb"}
"""Verbs whose last name is a file that must not be there yet."""
MODELS = ("models/mine-1a2b3c4d", "runs/mine/stp-s-1a2b3c4d")
"""Weights files that are named by their path, with digits that are no real ones."""


def documented() -> list[str]:
    """The lines of all blocks that have no language, without their comments."""
    found = set()
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M):
            if not language:
                found |= {re.split(r"\s\s+#", line)[0].strip() for line in block.splitlines()}
    return sorted(found - {""})


def reason(line: str) -> str | None:
    """Why a line is not run; None if it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, line)), None)


RUN, PARSED = ([line for line in documented() if (reason(line) is None) == run] for run in (True, False))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, stp: Path, tiny_weights: Path) -> Path:
    """The files that the documents speak of."""
    folder = tmp_path_factory.mktemp("documents")
    random = np.random.default_rng(3)
    frames = [
        tuple(np.clip(plane + random.normal(0, 12, plane.shape), 0, 255).astype(np.uint8) for plane in triple)
        for triple in pictures(12, height=128, width=192)
    ]
    write_video(folder / "in.mp4", frames, codec="libx264")  # type: ignore[arg-type]
    write_video(folder / "other.mkv", pictures(3), sound=True)
    (folder / "videos/below").mkdir(parents=True)
    shutil.copy(folder / "other.mkv", folder / "videos/below/other.mkv")
    shutil.copy(folder / "other.mkv", folder / "videos/in.mkv")
    encode = ["encode", str(folder / "in.mp4"), "-q", "--segment-frames", "5", "--model"]
    assert main.run([*encode, "dct", str(folder / "in.stp")]) == 0
    assert main.run([*encode, str(tiny_weights), str(folder / "mine.stp")]) == 0
    shutil.copy(folder / "in.stp", folder / "out.stp")
    for name in ("a.stp", "b.stp", "part.stp", "part-1.stp", "part-2.stp", "damaged.stp"):
        shutil.copy(stp, folder / name)
    for name in ("coded", "archive"):
        (folder / name).mkdir()
        shutil.copy(stp, folder / name / "one.stp")
    flip_segment(folder / "damaged.stp", 1)
    for name in MODELS:
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(tiny_weights, folder / f"{name}.safetensors")
    digits = tiny_weights.stem.rpartition("-")[2]
    (folder / "own").mkdir()
    shutil.copy(tiny_weights, folder / f"own/yard-{digits}.safetensors")
    return folder


@pytest.fixture
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, as the working folder."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    for verb in ("ENCODE", "QUALITY_SEARCH", "BATCH"):
        monkeypatch.setenv(f"STPCODEC_{verb}_MODEL", "dct")
    monkeypatch.setenv("STPCODEC_MODELS", str(folder / "own"))
    return folder


def settle(words: list[str], folder: Path) -> list[str]:
    """A command's words after `stpcodec`, patterns expanded as a shell would; makes room for its output, and times
    shorter: the documents speak of longer videos."""
    if "in.mkv" in words or "*.mkv" in words:
        shutil.copy(folder / "videos/in.mkv", folder / "in.mkv")
    if "*.mkv" in words:  # in.mp4 and in.mkv would both become in.stp
        (folder / "in.mkv").rename(folder / "also.mkv")
    if "damaged.stp" not in words:
        (folder / "damaged.stp").unlink()
    settled: list[str] = []
    for word in words:
        if "*" in word:
            settled += sorted(str(path.relative_to(folder)) for path in folder.glob(word))
        elif settled and settled[-1] in ("--start", "--end", "--seconds"):
            settled.append(str(float(word) / 150))
        else:
            settled.append(word)
    names = list(takewhile(lambda word: word == "-" or not word.startswith("-"), settled[1:]))
    if settled[0] in WRITERS and len(names) > 1 and "--out-dir" not in settled:
        (folder / names[-1]).unlink(missing_ok=True)
    return settled


@pytest.mark.parametrize("line", [line for line in RUN if "|" not in line])
def test_command(line: str, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(line)
    assert program == "stpcodec"
    if "--effort" in words:  # the model dct has nothing to choose
        monkeypatch.setenv("STPCODEC_ENCODE_MODEL", str(next(here.glob("own/*"))))
    outcome = run(*settle(words, here))
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("line", [line for line in RUN if "|" in line])
def test_pipe(line: str, here: Path, tmp_path: Path) -> None:
    """As a shell runs it. `ffplay` has no screen here: ffmpeg reads in its place what it would show."""
    tools = tmp_path / "tools"
    tools.mkdir()
    _shim(tools / "stpcodec", sys.executable, "-c", "import sys; from stpcodec.cli.main import main; sys.exit(main())")
    if "ff" in line:
        try:
            ffmpeg = find_ffmpeg().path
        except NotAvailable as error:
            pytest.skip(str(error))
        _shim(tools / "ffmpeg", ffmpeg, "-loglevel", "error")
        _shim(tools / "ffplay", ffmpeg, "-loglevel", "error", "-f", "null", os.devnull, "-i")
    if "jq" in line and shutil.which("jq") is None:
        pytest.skip("no jq here")
    for part in line.split("|"):
        if part.split()[0] == "stpcodec":
            settle(shlex.split(part)[1:], here)
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr


def _shim(path: Path, *command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)


class Parsed(Exception):
    """Parsing was enough."""


@pytest.mark.parametrize("line", PARSED)
def test_what_is_not_run_parses(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(line)
    if program == "stpcodec":
        group = typer.main.get_command(main.app)
        parent = group.make_context("stpcodec", [words[0]], obj=Session())
        name, command, rest = group.resolve_command(parent, words)  # type: ignore[attr-defined]
        command.make_context(name, rest, parent=parent)
    elif program == "python":
        original = argparse.ArgumentParser.parse_args

        def parse(self: argparse.ArgumentParser, *args: object) -> None:
            original(self, words[2:])
            raise Parsed

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
        # As in a fresh interpreter: runpy warns of a module that another test imported already.
        monkeypatch.delitem(sys.modules, words[1], raising=False)
        with pytest.raises(Parsed):
            runpy.run_module(words[1], run_name="__main__")
    elif program == "make":
        if shutil.which("make") is None:
            pytest.skip("no make here")
        subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)
    else:
        assert program == "pip"
        extras = set(re.findall(r"\[(\w+)\]", line))
        assert extras <= tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()


def test_there_are_commands_to_run() -> None:
    programs = {line.split()[0] for line in documented()}
    assert programs <= {"stpcodec", "ffmpeg", "python", "make", "pip"}, "a line that is no command needs a language"
    verbs = {match for line in RUN for match in re.findall(r"stpcodec ([a-z-]+)", line)}
    registered = set(typer.main.get_command(main.app).commands)  # type: ignore[attr-defined]
    not_run = {"batch", "bench", "bench-speed", "train", "train-plot", "export", "finetune"}
    assert verbs == {"--version"} | registered - not_run
