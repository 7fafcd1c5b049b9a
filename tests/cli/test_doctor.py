from __future__ import annotations

import json
from pathlib import Path

import pytest

from stpcodec.cli import installation
from stpcodec.codec import selftest
from stpcodec.errors import VerificationFailed
from tests.cli.conftest import Run


def test_a_sound_installation(run: Run) -> None:
    outcome = run("doctor", "--json", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    checks = [json.loads(line) for line in outcome.out.splitlines()]
    assert checks.pop()["type"] == "summary"
    assert all(check["ok"] for check in checks)
    names = [check["name"] for check in checks]
    assert names == ["versions", "devices", "models", "codecs", "disk", "temporary", "self-test", "self-test"]


def test_what_is_wrong_is_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine-12345678.safetensors").write_bytes(b"damaged")
    monkeypatch.setenv("STPCODEC_MODELS", str(tmp_path))
    monkeypatch.setattr(installation, "PACKAGES", ("torch", "no-such-package"))
    outcome = run("doctor", "--no-self-test", "-q")
    assert outcome.code == 4
    versions, models = outcome.out.splitlines()
    assert versions.startswith("problem  versions")
    assert "pip install no-such-package" in versions
    assert "mine-12345678.safetensors: damaged" in models
    assert "2 of the checks" in outcome.err


def test_a_self_test_that_fails_is_a_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: str | None, *, device: str) -> float:
        raise VerificationFailed(f"model {model}: came back wrong") if model == "dct" else RuntimeError("no kernel")

    monkeypatch.setattr(selftest, "self_test", fail)
    outcome = run("doctor")
    assert outcome.code == 4
    assert "model dct: came back wrong" in outcome.out
    assert "RuntimeError: no kernel; install the package again" in outcome.out
