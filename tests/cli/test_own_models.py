"""Models of one's own: `encode --model NAME` finds them, `decode` finds them by what the file says."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from stpcodec.model.folders import ENVIRONMENT
from tests.cli.conftest import Run


@pytest.fixture
def models(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model "tiny", and no other folder of models anywhere."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(tiny_weights, folder)
    return folder


@pytest.fixture
def encoded(run: Run, clip: Path, models: Path, tmp_path: Path) -> Path:
    target = tmp_path / "tiny.stp"
    outcome = run("encode", clip, target, "--model", "tiny", "--model-dir", models, "--device", "cpu", "-q")
    assert outcome.code == 0, outcome.err
    return target


def test_decode_and_verify_find_it_in_the_folder_named(run: Run, encoded: Path, models: Path, tmp_path: Path) -> None:
    assert run("decode", encoded, tmp_path / "a.y4m", "--model-dir", models, "-q").code == 0
    assert run("verify", encoded, "--model-dir", models).code == 0


@pytest.mark.parametrize("where", ["environment", "home"])
def test_decode_finds_it_without_being_told(
    run: Run, encoded: Path, models: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv(ENVIRONMENT, str(models))
    else:
        shutil.copytree(models, tmp_path / "home/stpcodec/models")
    assert run("decode", encoded, tmp_path / "a.y4m", "-q").code == 0


def test_decode_goes_by_content_not_by_name(run: Run, encoded: Path, models: Path, tmp_path: Path) -> None:
    next(models.iterdir()).rename(models / "renamed.safetensors")
    assert run("decode", encoded, tmp_path / "a.y4m", "--model-dir", models, "-q").code == 0


def test_a_missing_model_is_named_by_its_sha(
    run: Run, encoded: Path, models: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    digest = hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    for args in (("decode", encoded, tmp_path / "a.y4m", "-q"), ("verify", encoded, "-q")):
        outcome = run(*args)
        assert outcome.code == 6
        assert outcome.err.count("\n") == 1
        assert f"model tiny, weights {digest}" in outcome.err
        assert str(tmp_path / "home/stpcodec/models") in outcome.err
        assert "--model" in outcome.err
    assert not (tmp_path / "a.y4m").exists()
    assert run("decode", encoded, tmp_path / "a.y4m", "--model", tiny_weights, "-q").code == 0


def test_an_unknown_name_lists_the_known_ones(run: Run, clip: Path, models: Path, tmp_path: Path) -> None:
    outcome = run("encode", clip, tmp_path / "a.stp", "--model", "tony", "--model-dir", models)
    assert outcome.code == 6
    assert "dct, stp-s, tiny" in outcome.err
