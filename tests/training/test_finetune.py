"""A model of one's own footage, from videos to a file that codes; refused where it cannot be, or is not better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import stpcodec
from stpcodec.errors import InputError, ModelError, OutputError, TargetUnreachable, UsageError
from stpcodec.model.folders import ENVIRONMENT
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.zoo import load_model
from stpcodec.training import finetune as module
from stpcodec.training import train as training
from stpcodec.training.export import export_weights
from stpcodec.training.finetune import FinetuneOptions, FinetuneReport, finetune
from stpcodec.training.fit import longest_fit
from stpcodec.training.library import Scenery
from stpcodec.training.options import TrainOptions
from stpcodec.training.recipe import Recipe, load_recipe
from stpcodec.training.run_record import RunRecord, read_record, write_record
from tests.codec.clips import write_video
from tests.tiny_model import TINY, moving_planes, tiny_network, tiny_tables
from tests.training.material import cached_clip, write_clip

CPU = torch.device("cpu")


def faster(recipe: Recipe) -> Recipe:
    """The shipped one with a rate at which a handful of steps shows."""
    quick = {"learning_rate": 3e-3, "warmup_steps": 1, "batch": 2, "pictures": 1, "chunks": 1, "lead": 1}
    return replace(recipe, stages=tuple(replace(s, options={**s.options, **quick}) for s in recipe.stages))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, and nothing of this machine's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(module, "load_recipe", lambda name: faster(load_recipe(name)))
    return tmp_path / "home/stpcodec/models"


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is adapted, in place of the default model."""
    folder = tmp_path_factory.mktemp("start")
    return export_weights(tiny_network(config=TINY), tiny_tables(TINY), initial_tables(), folder)


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("footage") / "yard.mkv", count=24, height=64, width=96, dx=1)


@pytest.fixture
def options(tmp_path: Path, weights: Path) -> FinetuneOptions:
    return FinetuneOptions(
        name="yard", minutes=1.5, run=tmp_path / "run", device=CPU, start=str(weights), bf16=False, count_batches=1
    )


def adapt(footage: Path, options: FinetuneOptions) -> tuple[FinetuneReport, list[str]]:
    said: list[str] = []
    return finetune([footage], options, say=said.append), said


@pytest.mark.usefixtures("small")
def test_from_footage_to_a_model_that_is_found_and_codes(
    footage: Path, options: FinetuneOptions, home: Path, weights: Path, tmp_path: Path
) -> None:
    report, said = adapt(footage, options)
    assert report.weights.parent == home
    assert report.weights.name.startswith("yard-")
    assert report.before is not None
    assert report.after is not None
    assert report.after.score < report.before.score
    assert 0 < report.saving < 1
    gain = f"held-out part: {report.saving:.1%} fewer bytes at the same PSNR, 0 picture(s) in the library"
    assert report.lines()[0] == gain
    assert len(report.lines()) == 1 + 3 + 1 + 4
    assert any("1 of them held out" in line for line in said)
    card = report.weights.with_suffix(".md").read_text()
    assert "| trained on | `yard.mkv`: 1 clips" in card
    assert f"| adapted from | `{weights.name}` |" in card
    assert f"| gain | {gain} |" in card
    assert "| validated on | the last part of them, held out: 1 clips |" in card
    settings = next(line for line in card.splitlines() if line.startswith("| settings |"))
    assert "learning_rate" not in settings, "that is the recipe's"
    assert "`finetune-" in card
    assert not (options.run / "footage").exists(), "the pieces are gone, they are large"
    stpcodec.encode(footage, tmp_path / "a.stp", model="yard", device="cpu")
    stpcodec.decode(tmp_path / "a.stp", tmp_path / "a.y4m", device="cpu")
    with stpcodec.open(tmp_path / "a.stp") as file:
        assert file.model == "yard"
        assert len(file) == 24
    report.weights.unlink()
    with pytest.raises(ModelError, match="model yard, weights"):
        stpcodec.decode(tmp_path / "a.stp", tmp_path / "b.y4m", device="cpu")


@pytest.mark.usefixtures("small", "home")
def test_an_interrupted_one_continues(footage: Path, options: FinetuneOptions, tmp_path: Path) -> None:
    calls = []

    def poll() -> None:
        calls.append(1)
        if len(calls) == 2 * 24 + 2 + 3:  # every frame, for the library and for pieces, every piece, and two steps
            raise KeyboardInterrupt

    chosen = replace(options, model_dir=tmp_path / "models", minutes=2.0)
    with pytest.raises(KeyboardInterrupt):
        finetune([footage], chosen, say=lambda line: None, poll=poll)
    assert (options.run / "last.pt").exists()
    assert list((tmp_path / "models").iterdir()) == []
    report, said = adapt(footage, chosen)
    assert any(line.startswith(f"continuing {options.run} at step 2") for line in said)
    assert report.weights.parent == tmp_path / "models"


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place that lies still, and what passes through it."""
    scene = moving_planes(1, 64, 96, seed=4)
    frames = []
    for number in range(60):
        luma = scene.y[0].clone()
        luma[24:40, (4 * number) % 80 : (4 * number) % 80 + 16] = 0.9
        planes = (luma, scene.u[0], scene.v[0])
        frames.append(tuple((255 * plane).round().numpy().astype(np.uint8) for plane in planes))
    return write_video(tmp_path_factory.mktemp("camera") / "door.mkv", frames, codec="ffv1")  # type: ignore[arg-type]


def test_without_training_it_gets_pictures_of_the_place(
    camera: Path, options: FinetuneOptions, home: Path, weights: Path, tmp_path: Path
) -> None:
    report, said = adapt(camera, replace(options, minutes=0))
    assert report.pictures == 1
    assert report.saving > 0.2
    assert report.before is None
    assert [line for line in said if "score" in line or "motion" in line] == []
    assert report.lines()[0].endswith("fewer bytes at the same PSNR, 1 picture(s) in the library")
    assert len(report.lines()) == 4
    assert not (options.run / "footage").exists()
    sizes = {}
    for model in ("yard", str(weights)):
        stpcodec.encode(camera, tmp_path / "a.stp", model=model, device="cpu", overwrite=True)
        sizes[model] = (tmp_path / "a.stp").stat().st_size
        stpcodec.decode(tmp_path / "a.stp", tmp_path / "a.y4m", device="cpu", overwrite=True, model=model)
    assert sizes["yard"] < sizes[str(weights)]
    again, _ = adapt(camera, replace(options, minutes=0, name="again", validation=(camera,), start=str(weights)))
    assert again.pictures == 1, "measured on other videos"
    with pytest.raises(TargetUnreachable, match="no picture of the footage"):
        adapt(camera, replace(options, minutes=0, name="more", start=str(report.weights)))


def test_networks_and_pictures_together(camera: Path, options: FinetuneOptions, small: None, home: Path) -> None:
    report, _ = adapt(camera, options)
    assert report.before is not None
    assert report.pictures == 1
    model = load_model("yard", device=CPU)
    assert [(picture.height, picture.width) for picture in model.library] == [(64, 96)]


@pytest.mark.usefixtures("small", "home")
def test_networks_that_code_worse_are_not_taken(
    camera: Path, footage: Path, options: FinetuneOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their estimated score is better; what counts is what they make of the held-out part."""
    real = module._measured

    def measured(report: FinetuneReport, scenery: Scenery) -> FinetuneReport:
        found = real(report, scenery)
        if report.before is None:
            return found
        return replace(found, coded_after=tuple(replace(old, psnr_db=old.psnr_db - 1) for old in found.coded_before))

    monkeypatch.setattr(module, "_measured", measured)
    report, said = adapt(camera, options)
    assert report.before is None
    assert report.pictures == 1
    assert any("they stay so" in line for line in said)
    with pytest.raises(TargetUnreachable, match="nothing was gained"):
        adapt(footage, replace(options, name="pan", run=tmp_path / "pan"))


def test_without_training_what_does_not_come_again_makes_no_model(
    options: FinetuneOptions, home: Path, tmp_path: Path
) -> None:
    moving = write_clip(tmp_path / "pan.mkv", count=60, height=64, width=96, dx=12)
    with pytest.raises(TargetUnreachable, match="no picture of the footage makes its held-out part smaller"):
        adapt(moving, replace(options, minutes=0))
    short = write_clip(tmp_path / "short.mkv", count=5, height=64, width=96)
    with pytest.raises(InputError, match=r"short\.mkv: holds too little"):
        adapt(short, replace(options, minutes=0))
    with pytest.raises(UsageError, match="minutes"):
        adapt(moving, replace(options, minutes=-1))
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_what_is_not_better_is_not_written(
    footage: Path, options: FinetuneOptions, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def idle(name: str) -> Recipe:
        recipe = load_recipe(name)
        return replace(recipe, stages=tuple(replace(s, options={"learning_rate": 1e-30}) for s in recipe.stages))

    monkeypatch.setattr(module, "load_recipe", idle)
    with pytest.raises(TargetUnreachable, match=r"nothing was gained .* more --minutes goes on") as caught:
        adapt(footage, options)
    assert caught.value.exit_code == 5
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_measured_on_other_videos_all_is_learned(
    footage: Path, options: FinetuneOptions, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_clip(tmp_path / "other/b.mkv", count=24, height=64, width=96, seed=9)
    given = []

    def train_clips(clips: list[Path], *args: object, **named: object) -> Path:
        given.append(sum(len(np.load(clip)) for clip in clips))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_clips", train_clips)
    with pytest.raises(KeyboardInterrupt):
        adapt(footage, options)
    with pytest.raises(KeyboardInterrupt):
        adapt(footage, replace(options, validation=(other.parent,)))
    assert given == [24 - 7, 24]
    record = read_record(options.run)
    assert record is not None
    assert record.validation == (str(other.parent),)
    with pytest.raises(InputError, match="is to be learned from and in --validation"):
        adapt(footage, replace(options, name="again", validation=(footage.parent,), run=tmp_path / "again"))


@pytest.mark.usefixtures("small", "home")
def test_names_that_are_taken_are_refused(
    footage: Path, options: FinetuneOptions, home: Path, tmp_path: Path
) -> None:
    home.mkdir(parents=True)
    (home / "yard-01234567.safetensors").write_text("an earlier one")
    for name in ("yard", "stp-s", "dct"):
        with pytest.raises(UsageError, match=f"--name {name}: there is a model of this name"):
            adapt(footage, replace(options, name=name))
    with pytest.raises(UsageError, match="--name"):
        adapt(footage, replace(options, name="../yard"))
    assert not options.run.exists()


@pytest.mark.usefixtures("small", "home")
def test_what_cannot_be_adapted_from(footage: Path, options: FinetuneOptions, tmp_path: Path) -> None:
    other = replace(TINY, inter=replace(TINY.inter, latents=20))
    weights = export_weights(tiny_network(config=other), tiny_tables(other), initial_tables(), tmp_path)
    with pytest.raises(ModelError, match="of another architecture"):
        adapt(footage, replace(options, start=str(weights)))
    with pytest.raises(ModelError, match="neither a model"):
        adapt(footage, replace(options, start="nothing-like-this"))


@pytest.mark.usefixtures("small", "home")
def test_a_run_of_other_videos_is_refused(footage: Path, options: FinetuneOptions, tmp_path: Path) -> None:
    options.run.mkdir()
    (options.run / "last.pt").write_text("of an earlier run")
    write_record(options.run, RunRecord((str(footage),), (), "", options.start))
    other = tmp_path / "b.mkv"
    with pytest.raises(UsageError, match=r"holds a run with other videos \(.*yard\.mkv\)"):
        adapt(other, replace(options, name="other"))


@pytest.mark.usefixtures("small", "home")
def test_folders_that_cannot_be_written(footage: Path, options: FinetuneOptions, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        adapt(footage, replace(options, model_dir=tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written"):
        adapt(footage, replace(options, run=tmp_path / "file"))


@pytest.mark.usefixtures("small", "home")
def test_a_full_disk_is_one_line(
    footage: Path, options: FinetuneOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *args: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match=r"piece-.*cannot be written \(No space left on device\)") as caught:
        adapt(footage, options)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("small")
def test_sequences_fit_the_clips(tmp_path: Path) -> None:
    """The lead gives way first, then the number of chunks, then the crop; half of the clips have to fit."""
    asked = TrainOptions(minutes=1, run=tmp_path, cache=tmp_path, device=CPU, crop=128, chunks=3, lead=4)

    def fit(*sizes: tuple[int, int]) -> tuple[int, int, int]:
        clips = [
            cached_clip(tmp_path / f"{count}-{height}-{number}", count=count, height=height, width=160)
            for number, (count, height) in enumerate(sizes)
        ]
        found = longest_fit(clips, asked)
        return found.crop, found.chunks, found.lead

    assert fit((15, 128)) == (128, 3, 4)
    assert fit((11, 128)) == (128, 3, 2)
    assert fit((5, 128)) == (128, 2, 0)
    assert fit((15, 80)) == (64, 3, 4)
    assert fit((15, 128), (11, 128), (5, 128)) == (128, 3, 2), "two of three"
    with pytest.raises(InputError, match="name longer or larger videos"):
        fit((1, 128))
