"""`stpcodec train FOLDER...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Device, Session, Verbose

EXAMPLES = """Examples:

stpcodec train videos/ --validation held-out/ --minutes 120 --run runs/mine

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
            help="What a new run begins with: a model, a weights file, a checkpoint (.pt); linear: nothing but a KLT.",
        ),
    ] = "stp-s",
    cache: Annotated[Path | None, typer.Option("--cache", help="Decoded clips; by default RUN/../cache.")] = None,
    device: Device = "auto",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences a step.")] = 6,
    pictures: Annotated[
        int, typer.Option("--pictures", min=0, help="Further single frames a step, for the intra network.")
    ] = 4,
    crop: Annotated[int, typer.Option("--crop", min=64, help="Side of the training crops, a multiple of 64.")] = 128,
    chunks: Annotated[int, typer.Option("--chunks", min=1, help="Chunks a sequence.")] = 2,
    lead: Annotated[
        int, typer.Option("--lead", min=0, help="Up to so many chunks are coded before them, without learning.")
    ] = 12,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak; falls along a cosine.")] = 7e-4,
    part: Annotated[str, typer.Option("--part", help="both, intra or inter: which network learns.")] = "both",
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Let a chunk answer for the errors of later ones.")
    ] = False,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; by default all cores.")] = None,
    validate_minutes: Annotated[float, typer.Option("--validate-minutes", help="Minutes between validations.")] = 5.0,
    verbose: Verbose = False,
) -> None:
    """Train a model on folders of videos and export its weights."""
    from stpcodec.codec.models import thread_limit
    from stpcodec.model.zoo import resolve_device
    from stpcodec.training.train import TrainOptions, train_and_export

    session: Session = context.obj
    options = TrainOptions(
        minutes=minutes, run=run, cache=cache or run.parent / "cache", device=resolve_device(device), start=start,
        batch=batch, pictures=pictures, crop=crop, chunks=chunks, lead=lead, learning_rate=learning_rate, part=part,
        cascade=cascade, validate_minutes=validate_minutes,
    )  # fmt: skip
    with thread_limit(threads):
        weights = train_and_export(videos, validation, options, say=console.say, poll=session.guard.check)
    console.say(f"{weights}: use it with `stpcodec encode --model {weights}`")


train.__doc__ = f"{train.__doc__}\n\n{EXAMPLES}"
