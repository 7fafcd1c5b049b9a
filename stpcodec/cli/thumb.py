"""`stpcodec thumb IN OUT`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.files import refuse_shared_stdout
from stpcodec.cli.session import (
    CpuThreads,
    Device,
    Json,
    LogFile,
    ModelFolder,
    Overwrite,
    Quiet,
    Session,
    Verbose,
    WeightsFile,
    help_text,
)
from stpcodec.codec.output import check_target

EXAMPLES = """Examples:

stpcodec thumb in.stp sheet.png

stpcodec thumb in.stp sheet.png -n 40 --columns 8 --width 160"""


def thumb(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="A .stp file.", show_default=False)],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="A .png file, or - for standard output.", show_default=False)
    ],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=400, help="How many pictures at most.")] = 12,
    columns: Annotated[
        int | None, typer.Option("--columns", min=1, max=400, help="Of the sheet; by default about a square.")
    ] = None,
    width: Annotated[int, typer.Option("--width", min=16, max=1920, help="Of a picture, in samples.")] = 320,
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    threads: CpuThreads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Make a sheet of small pictures of a .stp file, without decoding all of it.

    The pictures are first frames of segments, spread evenly; a file of few segments has few.
    """
    session: Session = context.obj
    report = session.report
    refuse_shared_stdout(target, as_json=report.as_json)
    check_target(target, source=source, overwrite=overwrite)  # before torch loads
    from stpcodec.codec.sheet import sheet

    with report.progress(session.guard, source=source) as progress:
        done = sheet(
            source,
            target,
            count=count,
            columns=columns,
            picture_width=width,
            model=model,
            model_dir=model_dir,
            device=device,
            threads=threads,
            overwrite=overwrite,
            load=session.load,
            progress=progress,
            warn=report.warning,
        )
    few = f" of the {count} asked for, as the file has no more segments" if len(done.seconds) < count else ""
    report.say(f"{target}: {len(done.seconds)} pictures{few}, {done.width}x{done.height}")
    report.detail(f"{target}: at {', '.join(console.time_text(seconds) for seconds in done.seconds)}")
    report.emit("file", source=source, target=target, status="done", **dataclasses.asdict(done))


thumb.__doc__ = help_text(thumb.__doc__, EXAMPLES)
