"""Runs with recipes on two tiny clips, what protects them, and that an interruption changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stpcodec.errors import UsageError
from stpcodec.training import batches, loss
from stpcodec.training import train as module
from stpcodec.training.options import TrainOptions
from stpcodec.training.recipe import Recipe, Stage
from stpcodec.training.run_record import read_record
from stpcodec.training.train import train
from tests.training.test_train import rows, run, state_of

WARM_UP = Stage("warm-up", 0.5, {"rate_weight": 0.0, "part": "intra", "chunks": 1})
REST = Stage("rest", 0.5, {"part": "both"})


def recipe(*stages: Stage, digest: str = "01234567") -> Recipe:
    return Recipe("mine", "", None, stages, digest)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What every training step was asked for (validation does not vary the quality)."""
    calls: list[dict[str, object]] = []
    original = batches.sequence_loss

    def watched(*args: object, **named: object) -> object:
        calls.append({key: named[key] for key in ("rate_weight", "part", "chunks", "lead")})
        return original(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "sequence_loss", watched)
    return calls


def stop_after(steps: int) -> Callable[[], None]:
    calls = []

    def poll() -> None:
        calls.append(1)
        if len(calls) > steps:
            raise KeyboardInterrupt

    return poll


@pytest.mark.usefixtures("small")
def test_stages_follow_each_other(videos: Path, options: TrainOptions, seen: list[dict[str, object]]) -> None:
    _, said = run(videos, replace(options, minutes=2.0, recipe=recipe(WARM_UP, REST)))
    first = [call["part"] for call in seen].index("both")
    assert first >= 2
    assert all((call["rate_weight"], call["part"], call["chunks"]) == (0.0, "intra", 0) for call in seen[:first])
    # Two chunks of two frames, or four of one.
    assert all((call["rate_weight"], call["part"]) == (1.0, "both") for call in seen[first:])
    assert {call["chunks"] for call in seen[first:]} <= {2, 4}
    state = state_of(options)
    assert (state.step, state.stage, state.stage_steps) == (len(seen), 1, len(seen) - first)
    assert state.minutes >= 2.0
    assert {row["stage"] for row in rows(options)} == {"0", "1"}
    inter = [row["train_inter_bpp"] for row in rows(options)]
    assert inter[0] == "", "the first stage shows nothing of the inter network"
    assert float(inter[-1]) > 0, "the second one does, in the same file"
    assert [line for line in said if line.startswith("stage")] == [
        "stage 1 of 2, warm-up: 1.0 min left", "stage 2 of 2, rest: 1.0 min left"
    ]  # fmt: skip
    record = read_record(options.run)
    assert record is not None
    assert record.recipe == "mine-01234567"
    assert record.files == 2
    assert [Path(path).name for path in (*record.videos, *record.validation)] == ["train", "held-out"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("steps", [1, 3])
def test_a_run_resumes_in_the_stage_it_was_in(
    videos: Path, options: TrainOptions, seen: list[dict[str, object]], steps: int
) -> None:
    staged = replace(options, minutes=2.0, recipe=recipe(WARM_UP, REST))
    with pytest.raises(KeyboardInterrupt):
        run(videos, staged, poll=stop_after(steps))
    before = state_of(options)
    assert before.stage == (steps > 1)
    done = len(seen)
    _, said = run(videos, staged)
    after = state_of(options)
    assert seen[done]["part"] == ("intra" if steps == 1 else "both")
    assert after.stage == 1
    assert 2.0 <= after.minutes <= 2.6, "minutes are those of the whole run"
    assert sum(line.startswith("stage 1") for line in said) == (steps == 1)


@pytest.mark.usefixtures("small")
def test_a_run_that_is_over_stays_as_it_is(videos: Path, options: TrainOptions) -> None:
    staged = replace(options, recipe=recipe(replace(REST, share=1.0)))
    run(videos, staged)
    before = (options.run / "last.pt").read_bytes()
    run(videos, staged)
    assert (options.run / "last.pt").read_bytes() == before
    run(videos, replace(staged, minutes=2.0))
    assert state_of(options).minutes >= 2.0, "more minutes are more of the last stage"


@pytest.mark.usefixtures("small")
def test_another_recipe_is_refused(videos: Path, options: TrainOptions) -> None:
    run(videos, replace(options, recipe=recipe(replace(REST, share=1.0))))
    for other in (None, recipe(WARM_UP, REST, digest="76543210")):
        with pytest.raises(UsageError, match=r"was begun with the recipe mine-01234567, now it is"):
            run(videos, replace(options, recipe=other))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("steps", [1, 2])
def test_an_interruption_changes_nothing(
    videos: Path, options: TrainOptions, tmp_path: Path, steps: int
) -> None:
    """Bit for bit, with the optimiser, the average and every draw, up to the same number of steps.

    The rate is held constant: it follows the clock, which an interruption does not stop.
    """
    whole = replace(
        options, minutes=1000.0, final_rate=1.0, validate_minutes=1000.0, jitter=0.1, lead=1, chunks=1,
        recipe=recipe(replace(REST, share=1.0)),
    )  # fmt: skip
    parts = replace(whole, run=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        run(videos, whole, poll=stop_after(4))
    for count in (steps, 4 - steps):
        with pytest.raises(KeyboardInterrupt):
            run(videos, parts, poll=stop_after(count))
    one, other = state_of(whole), state_of(parts)
    assert one.step == other.step == 4
    for name in ("network", "average"):
        pairs = zip(getattr(one, name).parameters(), getattr(other, name).parameters(), strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs), name


@pytest.mark.usefixtures("small")
def test_an_interruption_within_a_step_repeats_it(
    videos: Path, options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the half step has drawn is drawn again."""
    everything = recipe(Stage("all", 1.0, {}))
    whole = replace(options, minutes=1000.0, final_rate=1.0, validate_minutes=1000.0, recipe=everything)
    parts = replace(whole, run=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        run(videos, whole, poll=stop_after(3))
    original, calls = batches.sequence_loss, []

    def interrupted(*args: object, **named: object) -> object:
        calls.append(1)
        result = original(*args, **named)  # type: ignore[arg-type]
        if len(calls) == 3:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(batches, "sequence_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(videos, parts)
    assert state_of(parts).step == 2
    with pytest.raises(KeyboardInterrupt):
        run(videos, parts, poll=stop_after(1))
    pairs = zip(state_of(whole).network.parameters(), state_of(parts).network.parameters(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_step_is_skipped_and_counted_and_the_others_are_taken(
    videos: Path, options: TrainOptions, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """Neither weights nor average nor the optimiser's memory see it."""
    original, calls = batches.sequence_loss, []

    def sometimes(network: torch.nn.Module, *args: object, **named: object) -> object:
        calls.append(1)
        losses = original(network, *args, **named)  # type: ignore[arg-type]
        return replace(losses, loss=losses.loss * value) if len(calls) == 2 else losses

    monkeypatch.setattr(batches, "sequence_loss", sometimes)
    with pytest.raises(KeyboardInterrupt):
        run(videos, replace(options, minutes=1000.0, validate_minutes=1000.0), poll=stop_after(3))
    state = state_of(options)
    assert (state.step, state.skipped) == (3, 1)
    for part in (state.network, state.average):
        assert all(torch.isfinite(parameter).all() for parameter in part.parameters())
    assert state.optimiser_state is not None
    counts = {entry["count"] for entry in state.optimiser_state["state"].values() if "count" in entry}
    assert max(counts) == 2, "two steps were taken"


@pytest.mark.usefixtures("small")
def test_gradients_are_clipped_for_each_network(
    videos: Path, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss a million times as large gives gradients of norm 1 for each of the networks."""
    original, norms = batches.sequence_loss, []

    def huge(network: torch.nn.Module, *args: object, **named: object) -> object:
        losses = original(network, *args, **named)  # type: ignore[arg-type]
        return replace(losses, loss=losses.loss * 1e6)

    class Watching(module.Checkpoint):
        def update_average(self) -> None:
            for part in (self.network.intra, self.network.inter):
                gradients = [p.grad.flatten() for p in part.parameters() if p.grad is not None]
                norms.append(float(torch.cat(gradients).norm()))
            super().update_average()

    monkeypatch.setattr(batches, "sequence_loss", huge)
    monkeypatch.setattr(module, "Checkpoint", Watching)
    monkeypatch.setattr(Watching, "fresh", staticmethod(lambda network: _watching(Watching, network)))
    run(videos, options)
    assert len(norms) >= 4
    assert norms == pytest.approx([1.0] * len(norms), rel=1e-3)
    with (options.run / "log.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["train_norm"]) > 100, "the log shows what it was before"


def _watching(kind: type, network: torch.nn.Module) -> object:
    fresh = module.load_checkpoint.__globals__["Checkpoint"].fresh(network)
    return kind(fresh.network, fresh.average)


@pytest.mark.usefixtures("small")
def test_the_average_is_what_is_validated_and_kept(videos: Path, options: TrainOptions) -> None:
    run(videos, replace(options, learning_rate=1e-2))
    last, best = state_of(options), state_of(options, "best.pt")
    assert best.step <= last.step
    moved = [not torch.equal(a, b) for a, b in zip(last.network.parameters(), last.average.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2, "the average lags behind"
    if best.step == last.step:
        pairs = zip(best.average.parameters(), last.average.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.usefixtures("small")
def test_jitter_reaches_the_steps(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    other = replace(options, run=tmp_path / "other", jitter=0.3)
    run(videos, options)
    train([videos / "train"], [videos / "held-out"], other, say=lambda line: None)
    pairs = zip(state_of(options).network.parameters(), state_of(other).network.parameters(), strict=True)
    assert not all(torch.equal(one, two) for one, two in pairs)
    with pytest.raises(UsageError, match="--jitter"):
        replace(options, jitter=0.6)


@pytest.mark.usefixtures("small")
def test_the_quantiser_reaches_the_steps_but_not_validation(
    videos: Path, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    original = loss.worthwhile

    def watched(*args: torch.Tensor) -> torch.Tensor:
        seen.append(True)
        return original(*args)

    inside: list[bool] = []
    steps = batches.sequence_loss

    def step(*args: object, **named: object) -> object:
        before = len(seen)
        result = steps(*args, **named)  # type: ignore[arg-type]
        inside.append(len(seen) > before)
        return result

    monkeypatch.setattr(loss, "worthwhile", watched)
    monkeypatch.setattr(batches, "sequence_loss", step)
    run(videos, replace(options, quantiser="rounding"))
    assert not any(inside)
    assert seen, "validation has the encoder's quantiser"
    with pytest.raises(UsageError, match="--quantiser is floor; give encoder or rounding"):
        replace(options, quantiser="floor")
