"""`stpcodec train`: from a folder of videos to a model's weights, restartable at any moment."""

from __future__ import annotations

import contextlib
import fcntl
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from stpcodec.errors import InputError, ModelError, UsageError
from stpcodec.model.config import STP_S
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.network import StpNetwork
from stpcodec.model.zoo import load_network
from stpcodec.training.batches import Batch, batch_losses, draw_batch
from stpcodec.training.cache import ensure_cached, ensure_half, ensure_retimed, find_media
from stpcodec.training.chain_step import chain_losses, chains_of, hold_out_chains
from stpcodec.training.chains import ChainBatch, ChainDataset
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from stpcodec.training.coded_validation import coded_validation
from stpcodec.training.dataset import ClipDataset, MixedLengths, PictureDataset
from stpcodec.training.export import count_motion, count_symbols, export_weights
from stpcodec.training.grow import can_grow, grow
from stpcodec.training.initialise import start_linear
from stpcodec.training.model_card import CardFacts, write_card
from stpcodec.training.motion_cache import LONGEST, ensure_motion
from stpcodec.training.optimiser import scheduled_rate
from stpcodec.training.options import TrainOptions
from stpcodec.training.random_state import random_state, restore_random_state
from stpcodec.training.rebase import rebase
from stpcodec.training.run_log import NAME as LOG_NAME
from stpcodec.training.run_log import append_rows
from stpcodec.training.run_record import read_record, record_of, write_record
from stpcodec.training.step import Losses
from stpcodec.training.store import ArrayStore
from stpcodec.training.validate import HeldOut, Validator, validation_batch

VALIDATION_CROP = 256
REBASE_BATCHES = 280
"""What priors learn from behind `--rebase`: 6,720 pictures, and 8,960 crops of predicted ones."""
CHUNK_FRAMES = 4
"""Frames of the chunks that networks learn on, beside chunks of one: the encoder makes 1, 2, 4 or 8 of them."""


@dataclass(frozen=True)
class Source:
    """What steps learn from. draw: a fresh batch; losses: of such a one; generators: what draws it, for checkpoints to
    keep; start: the network of a new run."""

    draw: Callable[[], Any]
    losses: Callable[[StpNetwork, Any], Losses]
    generators: tuple[np.random.Generator, ...]
    start: Callable[[], StpNetwork]


def train_and_export(
    folders: list[Path], validation: list[Path], options: TrainOptions, *,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> Path:  # fmt: skip
    """`train`, then the best weights with counted tables and a model card in options.run; returns the weights' path."""
    best = train(folders, validation, options, say=say, poll=poll)
    state = load_checkpoint(best, options.device)
    if state is None:
        raise ModelError(f"{best}: the run left no best checkpoint; train for longer")
    # Tables are counted on videos as they are, whatever else was learned from.
    weights = export_average(state, prepare(folders, options.cache, say, halves=True), options, options.run)
    write_card(weights, CardFacts.of_run(state, options.run))
    return weights


def export_average(state: Checkpoint, clips: list[Path], options: TrainOptions, folder: Path) -> Path:
    """The averaged weights with tables counted on prepared clips, as a weights file in `folder`; returns its path.

    The same checkpoint, clips and options give the same file (on one machine). Raises ModelError, see export_weights.
    """
    torch.manual_seed(options.seed)
    network, frames = state.average.eval(), CHUNK_FRAMES
    chunks = min(2, options.chunks)
    data = MixedLengths(clips, frames=frames, crop=options.crop, chunks=chunks, seed=options.seed + 7)
    pictures = PictureDataset(clips, crop=options.crop, seed=options.seed + 8)
    tables = count_symbols(network, data, pictures, chunks=chunks, batches=options.count_batches, device=options.device)
    return export_weights(network, tables, count_motion(data.long.clips, frames), folder)


def train(
    folders: list[Path], validation: list[Path], options: TrainOptions, *,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> Path:  # fmt: skip
    """Trains for options.minutes, continuing options.run if it has a checkpoint. Returns the best checkpoint's path.

    Raises InputError when there is nothing to learn from, UsageError for sequences longer than any clip's motion. A
    run holds `last.pt` (everything needed to continue), `best.pt` (EMA weights of the best validation score) and
    `log.csv`, with BD-rate against x264 unless options.bd_pieces is 0. `poll` is called at every step and may raise to
    end the run. However it ends, its state is saved first.
    """
    for stage in options.stages():
        _check_length(stage)
    torch.manual_seed(options.seed)
    options.run.mkdir(parents=True, exist_ok=True)
    with only_run(options.run):
        return _train(folders, validation, options, say, poll)


def _check_length(stage: TrainOptions) -> None:
    """Longer clips would not help: motion is searched in the first LONGEST frames of each."""
    frames = (stage.lead + stage.chunks) * CHUNK_FRAMES
    if frames > LONGEST:
        raise UsageError(
            f"--lead {stage.lead} --chunks {stage.chunks}: {frames} frames in chunks of {CHUNK_FRAMES}, and motion is "
            f"known of {LONGEST} a clip; give at most {LONGEST // CHUNK_FRAMES} together"
        )


@contextlib.contextmanager
def only_run(run: Path) -> Iterator[None]:
    """Two processes in one run folder would write over each other's checkpoints: the second is refused."""
    with (run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"--run {run}: another training process is at work there; name another folder") from error
        yield


def _train(
    folders: list[Path], validation: list[Path], options: TrainOptions,
    say: Callable[[str], None], poll: Callable[[], None],
) -> Path:  # fmt: skip
    earlier = read_record(options.run)
    if earlier is not None and bool(earlier.settings.get("chains")) != bool(options.chains):
        began = "with" if earlier.settings.get("chains") else "without"
        raise UsageError(
            f"--run {options.run}: was begun {began} --chains, which is validated otherwise; go on as it began, or "
            f"give another --run with --start and its exported weights"
        )
    motion = not options.chains
    clips = prepare(folders, options.cache, say, halves=True, motion=motion, retime=options.retime)
    validation_clips = prepare(validation, options.cache, say, halves=bool(options.chains), motion=motion)
    overlap = set(clips) & set(validation_clips)
    if overlap:
        raise InputError(f"{overlap.pop().name}: is in both the training and the validation folder; separate them")
    record = record_of(options, folders, validation, len(clips), len(validation_clips))
    write_record(options.run, record.joined(earlier))
    if options.chains:
        return train_chains(clips, validation_clips, options, say=say, poll=poll)
    held_out = hold_out(validation_clips, options.stages()[-1])
    coded = coded_validation(held_out, clips, validation_clips, options, CHUNK_FRAMES, say=say, poll=poll)
    return train_clips(clips, coded, options, say=say, poll=poll)


def train_clips(
    clips: list[Path], held_out: Validator, options: TrainOptions, *,
    say: Callable[[str], None], poll: Callable[[], None], bar: float = math.inf,
) -> Path:  # fmt: skip
    """`train` on prepared clips, in a run folder that is ours. bar: a new run's best.pt has to score better than this.

    Raises UsageError when the run was begun with another recipe.
    """

    store = ArrayStore(options.device)

    def source(stage: TrainOptions, seed: int) -> Source:
        chunks = stage.lead + stage.chunks
        data = MixedLengths(clips, frames=CHUNK_FRAMES, crop=stage.crop, chunks=chunks, seed=seed, store=store)
        pictures = PictureDataset(clips, crop=stage.crop, seed=seed + 1, store=store)

        def start() -> StpNetwork:
            network = _starting_network(data.long, pictures, options, say)
            if options.rebase:
                say(f"new bases; each prior learns alone for {options.rebase:g} min")
                rebase(
                    network, data, pictures, minutes=options.rebase, batches=REBASE_BATCHES, device=options.device,
                    say=say, poll=poll,
                )  # fmt: skip
            return network

        def draw() -> Batch:
            return draw_batch(data, pictures, stage)

        def losses(network: StpNetwork, batch: Batch) -> Losses:
            return batch_losses(network, batch, stage)

        return Source(draw, losses, (data.random, pictures.random), start)

    return _run_stages(source, held_out, options, say, poll, bar)


def train_chains(
    clips: list[Path], validation_clips: list[Path], options: TrainOptions, *,
    say: Callable[[str], None], poll: Callable[[], None],
) -> Path:  # fmt: skip
    """`train_clips` on encodes of prepared clips. Raises InputError where no clip is long and large enough."""
    folders, held_out = chains_of(clips, validation_clips, options.start, options.chains, options.cache, say, poll)
    dtype = torch.bfloat16 if options.bf16 else None
    store = ArrayStore(options.device)

    def source(stage: TrainOptions, seed: int) -> Source:
        data = ChainDataset(folders, crop=stage.crop, seed=seed, store=store)

        def draw() -> ChainBatch:
            return data.draw(stage.batch, stage.device)

        def losses(network: StpNetwork, batch: ChainBatch) -> Losses:
            return chain_losses(network.inter, batch, vary=True, optimise=stage.quantiser == "encoder")

        def start() -> StpNetwork:
            say(f"starting from {options.start}")
            return load_network(options.start).to(options.device)

        return Source(draw, losses, (data.random,), start)

    validator = coded_validation(
        hold_out_chains(held_out, options.crop, options.device, dtype), clips, validation_clips, options, CHUNK_FRAMES,
        say=say, poll=poll,
    )  # fmt: skip
    return _run_stages(source, validator, options, say, poll, math.inf)


def _run_stages(
    source: Callable[[TrainOptions, int], Source], held_out: Validator, options: TrainOptions,
    say: Callable[[str], None], poll: Callable[[], None], bar: float,
) -> Path:  # fmt: skip
    """source: of a stage, from a seed."""
    state = load_checkpoint(options.run / "last.pt", options.device)
    if state is not None:
        say(f"continuing {options.run} at step {state.step}, best validation score {state.best_score:.4f}")
        _continue(state, options)
    stages = options.stages()
    for number in range(state.stage if state else 0, len(stages)):
        stage, seed = stages[number], options.seed + (state.step if state else 0)
        material = source(stage, seed)
        if state is None:
            state = Checkpoint.fresh(material.start())
            state.best_score = bar
            _continue(state, options)
        if number != state.stage:
            state.enter(number)
        if options.recipe is not None:
            left = max(0.0, stage.minutes - state.stage_minutes)
            say(f"stage {number + 1} of {len(stages)}, {options.recipe.stages[number].name}: {left:.1f} min left")
        if state.stage_minutes < stage.minutes:
            _loop(state, material, held_out, stage, say, poll)
    return options.run / "best.pt"


def _continue(state: Checkpoint, options: TrainOptions) -> None:
    """With a recipe, the stage goes on; without one, minutes are counted from now."""
    identity = options.recipe.identity if options.recipe else ""
    if state.recipe not in ("", identity):
        raise UsageError(
            f"--run {options.run}: was begun with the recipe {state.recipe}, now it is {identity or 'none'}; give that "
            f"recipe, or another --run with --start {options.run / 'last.pt'}"
        )
    if not state.recipe:
        state.recipe, state.stage_steps, state.stage_minutes = identity, 0, 0.0


def _starting_network(
    data: ClipDataset, pictures: PictureDataset, options: TrainOptions, say: Callable[[str], None]
) -> StpNetwork:
    """options.start: "linear", a model's name or a checkpoint; of another architecture its fitting parts are taken."""
    given: StpNetwork | None = None
    if options.start.endswith(".pt"):
        loaded = load_checkpoint(Path(options.start), options.device)
        if loaded is None:
            raise InputError(f"--start {options.start}: there is no such checkpoint")
        given = loaded.average
        given.requires_grad_(True)
    elif options.start != "linear":
        given = load_network(options.start).to(options.device)
    if given is not None and replace(given.config, name=STP_S.name) == STP_S:
        say(f"starting from {options.start}")
        return given
    if given is not None and can_grow(given.config, STP_S):
        say(f"starting from {options.start}, with more latents")
        return grow(given.eval(), STP_S, data, pictures, batches=60, device=options.device).train()
    network = StpNetwork(STP_S).to(options.device)
    kept = start_linear(network, data, pictures, batches=60, device=options.device)
    say(f"linear start keeps {kept['intra']:.4f} of the intra and {kept['inter']:.4f} of the inter variance")
    if given is None:
        return network
    for name in ("intra", "inter"):
        if getattr(given.config, name) == getattr(STP_S, name):
            getattr(network, name).load_state_dict(getattr(given, name).state_dict())
            say(f"the {name} network is that of {options.start}")
    return network


def hold_out(clips: list[Path], options: TrainOptions) -> HeldOut:
    """Crops for validation: large ones, or of the training's size where no video is that large."""
    chunks, frames = options.lead + options.chunks, CHUNK_FRAMES
    try:
        data = ClipDataset(clips, frames=frames, crop=VALIDATION_CROP, chunks=chunks, seed=0)
    except InputError:
        data = ClipDataset(clips, frames=frames, crop=options.crop, chunks=chunks, seed=0)
    sequence = validation_batch(data, min(8, 2 * len(data.clips)), chunks, options.device)
    return HeldOut(sequence, options.chunks, options.lead, torch.bfloat16 if options.bf16 else None)


def prepare(
    folders: list[Path], cache: Path, say: Callable[[str], None], *, halves: bool = False, motion: bool = True,
    retime: float = 0.0,
) -> list[Path]:  # fmt: skip
    """Caches planes (and motion, unless nothing asks for it) of everything readable; says what was left out.

    halves: of everything large enough at half its size, too (cache.ensure_half); retime: of this share of the videos,
    drawn by name, in another time (cache.ensure_retimed).
    """
    media = find_media(folders)
    clips = []
    for number, source in enumerate(media):
        clip = ensure_cached(source, cache)
        if clip is None:
            say(f"{source}: left out (unreadable, or under 64×64)")
            continue
        found = [clip]
        if halves and (half := ensure_half(clip)) is not None:
            found.append(half)
        # Backwards, for ensure_retimed chooses by the same sum of the name.
        if zlib.crc32(clip.stem.encode()[::-1]) < retime * (1 << 32) and (retimed := ensure_retimed(clip)) is not None:
            found.append(retimed)
        for part in found:
            if motion:
                prepare_motion(part)
            clips.append(part)
        if number % 50 == 49:
            say(f"prepared {number + 1} of {len(media)} files")
    if not clips:
        raise InputError(f"{folders[0]}: none of its {len(media)} files can be used for training")
    return clips


def prepare_motion(clip: Path) -> None:
    """Searches the motion of a cached clip, as the networks that are trained here need it."""
    for frames in (1, CHUNK_FRAMES):
        ensure_motion(clip, frames, initial_tables())


def _rate(options: TrainOptions, step: int, progress: float) -> float:
    return scheduled_rate(options.learning_rate, options.final_rate, options.warmup_steps, step, progress)


def _loop(state: Checkpoint, source: Source, held_out: Validator, options, say, poll) -> None:  # type: ignore[no-untyped-def]
    device, network = options.device, state.network
    dtype = torch.bfloat16 if options.bf16 else None
    optimiser = state.optimiser(options.learning_rate)
    begin = last_validation = time.monotonic()
    window: dict[str, list[float]] = {}
    start_step, before = state.step, state.stage_minutes
    earlier_minutes = state.minutes - before
    generators = source.generators
    if state.random is not None:
        restore_random_state(state.random, device, *generators)
    state.random = random_state(device, *generators)
    with append_rows(options.run / LOG_NAME) as log, _saved_however_it_ends(options.run / "last.pt", state, optimiser):
        while (elapsed := before + (time.monotonic() - begin) / 60) < options.minutes:
            state.stage_minutes, state.minutes = elapsed, earlier_minutes + elapsed
            poll()
            for group in optimiser.param_groups:
                group["lr"] = group["scale"] * _rate(options, state.stage_steps, elapsed / options.minutes)
            begun = perf_counter()
            batch = source.draw()
            drawn = perf_counter() - begun
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is not None):
                losses = source.losses(network, batch)
            optimiser.zero_grad(set_to_none=True)
            losses.loss.backward()
            # Apart, since the intra network's gradients are several times larger.
            norm = sum(
                torch.nn.utils.clip_grad_norm_(part.parameters(), 1.0) for part in (network.intra, network.inter)
            )
            assert isinstance(norm, torch.Tensor)
            if torch.isfinite(norm):
                optimiser.step()
                state.update_average()
            else:
                state.skipped += 1
            state.step, state.stage_steps = state.step + 1, state.stage_steps + 1
            state.random = random_state(device, *generators)
            figures = {"loss": float(losses.loss.detach()), "norm": float(norm), **losses.figures}
            # Behind the figures, which wait for the device: how long of a step it had nothing to do, at the most.
            figures["drawing"] = drawn / (perf_counter() - begun)
            for key, value in figures.items():
                window.setdefault(key, []).append(value)
            due = (time.monotonic() - last_validation) / 60 >= options.validate_minutes
            if due or state.step == start_step + 1:
                last_validation = time.monotonic()
                _validate_and_save(state, optimiser, held_out, options, log, window, elapsed, say)
                window = {}
        state.stage_minutes, state.minutes = elapsed, earlier_minutes + elapsed
        _validate_and_save(state, optimiser, held_out, options, log, window, elapsed, say)
    state.optimiser_state = optimiser.state_dict()  # the next stage's begins with it


def _validate_and_save(state, optimiser, held_out, options, log, window, elapsed, say) -> None:  # type: ignore[no-untyped-def]
    result = held_out.validate(state.average)
    train_figures = {key: sum(values) / len(values) for key, values in window.items()}
    row = {"step": state.step, "minutes": state.minutes, "stage": state.stage, "skipped": state.skipped}
    log({**row, "score": result.score, **{f"train_{k}": v for k, v in train_figures.items()}, **result.figures})
    better = result.score < state.best_score
    if better:
        state.best_score = result.score
        save_checkpoint(options.run / "best.pt", state, optimiser=None)
    save_checkpoint(options.run / "last.pt", state, optimiser=optimiser)
    f = result.figures
    say(
        f"step {state.step} ({elapsed:.1f} min) loss {train_figures.get('loss', float('nan')):.4f} "
        f"score {result.score:.4f}{' best' if better else ''} "
        f"drawing {train_figures.get('drawing', 0.0):.1%} | "
        + " ".join(f"{key.removeprefix('q')} {value:.4g}" for key, value in f.items())
    )


@contextlib.contextmanager
def _saved_however_it_ends(path: Path, state: Checkpoint, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """A signal may raise in the middle of a step; minutes of training must not hang on the moment it comes."""
    try:
        yield
    except BaseException:
        save_checkpoint(path, state, optimiser=optimiser)
        raise
