"""`stpcodec decode IN OUT`."""

from __future__ import annotations

from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Device, ModelFolder, Overwrite, Quiet, Session, Threads, Verbose, WeightsFile
from stpcodec.codec.output import check_target

EXAMPLES = """Examples:

stpcodec decode in.stp out.mp4

stpcodec decode in.stp out.mkv --vcodec ffv1

stpcodec decode in.stp - | ffplay -

stpcodec decode damaged.stp out.mp4 --conceal"""


def decode(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="A .stp file.", show_default=False)],
    target: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A .mp4, .mkv, .mov or .y4m file, or - for y4m on standard output.",
            show_default=False,
        ),
    ],
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    start: Annotated[
        float | None,
        typer.Option("--start", min=0, metavar="SECONDS", help="From here on, counted from the first frame."),
    ] = None,
    end: Annotated[
        float | None, typer.Option("--end", min=0, metavar="SECONDS", help="Up to here, not included.")
    ] = None,
    vcodec: Annotated[
        str | None,
        typer.Option("--vcodec", metavar="NAME", help="FFmpeg encoder of the output; default libx264."),
    ] = None,
    crf: Annotated[int | None, typer.Option("--crf", min=0, help="Its constant rate factor; 12 for libx264.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", metavar="P", help="Its preset; fast for libx264.")] = None,
    conceal: Annotated[
        bool, typer.Option("--conceal", help="Fill what a damaged file has lost from the nearest intact frames.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Segments decoded at once, each in a process; by default as many as pay.",
        ),
    ] = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Decode a .stp file into a video, with the sound and everything else of its source."""
    check_target(target, source=source, overwrite=overwrite)  # before torch loads
    from stpcodec.codec import decoder

    session: Session = context.obj
    options = {name: str(value) for name, value in (("crf", crf), ("preset", preset)) if value is not None}
    with console.progress_bar(session.guard, quiet=quiet) as progress:
        report = decoder.decode(
            source,
            target,
            model=model,
            model_dir=model_dir,
            device=device,
            start=start,
            end=end,
            vcodec=vcodec,
            options=options or None,
            threads=threads,
            jobs=jobs,
            conceal=conceal,
            overwrite=overwrite,
            progress=progress,
            warn=console.warning,
        )
    if not quiet:
        console.say(f"{target}: {report.frames} frames, {report.frames_per_second:.1f} fps")
    if verbose:
        console.say(
            f"{target}: model {report.model} on {report.device}, {report.segments} segments decoded, {report.jobs} jobs"
        )


decode.__doc__ = f"{decode.__doc__}\n\n{EXAMPLES}"
