"""A whole run on two tiny clips: from videos to weights that code, interrupted, continued, refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import stpcodec
from stpcodec.codec.chunk import ChunkCodec
from stpcodec.errors import InputError, ModelError, UsageError
from stpcodec.model.network import StpNetwork
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training import batches
from stpcodec.training import train as module
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint
from stpcodec.training.options import TrainOptions
from stpcodec.training.train import train, train_and_export
from tests.tiny_model import TINY, moving_planes
from tests.training.material import write_clip

CPU = torch.device("cpu")


def run(
    videos: Path, options: TrainOptions, *, export: bool = False, poll: Callable[[], None] = lambda: None
) -> tuple[Path, list[str]]:
    said: list[str] = []
    function = train_and_export if export else train
    return function([videos / "train"], [videos / "held-out"], options, say=said.append, poll=poll), said


def state_of(options: TrainOptions, name: str = "last.pt") -> Checkpoint:
    state = load_checkpoint(options.run / name, CPU)
    assert state is not None
    return state


def rows(options: TrainOptions) -> list[dict[str, str]]:
    with (options.run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("small")
def test_from_videos_to_weights_that_code(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    weights, said = run(videos, options, export=True)
    assert weights.parent == options.run
    assert weights.name.startswith("tiny-")
    assert any("broken.mp4: left out" in line for line in said)
    assert any(line.startswith("linear start keeps") for line in said)
    state = state_of(options)
    assert 2 <= state.step <= 4
    assert 0 < state.minutes <= 1.5
    log = rows(options)
    assert [int(row["step"]) for row in log] == [1, state.step]
    assert all(float(row["score"]) and float(row["train_inter_bpp"]) > 0 for row in log)
    codec = ChunkCodec(load_model(weights, device=CPU))
    frames, history, previous = moving_planes(3, 48, 80, dx=1), None, None
    for part in (frames[:1], frames[1:]):
        encoded = codec.encode(part, quality=60, history=history)
        found = codec.decode_latents(
            encoded.streams, frame_count=len(part), height=48, width=80, quality=60, previous=previous
        )
        for ours, theirs in zip(found.pictures, encoded.latents.pictures, strict=True):
            assert torch.equal(ours.y, theirs.y)
        history, previous = encoded.history, encoded.latents
    target = tmp_path / "out.stp"
    stpcodec.encode(videos / "train/a.mp4", target, model=str(weights), device="cpu", verify=True)
    assert target.stat().st_size < (7 * 80 * 112 * 3 // 2) / 2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("part", ["intra", "inter"])
def test_one_network_alone(videos: Path, options: TrainOptions, part: str) -> None:
    """The other one stays bit for bit as it started."""
    torch.manual_seed(options.seed)
    run(videos, replace(options, part=part))
    state, other = state_of(options), "inter" if part == "intra" else "intra"
    (options.run / "last.pt").unlink()
    run(videos, replace(options, part=other, minutes=1e-9))
    start = state_of(options)
    assert state.step > start.step == 0
    for name, parameter in getattr(state.network, other).named_parameters():
        assert torch.equal(parameter, getattr(start.network, other).get_parameter(name)), name
    changed = [
        not torch.equal(parameter, getattr(start.network, part).get_parameter(name))
        for name, parameter in getattr(state.network, part).named_parameters()
    ]
    assert sum(changed) > len(changed) / 2


@pytest.mark.usefixtures("small")
def test_mixed_precision_trains_too(videos: Path, options: TrainOptions) -> None:
    run(videos, replace(options, bf16=True))
    state = state_of(options)
    assert state.step >= 2
    assert state.skipped == 0


@pytest.mark.usefixtures("small")
def test_a_run_continues_where_it_was(videos: Path, options: TrainOptions) -> None:
    run(videos, options)
    first = state_of(options)
    _, said = run(videos, options)
    second = state_of(options)
    assert any(f"at step {first.step}" in line for line in said)
    assert second.step > first.step
    assert second.minutes > first.minutes, "minutes go on counting"
    assert second.best_score <= first.best_score
    steps = [int(row["step"]) for row in rows(options)]
    assert steps == sorted(steps)
    assert steps[-1] == second.step
    minutes = [float(row["minutes"]) for row in rows(options)]
    assert minutes == sorted(minutes)


@pytest.mark.usefixtures("small")
def test_starting_from_weights(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    """No linear start: the first validation is that of the weights given, nearly."""
    weights, _ = run(videos, options, export=True)
    before = state_of(options, "best.pt").best_score
    _, said = run(videos, replace(options, run=tmp_path / "second", start=str(weights), learning_rate=1e-9))
    assert said[-1].startswith("step")
    assert f"starting from {weights}" in said
    assert not any("linear start" in line for line in said)
    after = state_of(replace(options, run=tmp_path / "second")).best_score
    assert after == pytest.approx(before, abs=0.02)


NO_STEP = 1e-9
"""Minutes: what such a run leaves is what it started from."""


@pytest.mark.usefixtures("small")
def test_starting_from_a_checkpoint(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    """From its average, which is what was validated, with counters anew; all of it can be trained."""
    run(videos, options)
    given = options.run / "last.pt"
    second = replace(options, run=tmp_path / "second", start=str(given))
    _, said = run(videos, replace(second, minutes=NO_STEP))
    assert f"starting from {given}" in said
    assert not any("linear start" in line for line in said)
    old, new = state_of(options), state_of(second)
    assert new.step == 0
    pairs = list(zip(old.network.parameters(), old.average.parameters(), new.network.parameters(), strict=True))
    assert all(torch.equal(average, mine) for _, average, mine in pairs)
    assert any(not torch.equal(trained, average) for trained, average, _ in pairs), "else this shows nothing"
    (second.run / "last.pt").unlink()
    run(videos, second)
    steps = state_of(second)
    moved = [not torch.equal(a, b) for a, b in zip(new.network.parameters(), steps.network.parameters(), strict=True)]
    assert steps.step > 0
    assert sum(moved) > len(moved) / 2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["weights", "checkpoint"])
@pytest.mark.parametrize("other", ["intra", "inter"])
def test_starting_from_another_architecture_takes_the_parts_that_fit(
    videos: Path, options: TrainOptions, tmp_path: Path, kind: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other part begins with the linear start, as without anything given."""
    weights, _ = run(videos, replace(options, minutes=0.5), export=True)
    given = load_network(str(weights)) if kind == "weights" else state_of(options, "best.pt").average
    start = weights if kind == "weights" else options.run / "best.pt"
    changed = replace(getattr(TINY, other), latents=20)
    config = replace(TINY, **{other: changed})  # type: ignore[arg-type]
    monkeypatch.setattr(module, "STP_S", config)
    linear = replace(options, run=tmp_path / "linear", minutes=NO_STEP)
    second = replace(linear, run=tmp_path / "second", start=str(start))
    run(videos, linear)
    _, said = run(videos, second)
    fitting = "inter" if other == "intra" else "intra"
    assert f"the {fitting} network is that of {start}" in said
    assert not any(f"the {other} network" in line or line.startswith("starting from") for line in said)
    assert sum(line.startswith("linear start keeps") for line in said) == 1
    mine, scratch = state_of(second).network, state_of(linear).network
    assert mine.config == config
    for name, parameter in getattr(given, fitting).named_parameters():
        assert torch.equal(getattr(mine, fitting).get_parameter(name), parameter), name
    for name in ("linear.forward_matrix.weight", "linear.inverse_matrix.weight", "log_gain.points"):
        parameter = getattr(scratch, other).get_parameter(name)
        assert torch.equal(getattr(mine, other).get_parameter(name), parameter), name
    assert all(parameter.requires_grad for parameter in mine.parameters())


@pytest.mark.usefixtures("small")
def test_starting_where_nothing_fits_is_a_linear_start(
    videos: Path, options: TrainOptions, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {part: replace(getattr(TINY, part), latents=20) for part in ("intra", "inter")}
    monkeypatch.setattr(module, "STP_S", replace(TINY, **parts))  # type: ignore[arg-type]
    _, said = run(videos, replace(options, minutes=NO_STEP, start=str(tiny_weights)))
    assert any(line.startswith("linear start keeps") for line in said)
    assert not any(str(tiny_weights) in line for line in said)


@pytest.mark.usefixtures("small")
def test_starting_from_what_is_not_there(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing-like-this"):
        run(videos, replace(options, start="nothing-like-this"))
    with pytest.raises(InputError, match=r"--start .*gone\.pt: there is no such checkpoint"):
        run(videos, replace(options, start=str(tmp_path / "gone.pt")))
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(ModelError, match=r"text\.pt: not a checkpoint"):
        run(videos, replace(options, start=str(tmp_path / "text.pt")))
    assert not (options.run / "last.pt").exists()


@pytest.mark.usefixtures("small")
def test_a_new_run_is_rebased_once_and_before_its_first_step(
    videos: Path, options: TrainOptions, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, object]] = []

    def record(network: StpNetwork, data: object, pictures: object, **settings: object) -> None:
        calls.append(settings)
        with torch.no_grad():
            network.intra.log_gain.points.fill_(1.5)

    monkeypatch.setattr(module, "rebase", record)
    second = replace(options, start=str(tiny_weights), rebase=3.0)
    _, said = run(videos, replace(second, minutes=NO_STEP))
    assert [call["minutes"] for call in calls] == [3.0]
    assert "new bases; each prior learns alone for 3 min" in said
    assert (state_of(second).network.intra.log_gain.points == 1.5).all()
    run(videos, second)
    assert len(calls) == 1, "a run that continues has them"


@pytest.mark.parametrize("rebase", [-1.0, 2.0])
def test_a_rebase_of_nothing_is_refused(options: TrainOptions, rebase: float) -> None:
    with pytest.raises(UsageError, match=r"--rebase .* --start linear: give minutes, and a model"):
        replace(options, rebase=rebase)


@pytest.mark.usefixtures("small")
def test_an_interrupt_between_steps_saves_the_run(videos: Path, options: TrainOptions) -> None:
    calls = []

    def poll() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(videos, replace(options, minutes=1000.0, validate_minutes=1000.0), poll=poll)
    assert state_of(options).step == 2


@pytest.mark.usefixtures("small")
def test_an_interrupt_within_a_step_saves_the_run(
    videos: Path, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler raises wherever Python happens to be, and nearly always that is here."""
    original, calls = batches.sequence_loss, []

    def interrupted(*args: object, **keywords: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "sequence_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(videos, replace(options, minutes=1000.0, validate_minutes=1000.0))
    state = state_of(options)
    assert state.step == 2
    monkeypatch.setattr(batches, "sequence_loss", original)
    run(videos, options)
    assert state_of(options).step > 2


@pytest.mark.usefixtures("small")
def test_a_step_that_explodes_is_skipped(videos: Path, options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    original = batches.sequence_loss

    def exploding(network: torch.nn.Module, *args: object, **keywords: object) -> object:
        losses = original(network, *args, **keywords)  # type: ignore[arg-type]
        return replace(losses, loss=losses.loss * float("inf"))

    monkeypatch.setattr(batches, "sequence_loss", exploding)
    run(videos, options)
    state = state_of(options)
    assert state.skipped == state.step >= 2
    assert all(torch.isfinite(parameter).all() for parameter in state.network.parameters())


@pytest.mark.usefixtures("small")
def test_the_same_seed_is_the_same_run(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    other = replace(options, run=tmp_path / "other")
    run(videos, options)
    run(videos, other)
    pairs = zip(state_of(options).network.parameters(), state_of(other).network.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


@pytest.mark.usefixtures("small")
def test_training_and_validation_must_not_share_a_file(videos: Path, options: TrainOptions) -> None:
    with pytest.raises(InputError, match=r"a-.*: is in both the training and the validation folder"):
        train([videos / "train"], [videos / "train/a.mp4"], options, say=lambda line: None)
    assert not (options.run / "last.pt").exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("which", ["training", "validation"])
def test_folders_without_videos_are_refused(videos: Path, options: TrainOptions, tmp_path: Path, which: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = [[videos / "train"], [videos / "held-out"]]
    folders[which == "validation"] = [empty]
    with pytest.raises(InputError, match="no video or picture found"):
        train(folders[0], folders[1], options, say=lambda line: None)


@pytest.mark.usefixtures("small")
def test_folders_of_unreadable_videos_are_refused(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/x.mp4").write_text("not a video")
    with pytest.raises(InputError, match="none of its 1 files can be used"):
        train([tmp_path / "bad"], [videos / "held-out"], options, say=lambda line: None)


@pytest.mark.usefixtures("small")
def test_videos_too_short_are_refused(videos: Path, options: TrainOptions) -> None:
    with pytest.raises(InputError, match="add longer videos"):
        run(videos, replace(options, chunks=4))


@pytest.mark.usefixtures("small")
def test_short_videos_train_with_fewer_chunks(options: TrainOptions, tmp_path: Path) -> None:
    """Three frames are one chunk; counting symbols afterwards must not ask for more."""
    write_clip(tmp_path / "short/a.mp4", count=3)
    write_clip(tmp_path / "short-held-out/b.mp4", count=3, seed=3)
    weights = train_and_export(
        [tmp_path / "short"], [tmp_path / "short-held-out"], replace(options, chunks=1, cache=tmp_path / "cache"),
        say=lambda line: None,
    )  # fmt: skip
    assert load_model(weights, device=CPU).name == "tiny"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"minutes": 0.0}, "--minutes"), ({"minutes": float("nan")}, "--minutes"), ({"part": "half"}, "--part"),
        ({"crop": 100}, "--crop"), ({"crop": 0}, "--crop"), ({"crop": -64}, "--crop"), ({"chunks": 0}, "--chunks"),
        ({"batch": 0}, "--batch"), ({"pictures": -1}, "--pictures"),
    ],
    ids=str,
)  # fmt: skip
def test_options_that_are_refused(options: TrainOptions, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(options, **change)  # type: ignore[arg-type]


def test_the_rate_warms_up_and_falls(options: TrainOptions) -> None:
    slow = replace(options, warmup_steps=100, learning_rate=1.0, final_rate=0.1)
    warm = [module._rate(slow, step, 0.0) for step in (0, 49, 99, 500)]
    assert warm == pytest.approx([0.01, 0.5, 1.0, 1.0])
    assert module._rate(slow, 500, 0.5) == pytest.approx(0.55)
    assert module._rate(slow, 500, 1.0) == pytest.approx(0.1)


@pytest.mark.usefixtures("small")
def test_a_second_process_in_a_run_is_refused(videos: Path, options: TrainOptions) -> None:
    """Both would write the same checkpoints; the one that came first goes on."""

    def poll() -> None:
        with pytest.raises(UsageError, match="another training process"):
            train([videos / "train"], [videos / "held-out"], options, say=lambda line: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([videos / "train"], [videos / "held-out"], options, say=lambda line: None, poll=poll)


@pytest.mark.usefixtures("small")
def test_sequences_longer_than_any_clip_s_motion(videos: Path, options: TrainOptions) -> None:
    with pytest.raises(UsageError, match=r"--lead 12 --chunks 2: 28 frames in chunks of 2, .* give at most 8 together"):
        run(videos, replace(options, lead=12))
    assert not options.run.exists()


def test_the_defaults_and_recipes_fit_what_is_searched() -> None:
    """`stpcodec train` as it is: its own defaults once asked for more frames than motion is known of."""
    import inspect

    from stpcodec.cli.train import train as verb
    from stpcodec.training.recipe import load_recipe, recipe_names

    defaults = {name: parameter.default for name, parameter in inspect.signature(verb).parameters.items()}
    asked = TrainOptions(
        minutes=1, run=Path("run"), cache=Path("cache"), device=CPU, chunks=defaults["chunks"], lead=defaults["lead"]
    )
    for recipe in (None, *map(load_recipe, recipe_names())):
        for stage in replace(asked, recipe=recipe).stages():
            assert (stage.lead + stage.chunks) * module.CHUNK_FRAMES <= module.LONGEST


@pytest.mark.usefixtures("small")
def test_a_model_with_fewer_latents_grows(
    videos: Path, options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(videos, options)
    start = tmp_path / "start.pt"
    (options.run / "best.pt").rename(start)
    larger = replace(TINY, inter=replace(TINY.inter, latents=TINY.inter.latents + 8))
    monkeypatch.setattr(module, "STP_S", larger)
    again = replace(options, run=tmp_path / "again", start=str(start))
    _, said = run(videos, again)
    assert f"starting from {start}, with more latents" in said
    assert state_of(again).network.config.inter.latents == TINY.inter.latents + 8


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_retimed_videos_are_learned_from_and_not_counted(
    videos: Path, options: TrainOptions, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Path] = []
    original = module.train_clips

    def watched(clips: list[Path], *args: object, **named: object) -> Path:
        learned.extend(clips)
        return original(clips, *args, **named)  # type: ignore[arg-type]

    counted: list[Path] = []
    monkeypatch.setattr(module, "train_clips", watched)
    export = module.export_average

    def watched_export(state: Checkpoint, clips: list[Path], *args: object) -> Path:
        counted.extend(clips)
        return export(state, clips, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "export_average", watched_export)
    run(videos, replace(options, retime=share), export=True)
    retimed = [clip for clip in learned if clip.stem.endswith(("-back", "-fast"))]
    assert len(retimed) == 2 * share, "of both videos that can be read"
    assert set(counted) == set(learned) - set(retimed)


def test_a_share_of_videos_is_from_none_to_all(options: TrainOptions) -> None:
    for share in (-0.1, 1.1):
        with pytest.raises(UsageError, match=r"--retime is .*; give a share of the videos from 0 \(none\) to 1"):
            replace(options, retime=share)


@pytest.mark.usefixtures("small")
def test_the_log_says_how_much_of_a_step_is_drawing(videos: Path, options: TrainOptions) -> None:
    _, said = run(videos, options)
    assert all(0 < float(row["train_drawing"]) < 1 for row in rows(options))
    assert sum("drawing" in line for line in said) == 2
