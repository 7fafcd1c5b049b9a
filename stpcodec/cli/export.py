"""`stpcodec export CHECKPOINT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.session import CpuThreads, Device, Json, LogFile, Quiet, Session, Verbose, help_text

EXAMPLES = """Examples:

stpcodec export runs/train/best.pt --out models/

stpcodec export runs/train/last.pt --out models/ --name yard --licence CC-BY-4.0

stpcodec export old/best.pt --out models/ --videos videos/

Exit codes: 2 the model is in the folder already, or nothing says what to count on; 3 no checkpoint or no readable
video; 5 the folder cannot be written; 6 the checkpoint is damaged or of another version."""


def export(
    context: typer.Context,
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="best.pt or last.pt of a training run.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For the weights and the card.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What the model is called; by default as its network.")
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option("--videos", metavar="FOLDER", help="To count on, instead of what the run learned from."),
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Decoded clips; by default the run's.")] = None,
    licence: Annotated[str, typer.Option("--licence", metavar="TEXT", help="Of the weights, for the card.")] = "",
    device: Device = "auto",
    threads: CpuThreads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Make a model of a training run's checkpoint: weights with counted tables, and a model card.

    Writes NAME-DIGITS.safetensors and NAME-DIGITS.md. An existing model is never overwritten.
    """
    from stpcodec.codec.models import thread_limit
    from stpcodec.model.zoo import resolve_device
    from stpcodec.training.publish import ExportOptions, export_checkpoint

    session: Session = context.obj
    options = ExportOptions(
        checkpoint=checkpoint, out=out, device=resolve_device(device), videos=tuple(videos or ()), cache=cache,
        name=name, licence=licence,
    )  # fmt: skip

    def say(line: str) -> None:
        session.guard.check()
        session.report.say(line)

    with thread_limit(threads):
        weights = export_checkpoint(options, say=say)
    session.report.emit("file", target=str(weights), status="done")
    say(f"{weights}: use it with `stpcodec encode --model {weights}`")


export.__doc__ = help_text(export.__doc__, EXAMPLES)
