"""`stpcodec train`: from a folder of videos to a model's weights, restartable at any moment."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from stpcodec.errors import InputError, ModelError, UsageError
from stpcodec.model.config import STP_S
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.network import StpNetwork
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_network
from stpcodec.training.cache import ensure_cached, find_media
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from stpcodec.training.dataset import ClipDataset, PictureDataset
from stpcodec.training.export import count_motion, count_symbols, export_weights
from stpcodec.training.initialise import start_linear
from stpcodec.training.motion_cache import ensure_motion
from stpcodec.training.optimiser import fast_bfloat16
from stpcodec.training.step import sequence_loss
from stpcodec.training.validate import validate, validation_batch

VALIDATION_CROP = 256


@dataclass(frozen=True)
class TrainOptions:
    """What a run is made of. Times in minutes, sizes in luma samples."""

    minutes: float
    run: Path
    cache: Path
    device: torch.device
    batch: int = 6
    pictures: int = 4
    crop: int = 128
    chunks: int = 2
    lead: int = 0
    learning_rate: float = 7e-4
    final_rate: float = 0.03
    warmup_steps: int = 200
    cascade: bool = False
    part: str = "both"
    start: str = "linear"
    validate_minutes: float = 5.0
    chunk_frames: int = 4
    bf16: bool | None = None
    seed: int = 0
    count_batches: int = 150

    @property
    def dtype(self) -> torch.dtype | None:
        """What the networks run in, None for float32."""
        use = fast_bfloat16(self.device) if self.bf16 is None else self.bf16
        return torch.bfloat16 if use else None

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise UsageError(f"--minutes is {self.minutes}; give a positive number of minutes to train")
        if self.part not in ("both", "intra", "inter"):
            raise UsageError(f"--part is {self.part}; train both, intra or inter")
        if self.crop < 64 or self.crop % 64:
            raise UsageError(f"--crop is {self.crop}; it must be a multiple of 64")
        if self.batch < 1 or self.chunks < 1 or self.pictures < 0 or self.lead < 0:
            raise UsageError(
                f"--batch {self.batch} --chunks {self.chunks} --lead {self.lead} --pictures {self.pictures}: "
                f"a step needs at least one sequence of one chunk"
            )


def train_and_export(
    folders: list[Path], validation: list[Path], options: TrainOptions, *,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> Path:  # fmt: skip
    """`train`, then the best weights with counted tables as a safetensors file in options.run; returns its path."""
    best = train(folders, validation, options, say=say, poll=poll)
    state = load_checkpoint(best, options.device)
    if state is None:
        raise ModelError(f"{best}: the run left no best checkpoint; train for longer")
    clips = _prepare(folders, options, say)
    network, frames = state.average.eval(), options.chunk_frames
    chunks = min(2, options.chunks)
    data = ClipDataset(clips, frames=frames, crop=options.crop, chunks=chunks, seed=options.seed + 7)
    pictures = PictureDataset(clips, crop=options.crop, seed=options.seed + 8)
    tables = count_symbols(network, data, pictures, chunks=chunks, batches=options.count_batches, device=options.device)
    return export_weights(network, tables, count_motion(data.clips, frames), options.run)


def train(
    folders: list[Path], validation: list[Path], options: TrainOptions, *,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> Path:  # fmt: skip
    """Trains for options.minutes, continuing options.run if it has a checkpoint. Returns the best checkpoint's path.

    Raises InputError when there is nothing to learn from. A run holds `last.pt` (everything needed to
    continue), `best.pt` (EMA weights of the best validation score) and `log.csv`. `poll` is called at every step
    and may raise to end the run. However it ends, its state is saved first.
    """
    torch.manual_seed(options.seed)
    options.run.mkdir(parents=True, exist_ok=True)
    with _only_run(options.run):
        return _train(folders, validation, options, say, poll)


@contextlib.contextmanager
def _only_run(run: Path) -> Iterator[None]:
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
    clips, validation_clips = (_prepare(paths, options, say) for paths in (folders, validation))
    overlap = set(clips) & set(validation_clips)
    if overlap:
        raise InputError(f"{overlap.pop().name}: is in both the training and the validation folder; separate them")
    frames = options.chunk_frames
    state = load_checkpoint(options.run / "last.pt", options.device)
    seed = options.seed + (state.step if state else 0)
    data = ClipDataset(clips, frames=frames, crop=options.crop, chunks=options.lead + options.chunks, seed=seed)
    pictures = PictureDataset(clips, crop=options.crop, seed=seed + 1)
    held_out = _held_out(validation_clips, frames, options)
    held_batch = validation_batch(
        held_out, min(8, 2 * len(held_out.clips)), options.lead + options.chunks, options.device
    )  # fmt: skip
    if state is None:
        state = Checkpoint.fresh(_starting_network(data, pictures, options, say))
    else:
        say(f"continuing {options.run} at step {state.step}, best validation score {state.best_score:.4f}")
    _loop(state, data, pictures, held_batch, options, say, poll)
    return options.run / "best.pt"


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
    if given is not None and given.config == STP_S:
        say(f"starting from {options.start}")
        return given
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


def _held_out(clips: list[Path], frames: int, options: TrainOptions) -> ClipDataset:
    """Crops for validation: large ones, or of the training's size where no video is that large."""
    chunks = options.lead + options.chunks
    try:
        return ClipDataset(clips, frames=frames, crop=VALIDATION_CROP, chunks=chunks, seed=0)
    except InputError:
        return ClipDataset(clips, frames=frames, crop=options.crop, chunks=chunks, seed=0)


def _prepare(folders: list[Path], options: TrainOptions, say: Callable[[str], None]) -> list[Path]:
    """Caches planes and motion of everything readable; says what was left out."""
    media = find_media(folders)
    clips = []
    for number, source in enumerate(media):
        clip = ensure_cached(source, options.cache)
        if clip is None:
            say(f"{source}: left out (unreadable, or under 64×64)")
            continue
        ensure_motion(clip, options.chunk_frames, initial_tables())
        clips.append(clip)
        if number % 50 == 49:
            say(f"prepared {number + 1} of {len(media)} files")
    if not clips:
        raise InputError(f"{folders[0]}: none of its {len(media)} files can be used for training")
    return clips


def _rate(options: TrainOptions, step: int, progress: float) -> float:
    """Linear warm-up, then a cosine over the minutes given."""
    warm = min(1.0, (step + 1) / options.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return options.learning_rate * warm * (options.final_rate + (1 - options.final_rate) * cosine)


def _loop(state: Checkpoint, data: ClipDataset, pictures: PictureDataset, held_batch, options, say, poll) -> None:  # type: ignore[no-untyped-def]
    device, network = options.device, state.network
    dtype = options.dtype
    optimiser = state.optimiser(options.learning_rate)
    begin = last_validation = time.monotonic()
    window: dict[str, list[float]] = {}
    start_step, start_minutes = state.step, state.minutes
    with _log(options.run / "log.csv") as log, _saved_however_it_ends(options.run / "last.pt", state, optimiser):
        while (elapsed := (time.monotonic() - begin) / 60) < options.minutes:
            state.minutes = start_minutes + elapsed
            poll()
            for group in optimiser.param_groups:
                group["lr"] = group["scale"] * _rate(options, state.step - start_step, elapsed / options.minutes)
            chunks = 0 if options.part == "intra" else options.chunks
            lead = int(data.random.integers(options.lead + 1)) if chunks else 0
            sequence = data.sequences(options.batch, lead + chunks, device)
            extra: Planes | None = (
                pictures.pictures(options.pictures, device) if options.pictures and options.part != "inter" else None
            )
            quality = 1 + 99 * torch.rand(options.batch, device=device)
            bonus = 32 * torch.rand(options.batch, device=device)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is not None):
                losses = sequence_loss(
                    network, sequence, extra, quality, chunks=chunks, cascade=options.cascade,
                    rate_weight=1.0, intra_bonus=bonus, part=options.part, vary=True, lead=lead,
                )  # fmt: skip
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
            state.step += 1
            for key, value in {"loss": float(losses.loss.detach()), "norm": float(norm), **losses.figures}.items():
                window.setdefault(key, []).append(value)
            due = (time.monotonic() - last_validation) / 60 >= options.validate_minutes
            if due or state.step == start_step + 1:
                last_validation = time.monotonic()
                _validate_and_save(state, optimiser, held_batch, options, log, window, elapsed, say)
                window = {}
        state.minutes = start_minutes + elapsed
        _validate_and_save(state, optimiser, held_batch, options, log, window, elapsed, say)


def _validate_and_save(state, optimiser, held_batch, options, log, window, elapsed, say) -> None:  # type: ignore[no-untyped-def]
    dtype = options.dtype
    result = validate(state.average, held_batch, options.chunks, dtype, lead=options.lead)
    train_figures = {key: sum(values) / len(values) for key, values in window.items()}
    row = {"step": state.step, "minutes": state.minutes, "skipped": state.skipped, "score": result.score}
    log({**row, **{f"train_{k}": v for k, v in train_figures.items()}, **result.figures})
    better = result.score < state.best_score
    if better:
        state.best_score = result.score
        save_checkpoint(options.run / "best.pt", state, optimiser=None)
    save_checkpoint(options.run / "last.pt", state, optimiser=optimiser)
    f = result.figures
    say(
        f"step {state.step} ({elapsed:.1f} min) loss {train_figures.get('loss', float('nan')):.4f} "
        f"score {result.score:.4f}{' best' if better else ''} | " + " ".join(f"{k[1:]} {v:.4g}" for k, v in f.items())
    )


@contextlib.contextmanager
def _saved_however_it_ends(path: Path, state: Checkpoint, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """A signal may raise in the middle of a step; minutes of training must not hang on the moment it comes."""
    try:
        yield
    except BaseException:
        save_checkpoint(path, state, optimiser=optimiser)
        raise


@contextlib.contextmanager
def _log(path: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """Appends rows to a CSV whose columns are those of the first row ever written."""
    with path.open("a+", newline="") as file:
        file.seek(0)
        header = file.readline().strip()
        columns = header.split(",") if header else []

        def write(row: dict[str, float]) -> None:
            nonlocal columns
            if not columns:
                columns = list(row)
                csv.writer(file).writerow(columns)
            csv.writer(file).writerow(f"{row[c]:.6g}" if c in row else "" for c in columns)
            file.flush()

        yield write
