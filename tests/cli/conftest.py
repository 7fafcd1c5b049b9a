"""Runs verbs in this process, as `main` does, so that torch loads once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stpcodec.cli import main
from tests.codec.clips import pictures, write_video


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """run("info", path) → exit code, standard output, standard error."""

    def call(*args: object) -> Outcome:
        capfd.readouterr()
        code = main.run([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames of 64×48, 40 ms apart, with sound."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mkv", pictures(12), sound=True)


@pytest.fixture(scope="session")
def stp(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip encoded by the model `dct` in three segments."""
    path = tmp_path_factory.mktemp("stp") / "clip.stp"
    args = ["encode", str(clip), str(path), "--model", "dct", "--segment-frames", "5", "-q"]
    assert main.run(args) == 0
    return path
