"""`stpcodec finetune VIDEOS...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.session import CpuThreads, Device, Json, LogFile, ModelFolder, Quiet, Session, Verbose, help_text

EXAMPLES = """Examples:

stpcodec finetune yard/*.mp4 --name yard --minutes 30

stpcodec finetune yard/*.mp4 --name yard --minutes 0      # one camera: its pictures alone, in a minute

stpcodec encode in.mp4 out.stp --model yard

stpcodec decode out.stp out.mp4

Exit codes: 2 the name is taken or cannot be; 3 no readable video, or too short a one to hold a part out; 5 nothing was
gained, or a folder cannot be written; 6 the model to begin with is missing."""


def finetune(
    context: typer.Context,
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEOS...", help="Videos, or folders of them.", show_default=False)
    ],
    name: Annotated[str, typer.Option("--name", help="What the new model is called.", show_default=False)],
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes", min=0.0,
            help="How long to train; preparation and counting not included. 0: only library pictures.",
        ),
    ] = 30.0,
    validation: Annotated[
        list[Path] | None,
        typer.Option(
            "--validation", metavar="VIDEO|FOLDER", show_default=False,
            help="Other videos to measure on; by default the last fifth of VIDEOS, which is not learned from.",
        ),
    ] = None,
    model_dir: ModelFolder = None,
    start: Annotated[str, typer.Option("--start", metavar="MODEL|FILE", help="The model to adapt.")] = "stp-s",
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FOLDER", show_default=False,
            help="Where it works and an interrupted one continues; by default runs/finetune-NAME.",
        ),
    ] = None,
    licence: Annotated[str, typer.Option("--licence", metavar="TEXT", help="Of the weights, for the card.")] = "",
    device: Device = "auto",
    threads: CpuThreads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:  # fmt: skip
    """Adapt a model to your own footage: the same scenes at a lower rate, for files that only this model decodes.

    What a camera shows again and again becomes up to 16 library pictures in the model, from which segments begin
    instead of an intra frame; the networks are trained on the footage for as long as you say. Each is kept if it helps.

    Writes NAME-DIGITS.safetensors and its card into --model-dir, or else the first folder of $STPCODEC_MODELS or your
    data folder, where `encode --model NAME` and `decode` find it. Keep it: a .stp file made with it needs it. A part of
    the footage is held out, and the model is written only if it is better there.
    """
    from stpcodec.codec.models import thread_limit
    from stpcodec.model.zoo import resolve_device
    from stpcodec.training.finetune import FinetuneOptions
    from stpcodec.training.finetune import finetune as adapt
    from stpcodec.training.precision import bfloat16_is_fast

    session: Session = context.obj
    chosen = resolve_device(device)
    options = FinetuneOptions(
        name=name, minutes=minutes, run=run or Path("runs") / f"finetune-{name}", device=chosen, model_dir=model_dir,
        start=start, validation=tuple(validation or ()), licence=licence, bf16=bfloat16_is_fast(chosen),
    )  # fmt: skip

    with thread_limit(threads):
        report = adapt(videos, options, say=session.report.say, poll=session.guard.check)
    for line in report.lines():
        session.report.say(line)
    session.report.emit("file", target=str(report.weights), status="done")
    session.report.say(
        f"{report.weights}: use it with `stpcodec encode --model {name}`, and keep it: decoding needs it"
    )


finetune.__doc__ = help_text(finetune.__doc__, EXAMPLES)
