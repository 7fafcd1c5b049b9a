"""From a checkpoint to a model in a folder: weights and card, both or neither, nothing overwritten."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from stpcodec.errors import InputError, ModelError, OutputError, UsageError
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.zoo import load_model
from stpcodec.training import publish as module
from stpcodec.training.checkpoint import Checkpoint, save_checkpoint
from stpcodec.training.export import export_weights
from stpcodec.training.publish import ExportOptions, check_name, export_checkpoint, make_folder
from stpcodec.training.run_log import append_rows
from stpcodec.training.run_record import RunRecord, write_record
from tests.tiny_model import TINY, tiny_network, tiny_tables

CPU = torch.device("cpu")


@pytest.fixture
def run_folder(tmp_path: Path, videos: Path) -> Path:
    """What a short run leaves, without having run."""
    folder = tmp_path / "run"
    folder.mkdir()
    state = Checkpoint.fresh(tiny_network(config=TINY))
    state.step, state.skipped, state.minutes, state.best_score = 120, 2, 12.5, -1.25
    save_checkpoint(folder / "best.pt", state, optimiser=None)
    record = RunRecord(
        videos=(str(videos / "train"),), validation=(str(videos / "held-out"),), cache=str(videos / "cache"),
        start="stp-s", recipe="mine-01234567", stages=("warm-up: 10% of the minutes", "rest: 90% of the minutes"),
        files=2, validation_files=1, settings={"crop": 64, "chunks": 2, "seed": 3, "batch": 6},
    )  # fmt: skip
    write_record(folder, record)
    with append_rows(folder / "log.csv") as write:
        for step in range(0, 130, 10):
            write({"step": float(step), "minutes": step / 10, "score": -1 - step / 500})
    return folder


def export(run_folder: Path, out: Path, **named: object) -> Path:
    options = ExportOptions(run_folder / "best.pt", out, CPU, count_batches=1, **named)  # type: ignore[arg-type]
    return export_checkpoint(options, say=lambda line: None)


@pytest.mark.usefixtures("small")
def test_weights_and_card(run_folder: Path, tmp_path: Path) -> None:
    weights = export(run_folder, tmp_path / "models/new", licence="CC-BY-4.0")
    model, digest = load_model(weights, device=CPU), hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (model.name, model.weights_sha256) == ("tiny", digest)
    assert sorted(path.name for path in weights.parent.iterdir()) == [
        f"tiny-{digest[:8]}.md", f"tiny-{digest[:8]}.safetensors"
    ]  # fmt: skip
    card = weights.with_suffix(".md").read_text()
    for expected in (
        "# Model card: tiny", digest, "| steps | 120, of them 2 skipped", "| minutes | 12.5 |", "-1.2500",
        "`train`: 2 clips", "`held-out`: 1 clips", "| began with | stp-s |", "warm-up: 10% of the minutes; rest",
        "batch 6", "| licence | CC-BY-4.0 |", "| 120 | 12.0 | -1.2400 |",
    ):  # fmt: skip
        assert expected in card, expected
    assert str(tmp_path) not in card, "where it lay on the disk is nobody's business"
    assert card.count("\n| ") < 40
    with pytest.raises(UsageError, match="exists already"):  # counted again, it is the same file
        export(run_folder, tmp_path / "models/new")


@pytest.fixture
def quick(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that nobody has counted: what is tested is where the files go."""

    def export_average(state: Checkpoint, clips: object, options: object, folder: Path) -> Path:
        return export_weights(state.average, tiny_tables(TINY), initial_tables(), folder)

    monkeypatch.setattr(module, "export_average", export_average)


@pytest.mark.usefixtures("quick")
def test_under_another_name(run_folder: Path, tmp_path: Path) -> None:
    weights = export(run_folder, tmp_path / "out", name="yard_2")
    assert weights.name.startswith("yard_2-")
    assert load_model(weights, device=CPU).name == "yard_2"
    assert "# Model card: yard_2" in weights.with_suffix(".md").read_text()


@pytest.mark.usefixtures("quick")
def test_the_same_again_is_refused_and_changes_nothing(run_folder: Path, tmp_path: Path) -> None:
    weights = export(run_folder, tmp_path / "out")
    card = weights.with_suffix(".md")
    card.write_text("improved by hand")
    with pytest.raises(UsageError, match="exists already; nothing was written"):
        export(run_folder, tmp_path / "out")
    assert card.read_text() == "improved by hand"
    card.unlink()
    with pytest.raises(UsageError, match=r"safetensors: exists already"):
        export(run_folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == [weights], "no card without its weights"


@pytest.mark.usefixtures("quick")
def test_a_file_system_without_links(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    weights = export(run_folder, tmp_path / "out")
    assert weights.with_suffix(".md").is_file()
    with pytest.raises(UsageError, match="exists already"):
        export(run_folder, tmp_path / "out")


@pytest.mark.usefixtures("quick")
def test_an_interruption_leaves_nothing(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_card", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(run_folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_checkpoint_without_its_run_needs_videos(run_folder: Path, videos: Path, tmp_path: Path) -> None:
    """Runs of before run.json, or a checkpoint that was copied away."""
    (tmp_path / "alone").mkdir()
    shutil.copy(run_folder / "best.pt", tmp_path / "alone")
    with pytest.raises(UsageError, match=r"no run\.json .*--videos"):
        export(tmp_path / "alone", tmp_path / "out")
    weights = export(tmp_path / "alone", tmp_path / "out", videos=(videos / "train",), cache=videos / "cache")
    assert "not recorded" in weights.with_suffix(".md").read_text()


def test_what_is_no_checkpoint(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name a checkpoint in it"):
        export_checkpoint(ExportOptions(run_folder, tmp_path / "out", CPU), say=lambda line: None)
    with pytest.raises(InputError, match="there is no such checkpoint"):
        export_checkpoint(ExportOptions(run_folder / "gone.pt", tmp_path / "out", CPU), say=lambda line: None)
    with pytest.raises(ModelError, match="not a checkpoint"):
        export_checkpoint(ExportOptions(run_folder / "log.csv", tmp_path / "out", CPU), say=lambda line: None)
    (run_folder / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json: cannot be read"):
        export(run_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(OutputError, match="cannot be written"):
            make_folder(folder)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".mine", "-mine", "a/b", "a\\b", "a b", "mine.", "é", "a" * 41, "mine\n", "mine-1a2b3c4d"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_name(name)


@pytest.mark.parametrize("name", ["mine", "Yard_2", "a", "a" * 40, "front-door.v2", "mine-1a2b3c4"])
def test_names_that_are_taken(name: str) -> None:
    check_name(name)
