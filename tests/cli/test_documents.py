"""Every command of the README, docs/json.md and the verbs' own help that needs no training runs as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from stpcodec.cli import main
from tests.cli.conftest import Run
from tests.codec.clips import pictures, write_video
from tests.codec.damage import flip_segment

ROOT = Path(__file__).resolve().parents[2]
# These take minutes, a GPU or other codecs; tests of their own call them with small numbers.
ELSEWHERE = {"finetune", "train", "train-plot", "export", "bench", "doctor", "batch"}
# Would write into the user's shell, or is only a form.
NO_COMMANDS = ("stpcodec COMMAND", "stpcodec --")


def documented() -> list[str]:
    found = []
    for name in ("README.md", "docs/json.md"):
        for block in re.findall(r"```\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.S):
            found += [line.split("  #")[0].strip() for line in block.splitlines()]
    for command in main.app.registered_commands:
        found += [line.strip() for line in (command.callback.__doc__ or "").splitlines()]  # type: ignore[union-attr]
    lines = {line for line in found if line.startswith("stpcodec ") and not line.startswith(NO_COMMANDS)}
    return sorted(line for line in lines if line.split()[1] not in ELSEWHERE)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, stp: Path) -> Path:
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
    shutil.copy(folder / "other.mkv", folder / "in.mkv")
    (folder / "in.mkv").rename(folder / "videos/in.mkv")
    for name in ("in.stp", "a.stp", "b.stp", "part-1.stp", "part-2.stp", "damaged.stp"):
        shutil.copy(stp, folder / name)
    for name in ("coded", "archive"):
        (folder / name).mkdir()
        shutil.copy(stp, folder / name / "one.stp")
    flip_segment(folder / "damaged.stp", 1)
    return folder


def expanded(line: str, folder: Path) -> list[str]:
    """As a shell would: patterns become names."""
    words = []
    for word in shlex.split(line)[1:]:
        words += sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]
    return words


@pytest.mark.parametrize("line", documented())
def test_command(line: str, prepared: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    for verb in ("ENCODE", "QUALITY_SEARCH"):
        monkeypatch.setenv(f"STPCODEC_{verb}_MODEL", "dct")
    command, _, reader = line.partition(" | ")
    words = expanded(command, folder)
    if "mkv" in command and "in.mkv" in words:
        shutil.copy(folder / "videos/in.mkv", folder / "in.mkv")
    if "damaged.stp" not in line:
        (folder / "damaged.stp").unlink()
        words = expanded(command, folder)
    if words[:2] == ["decode", "out.stp"]:
        (folder / "in.stp").rename(folder / "out.stp")
    if words[0] == "cut":  # the documents cut longer files
        words = [str(float(word) / 150) if re.fullmatch(r"[\d.]+", word) else word for word in words]
    if "--model" in words:
        pytest.skip("needs a model of one's own")
    outcome = run(*words)
    assert outcome.code == 0, outcome.err
    if reader.startswith("jq"):
        assert [json.loads(part)["type"] for part in outcome.out.splitlines()][-1] == "summary"


def test_there_are_commands_to_run() -> None:
    verbs = {line.split()[1] for line in documented()}
    assert verbs == {"encode", "quality-search", "decode", "info", "verify", "repair", "cut", "concat", "thumb"}
