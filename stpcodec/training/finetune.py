"""`stpcodec finetune`: a model adapted to a user's own footage, if it is better on footage that it has not seen.

footage ─► pieces ─┬─ learned from ─► train_clips (recipe "finetune") ─► best.pt, if better ─► publish ─► weights
                   └─ held out ─────► before, after
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stpcodec.errors import InputError, ModelError, OutputError, TargetUnreachable, UsageError
from stpcodec.model.config import STP_S
from stpcodec.model.folders import model_folders, models_in
from stpcodec.model.network import StpNetwork
from stpcodec.model.zoo import DEFAULT_MODEL, list_models, load_network, weights_path
from stpcodec.training import train as training
from stpcodec.training.cache import find_media
from stpcodec.training.checkpoint import load_checkpoint
from stpcodec.training.fit import longest_fit
from stpcodec.training.footage import Footage, cut_footage, remove_footage
from stpcodec.training.model_card import CardFacts
from stpcodec.training.options import TrainOptions
from stpcodec.training.publish import check_name, make_folder, publish
from stpcodec.training.recipe import load_recipe
from stpcodec.training.run_record import RunRecord, read_record, record_of, write_record
from stpcodec.training.validate import QUALITIES, HeldOut, Validation

RECIPE = "finetune"
VALIDATIONS = 8
"""In a run: often enough to stop at the best, seldom enough to spend most of the time learning."""


@dataclass(frozen=True)
class FinetuneOptions:
    """minutes: of training, preparation and counting not included. model_dir: None for the first folder of models."""

    name: str
    minutes: float
    run: Path
    device: torch.device
    model_dir: Path | None = None
    start: str = DEFAULT_MODEL
    validation: tuple[Path, ...] = ()
    licence: str = ""
    bf16: bool = True
    count_batches: int = 150


@dataclass(frozen=True)
class FinetuneReport:
    """before, after: of the held-out part, by the model that it began with and by the one written to `weights`."""

    weights: Path
    before: Validation
    after: Validation

    @property
    def saving(self) -> float:
        """Share of the cost, bits + λ·error, that is saved on the held-out part; bits estimated."""
        return 1 - 2 ** (self.after.score - self.before.score)

    def lines(self) -> list[str]:
        """For people: every quality before and after."""
        found = [f"held-out part: {self.saving:.1%} less cost (score {self.before.score:.4f} → {self.after.score:.4f})"]
        for quality in QUALITIES:
            parts = []
            for kind in ("intra", "inter"):
                bits, db = (f"q{quality}_{kind}_{figure}" for figure in ("bpp", "psnr"))
                old, new = self.before.figures, self.after.figures
                parts.append(
                    f"{kind} {old[bits]:.4f} → {new[bits]:.4f} bits per pixel at {old[db]:.2f} → {new[db]:.2f} dB"
                )
            found.append(f"  quality {quality}: {', '.join(parts)} (estimated)")
        return found


def finetune(
    videos: list[Path], options: FinetuneOptions, *,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> FinetuneReport:  # fmt: skip
    """Adapts options.start to videos (files and folders) and writes the model into the folder of models.

    An interrupted one continues in options.run. However it ends, no half of a model is left, and no model that is not
    better than what it began with.

    Raises:
        UsageError: the name cannot be or is taken, or the run is one of other videos.
        InputError: no readable video, or too little to hold anything out.
        ModelError: the model to begin with is missing, or of another architecture.
        TargetUnreachable: nothing was gained on the held-out part. OutputError: a folder cannot be written.
    """
    folder = _target_folder(options)
    start = _adaptable(options)
    make_folder(folder)
    make_folder(options.run)
    try:
        return _finetune(videos, options, folder, start, say, poll)
    except OSError as error:  # videos raise InputError: this is about what we write
        where, reason = error.filename or options.run, error.strerror or error
        raise OutputError(f"{where}: cannot be written ({reason}); free space, or name another folder") from error


def _finetune(
    videos: list[Path], options: FinetuneOptions, folder: Path, start: StpNetwork,
    say: Callable[[str], None], poll: Callable[[], None],
) -> FinetuneReport:  # fmt: skip
    torch.manual_seed(0)
    with training.only_run(options.run):
        base = TrainOptions(
            minutes=options.minutes, run=options.run, cache=options.run, device=options.device, start=options.start,
            validate_minutes=options.minutes / VALIDATIONS, bf16=options.bf16, count_batches=options.count_batches,
            recipe=load_recipe(RECIPE),
        )  # fmt: skip
        _check_run(record_of(base, videos, list(options.validation), 0, 0), options.run)
        footage = _footage(videos, options, say, poll)
        base, held_out = _fitted(base, footage)
        record = record_of(base, videos, list(options.validation), len(footage.learned), len(footage.held_out))
        write_record(options.run, record)
        before = held_out.validate(start.to(options.device))
        say(f"before: score {before.score:.4f} on the held-out part, of {len(footage.held_out)} piece(s)")
        best = training.train_clips(footage.learned, held_out, base, say=say, poll=poll, bar=before.score)
        state = load_checkpoint(best, options.device)
        if state is None:
            raise TargetUnreachable(
                f"{options.name}: nothing was gained on the held-out part in {options.minutes:g} minutes, so there is "
                f"no model; the same command with more --minutes goes on from here, more footage may help more"
            )
        report = FinetuneReport(Path(), before, held_out.validate(state.average))
        say("counting the tables")
        adapted = weights_path(options.start, options.model_dir).name
        notes = {"adapted from": f"`{adapted}`", "gain": f"{report.lines()[0]}, bits estimated"}
        facts = CardFacts.of_run(state, options.run, licence=options.licence, notes=notes)
        weights = publish(state, footage.learned, base, folder, facts, options.name)
        remove_footage(_pieces_folder(options))
        remove_footage(_validation_folder(options))
    return replace(report, weights=weights)


def _target_folder(options: FinetuneOptions) -> Path:
    check_name(options.name)
    folders = model_folders(options.model_dir)
    taken = list_models().keys() | models_in(folders).keys()
    if options.name in taken:
        raise UsageError(
            f"--name {options.name}: there is a model of this name, and files made with it need it; take another name"
        )
    return folders[0]


def _adaptable(options: FinetuneOptions) -> StpNetwork:
    start = load_network(options.start, options.model_dir)
    if replace(start.config, name=STP_S.name) != STP_S:
        raise ModelError(
            f"--start {options.start}: is of another architecture than this version trains; start from {DEFAULT_MODEL}"
        )
    return start


def _check_run(record: RunRecord, run: Path) -> None:
    """A run goes on with what it was begun with: its checkpoints would be of one thing, its tables of another."""
    earlier = read_record(run)
    if earlier is None or not (run / "last.pt").exists():
        return
    for word, old, new in (
        ("videos", earlier.videos, record.videos),
        ("--validation", earlier.validation, record.validation),
        ("--start", (earlier.start,), (record.start,)),
    ):
        if old != new:
            raise UsageError(
                f"--run {run}: holds a run with other {word} ({', '.join(old) or 'none'}); name another, or remove it"
            )


def _footage(
    videos: list[Path], options: FinetuneOptions, say: Callable[[str], None], poll: Callable[[], None]
) -> Footage:
    shared = set(find_media(videos)) & set(find_media(options.validation)) if options.validation else set()
    if shared:
        raise InputError(f"{shared.pop()}: is to be learned from and in --validation; separate them")
    footage = cut_footage(videos, _pieces_folder(options), hold_out=not options.validation, say=say, poll=poll)
    if options.validation:
        others = cut_footage(list(options.validation), _validation_folder(options), hold_out=False, say=say, poll=poll)
        footage = Footage(footage.learned, others.learned)
    pieces = [*footage.learned, *footage.held_out]
    say(f"searching motion in {len(pieces)} pieces, {len(footage.held_out)} of them held out")
    for piece in pieces:
        poll()
        training.prepare_motion(piece)
    return footage


def _pieces_folder(options: FinetuneOptions) -> Path:
    return options.run / "footage"


def _validation_folder(options: FinetuneOptions) -> Path:
    return options.run / "validation"


def _fitted(base: TrainOptions, footage: Footage) -> tuple[TrainOptions, HeldOut]:
    """The recipe's sequences, made short and small enough for the pieces there are."""
    stage = base.stages()[0]
    learned, held_out = longest_fit(footage.learned, stage), longest_fit(footage.held_out, stage)
    keys = ("crop", "chunks", "lead")
    assert base.recipe is not None
    fitted = replace(
        base, recipe=base.recipe.without(keys), crop=learned.crop, chunks=learned.chunks, lead=learned.lead
    )
    return fitted, training.hold_out(footage.held_out, held_out)
