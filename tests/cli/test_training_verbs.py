"""train, train-plot, export and finetune as a user meets them: what is refused is one line and a code."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.cli import main
from tests.cli.conftest import Run

LOG = "step,minutes,score\n1,0.5,-1\n2,0.7,-1.1\n"


@pytest.mark.parametrize("verb", ["train", "train-plot", "export", "finetune"])
def test_help_has_examples(verb: str, run: Run) -> None:
    outcome = run(verb, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"stpcodec {verb}" in outcome.out


@pytest.mark.parametrize("verb", ["train-plot", "export", "finetune"])
def test_help_names_exit_codes(verb: str, run: Run) -> None:
    assert "Exit codes:" in run(verb, "--help").out


def test_train_plot(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/log.csv").write_text(LOG)
    target = tmp_path / "curves.html"
    outcome = run("train-plot", tmp_path / "run", "--out", target)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{target}: 1 runs, 2 validations\n"
    assert "<svg" in target.read_text()
    assert run("train-plot", tmp_path / "run", "--out", target).code == 2
    assert run("train-plot", tmp_path / "run", "--out", target, "--overwrite", "-q").err == ""


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["train", "V", "--validation", "V", "--recipe", "skratch"], 2, "there is no recipe of this name"),
        (["train", "V", "--validation", "V", "--recipe", "bad.toml"], 2, "bad.toml: stage 1: leed = 1"),
        (["train", "V", "--validation", "V", "--jitter", "0.7"], 2, "--jitter"),
        (["train", "V", "--validation", "V", "--minutes", "0"], 2, "--minutes"),
        (["train-plot", "V", "--out", "c.svg"], 3, "there is no such log"),
        (["train-plot", "V", "--out", "c.png"], 2, "ends in .html or .svg"),
        (["export", "gone.pt", "--out", "o"], 3, "there is no such checkpoint"),
        (["export", "bad.toml", "--out", "o"], 6, "not a checkpoint"),
        (["export", "bad.toml", "--out", "o", "--name", "a/b"], 2, "--name"),
        (["finetune", "V", "--name", "mine"], 3, "no video or picture found"),
        (["finetune", "V", "--name", "stp-s"], 2, "there is a model of this name"),
        (["finetune", "V", "--name", "mine", "--minutes", "-1"], 2, "--minutes"),
        (["finetune", "V", "--name", "mine", "--start", "nobody"], 6, "neither a model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused(
    args: list[str], code: int, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    (tmp_path / "V").mkdir()
    (tmp_path / "bad.toml").write_text("[[stage]]\nname = 'a'\nshare = 1.0\nleed = 1\n")
    outcome = run(*args)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_options_given_win_over_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only those that are given: the others' defaults do not."""
    from stpcodec.training import train as training
    from stpcodec.training.options import TrainOptions

    asked = []

    def train_and_export(videos: object, validation: object, options: TrainOptions, **named: object) -> Path:
        asked.append(options)
        return Path("mine.safetensors")

    monkeypatch.setattr(training, "train_and_export", train_and_export)
    args = ["train", str(tmp_path), "--validation", str(tmp_path), "--recipe", "scratch", "--minutes", "100"]
    assert main.run([*args, "--lead", "5", "--device", "cpu"]) == 0
    assert main.run([*args, "--start", "stp-s", "--device", "cpu"]) == 0
    first, second = asked
    assert first.start == "linear"
    assert second.start == "stp-s"
    assert {stage.lead for stage in first.stages()} == {5}
    assert [stage.lead for stage in second.stages()] == [0, 0, 2, 2]
    assert [round(stage.minutes) for stage in second.stages()] == [3, 62, 25, 10]
    assert first.stages()[0].rate_weight == 0.0
