"""`stpcodec train FOLDER...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.session import CpuThreads, Device, Json, LogFile, Quiet, Session, Verbose, help_text

EXAMPLES = """Examples:

stpcodec train videos/ --validation held-out/ --minutes 120 --run runs/mine

stpcodec train videos/ --validation held-out/ --minutes 600 --run runs/new --recipe scratch

stpcodec train-plot runs/mine --out curves.html

stpcodec encode in.mp4 out.stp --model runs/mine/stp-s-1a2b3c4d.safetensors"""


def train(
    context: typer.Context,
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders of videos and pictures to learn from.", show_default=False),
    ],
    validation: Annotated[
        list[Path],
        typer.Option("--validation", help="Folder of other videos, to measure progress on.", show_default=False),
    ],
    run: Annotated[Path, typer.Option("--run", help="Where the run lives; an interrupted one continues.")] = Path(
        "runs/train"
    ),
    minutes: Annotated[float, typer.Option("--minutes", help="How long to train, preparation not counted.")] = 60.0,
    start: Annotated[
        str,
        typer.Option(
            "--start", metavar="MODEL|FILE|linear",
            help="What a new run begins with: a model, a weights file, a checkpoint (.pt), or block transforms alone.",
        ),
    ] = "stp-s",
    rebase: Annotated[
        float,
        typer.Option(
            "--rebase", metavar="MINUTES", min=0,
            help="Give the networks of --start block transforms as bases first; so long each prior learns alone.",
        ),
    ] = 0.0,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME|FILE", show_default=False,
            help="Stages that share the minutes: scratch, continue, finetune or a .toml file. Options that you give "
            "yourself win over the recipe's.",
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Decoded clips; by default RUN/../cache.")] = None,
    device: Device = "auto",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences a step.")] = 6,
    pictures: Annotated[
        int, typer.Option("--pictures", min=0, help="Further single frames a step, for the intra network.")
    ] = 4,
    crop: Annotated[int, typer.Option("--crop", min=64, help="Side of the training crops, a multiple of 64.")] = 128,
    chunks: Annotated[int, typer.Option("--chunks", min=1, help="Chunks of 4 frames a sequence.")] = 2,
    lead: Annotated[
        int, typer.Option("--lead", min=0, help="Up to so many chunks are coded before them, without learning.")
    ] = 2,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak; falls along a cosine.")] = 7e-4,
    part: Annotated[str, typer.Option("--part", help="both, intra or inter: which network learns.")] = "both",
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Let a chunk answer for the errors of later ones.")
    ] = False,
    jitter: Annotated[
        float, typer.Option("--jitter", min=0, max=0.5, help="Vary contrast by up to this share, brightness by half.")
    ] = 0.0,
    retime: Annotated[
        float,
        typer.Option(
            "--retime", metavar="SHARE", min=0, max=1,
            help="Learn from this share of the videos backwards or at twice the speed, too.",
        ),
    ] = 0.0,
    quantiser: Annotated[
        str, typer.Option("--quantiser", help="encoder or rounding: what decides the integers of a training step.")
    ] = "encoder",
    chains: Annotated[
        int,
        typer.Option(
            "--chains", metavar="N", min=0,
            help="Learn from encodes of so many clips by the model of --start, instead of from short sequences; with "
            "--part inter.",
        ),
    ] = 0,
    threads: CpuThreads = None,
    validate_minutes: Annotated[float, typer.Option("--validate-minutes", help="Minutes between validations.")] = 5.0,
    bd_pieces: Annotated[
        int,
        typer.Option(
            "--bd-pieces", metavar="N", min=0,
            help="Pieces of held-out videos coded at each validation, for BD-rate against x264; 0: none.",
        ),
    ] = 4,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Train a model on folders of videos and export its weights, with a model card.

    A run continues where it was: with a recipe until its minutes are over, in the stage it was in; without one for so
    many minutes more.
    """
    from stpcodec.codec.models import thread_limit
    from stpcodec.model.zoo import resolve_device
    from stpcodec.training.options import TrainOptions
    from stpcodec.training.precision import bfloat16_is_fast
    from stpcodec.training.recipe import KEYS, load_recipe
    from stpcodec.training.train import train_and_export

    session: Session = context.obj
    stages = None
    if recipe is not None:
        mine = [key for key in (*KEYS, "start") if _given(context, key)]
        stages = load_recipe(recipe).without(mine)
        start = stages.start or start
    chosen = resolve_device(device)
    options = TrainOptions(
        minutes=minutes, run=run, cache=cache or run.parent / "cache", device=chosen, start=start,
        rebase=rebase, batch=batch, pictures=pictures, crop=crop, chunks=chunks, lead=lead,
        learning_rate=learning_rate, part=part, cascade=cascade, validate_minutes=validate_minutes, jitter=jitter,
        retime=retime, quantiser=quantiser, chains=chains, bd_pieces=bd_pieces, recipe=stages,
        bf16=bfloat16_is_fast(chosen),
    )  # fmt: skip
    with thread_limit(threads):
        weights = train_and_export(videos, validation, options, say=session.report.say, poll=session.guard.check)
    session.report.emit("file", target=str(weights), status="done")
    session.report.say(f"{weights}: use it with `stpcodec encode --model {weights}`")


def _given(context: typer.Context, parameter: str) -> bool:
    """Whether it was set on the command line; never so for what is no option."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


train.__doc__ = help_text(train.__doc__, EXAMPLES)
