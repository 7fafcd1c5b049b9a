"""`stpcodec finetune`: a model adapted to a user's own footage, if it is better on footage that it has not seen.

footage ─┬─► pieces ─┬─ learned from ─► train_clips (recipe "finetune") ─► best.pt, if better ─┬─► publish ─► weights
         │           └─ held out ─────► score before, after                                  │
         └─► views ───┬─ learned from ─► library pictures, if files are smaller with them ────┘
                      └─ held out ─────► coded before, after
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stpcodec.errors import InputError, ModelError, OutputError, TargetUnreachable, UsageError
from stpcodec.evaluation.held_out import QUALITIES as CODED_QUALITIES
from stpcodec.evaluation.held_out import CodedPieces, code_pieces, saving
from stpcodec.model.config import STP_S
from stpcodec.model.folders import model_folders, models_in
from stpcodec.model.library import fitting
from stpcodec.model.network import StpNetwork
from stpcodec.model.planes import Planes
from stpcodec.model.transform import Model
from stpcodec.model.zoo import DEFAULT_MODEL, list_models, load_model, load_network, weights_path
from stpcodec.training import train as training
from stpcodec.training.cache import find_media
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint
from stpcodec.training.fit import longest_fit
from stpcodec.training.footage import Footage, cut_footage, remove_footage
from stpcodec.training.library import Scenery, choose_library, first_pieces, gather, with_library
from stpcodec.training.model_card import CardFacts
from stpcodec.training.options import TrainOptions
from stpcodec.training.publish import check_name, make_folder, name_model, place_model
from stpcodec.training.recipe import load_recipe
from stpcodec.training.run_record import RunRecord, read_record, record_of, write_record
from stpcodec.training.validate import QUALITIES, HeldOut, Validation

RECIPE = "finetune"
LEAST_SAVING = 0.01
"""Of the bytes of the held-out part, by a library: less is not worth the larger model file."""
VALIDATIONS = 8
"""In a run: often enough to stop at the best, seldom enough to spend most of the time learning."""


@dataclass(frozen=True)
class FinetuneOptions:
    """minutes: of training, preparation and counting not included; 0: a library alone. model_dir: None for the first
    folder of models."""

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
    """Of the held-out part, by the model that it began with and by the one written to `weights`. before, after: its
    networks, None where none were trained; coded_before, coded_after: frames of it coded whole, at several qualities,
    nothing where there were none. pictures: in the library.
    """

    weights: Path
    before: Validation | None = None
    after: Validation | None = None
    coded_before: tuple[CodedPieces, ...] = ()
    coded_after: tuple[CodedPieces, ...] = ()
    pictures: int = 0

    @property
    def saving(self) -> float:
        """Share that is saved on the held-out part: of the bytes at the same PSNR where it was coded, else of the cost,
        bits + λ·error, with bits estimated."""
        if self.coded_after:
            return saving(self.coded_before, self.coded_after)
        assert self.before is not None
        assert self.after is not None
        return 1 - 2 ** (self.after.score - self.before.score)

    @property
    def measure(self) -> str:
        return "fewer bytes at the same PSNR" if self.coded_after else "less cost (bits estimated)"

    def lines(self) -> list[str]:
        """For people: every quality before and after."""
        found = [f"held-out part: {self.saving:.1%} {self.measure}, {self.pictures} picture(s) in the library"]
        for old, new in zip(self.coded_before, self.coded_after, strict=True):
            found.append(
                f"  quality {old.quality}: {old.coded_bytes:,} → {new.coded_bytes:,} bytes at "
                f"{old.psnr_db:.2f} → {new.psnr_db:.2f} dB"
            )
        return found + (self._estimates(self.before, self.after) if self.before and self.after else [])

    @staticmethod
    def _estimates(before: Validation, after: Validation) -> list[str]:
        found = [f"networks alone: score {before.score:.4f} → {after.score:.4f}"]
        for quality in QUALITIES:
            parts = []
            for kind in ("intra", "inter"):
                bits, db = (f"q{quality}_{kind}_{figure}" for figure in ("bpp", "psnr"))
                old, new = before.figures, after.figures
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
        UsageError: the name cannot be or is taken, the minutes cannot be, or the run is one of other videos.
        InputError: no readable video, or too little to hold anything out.
        ModelError: the model to begin with is missing, or of another architecture.
        TargetUnreachable: nothing was gained on the held-out part. OutputError: a folder cannot be written.
    """
    if not options.minutes >= 0:
        raise UsageError(f"--minutes {options.minutes}: must be 0 or more")
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
        base = _training(options) if options.minutes else None
        if base is not None:
            _check_run(record_of(base, videos, list(options.validation), 0, 0), options.run)
        scenery = _scenery(videos, options, say, poll)
        model = load_model(options.start, device=torch.device("cpu"), model_dir=options.model_dir)
        library, coded = _tried_library(scenery, model, say)
        trained = None if base is None else _trained(videos, options, base, start, say, poll)
        report = FinetuneReport(Path(), coded_before=coded, pictures=len(library))

        def make(temporary: Path) -> tuple[Path, CardFacts]:
            nonlocal report
            origin = weights_path(options.start, options.model_dir)
            made: list[tuple[FinetuneReport, Checkpoint]] = []
            if len(library) > len(model.library):
                weights = with_library(origin, library, temporary, options.name)
                made.append((_measured(replace(report, weights=weights), scenery), Checkpoint.fresh(start)))
            if trained is not None:
                say("counting the tables")
                weights = training.export_average(trained.state, trained.learned, trained.options, temporary)
                weights = with_library(weights, library, temporary, options.name)
                own = replace(report, weights=weights, before=trained.before, after=trained.after)
                made.append((_measured(own, scenery), trained.state))
            best = max(made, key=lambda part: part[0].saving, default=None)
            if best is None or best[0].saving <= 0:
                raise TargetUnreachable(_nothing_gained(options))
            report, state = best
            if trained is not None and state is not trained.state:
                say("with the networks as they were the held-out part is smaller: they stay so")
            name_model(state, options.name)
            notes = {"adapted from": f"`{origin.name}`", "gain": report.lines()[0]}
            return report.weights, CardFacts.of_run(state, options.run, licence=options.licence, notes=notes)

        weights = place_model(make, folder)
        remove_footage(_pieces_folder(options))
        remove_footage(_validation_folder(options))
    return replace(report, weights=weights)


@dataclass(frozen=True)
class _Trained:
    """learned, options: what the tables are to be counted on, and how."""

    state: Checkpoint
    before: Validation
    after: Validation
    learned: list[Path]
    options: TrainOptions


def _training(options: FinetuneOptions) -> TrainOptions:
    return TrainOptions(
        minutes=options.minutes, run=options.run, cache=options.run, device=options.device, start=options.start,
        validate_minutes=options.minutes / VALIDATIONS, bf16=options.bf16, count_batches=options.count_batches,
        bd_pieces=0, recipe=load_recipe(RECIPE),
    )  # fmt: skip


def _trained(
    videos: list[Path], options: FinetuneOptions, base: TrainOptions, start: StpNetwork, say: Callable[[str], None],
    poll: Callable[[], None],
) -> _Trained | None:  # fmt: skip
    """None: nothing was gained on the held-out part."""
    footage = _footage(videos, options, say, poll)
    base, held_out = _fitted(base, footage)
    record = record_of(base, videos, list(options.validation), len(footage.learned), len(footage.held_out))
    write_record(options.run, record)
    before = held_out.validate(start.to(options.device))
    say(f"before: score {before.score:.4f} on the held-out part, of {len(footage.held_out)} piece(s)")
    best = training.train_clips(footage.learned, held_out, base, say=say, poll=poll, bar=before.score)
    state = load_checkpoint(best, options.device)
    if state is None:
        say(f"the networks gained nothing on the held-out part in {options.minutes:g} minutes: they stay as they were")
        return None
    return _Trained(state, before, held_out.validate(state.average), footage.learned, base)


def _scenery(
    videos: list[Path], options: FinetuneOptions, say: Callable[[str], None], poll: Callable[[], None]
) -> Scenery:
    scenery = gather(videos, hold_out=not options.validation, say=say, poll=poll)
    if options.validation:
        scenery.held_out = first_pieces(options.validation, poll)
    if not (options.minutes or (scenery.views and scenery.held_out)):
        raise InputError(
            f"{videos[0]}: holds too little to find pictures in and to hold a part out; name longer videos, or others "
            f"for --validation"
        )
    return scenery


def _tried_library(
    scenery: Scenery, model: Model, say: Callable[[str], None]
) -> tuple[tuple[Planes, ...], tuple[CodedPieces, ...]]:
    """(the pictures that the model is to have, the held-out pieces coded by it as it is). It keeps those that it has,
    and gets none that do not make the held-out pieces smaller."""
    if not scenery.held_out:
        return model.library, ()
    before = _coded(model, scenery)
    found = tuple(fitting((*model.library, *choose_library(scenery.views))))
    if len(found) == len(model.library):
        say("no picture of the footage comes again in it: no library")
        return model.library, before
    gained = saving(before, _coded(replace(model, library=found), scenery))
    say(f"a library of {len(found)} picture(s): {gained:.1%} fewer bytes on the held-out part at the same PSNR")
    return (found if gained > LEAST_SAVING else model.library), before


def _coded(model: Model, scenery: Scenery) -> tuple[CodedPieces, ...]:
    return tuple(code_pieces(model, scenery.held_out, quality) for quality in CODED_QUALITIES)


def _measured(report: FinetuneReport, scenery: Scenery) -> FinetuneReport:
    if not scenery.held_out:
        return report
    return replace(report, coded_after=_coded(load_model(report.weights, device=torch.device("cpu")), scenery))


def _nothing_gained(options: FinetuneOptions) -> str:
    if not options.minutes:
        return (
            f"{options.name}: no picture of the footage makes its held-out part smaller, so there is no model; "
            f"more footage of the same place, or --minutes to train on it, may help"
        )
    return (
        f"{options.name}: nothing was gained on the held-out part in {options.minutes:g} minutes, so there is "
        f"no model; the same command with more --minutes goes on from here, more footage may help more"
    )


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
    if options.minutes and replace(start.config, name=STP_S.name) != STP_S:
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
