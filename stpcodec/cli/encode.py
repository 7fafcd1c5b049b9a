"""`stpcodec encode IN OUT`."""

from __future__ import annotations

from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Device, ModelFolder, Overwrite, Quiet, Session, Threads, Verbose
from stpcodec.codec.output import check_target

EXAMPLES = """Examples:

stpcodec encode in.mp4 out.stp

stpcodec encode in.mkv out.stp --quality 70 --verify

ffmpeg -i in.mp4 -f yuv4mpegpipe - | stpcodec encode - out.stp"""


def encode(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="IN", help="Any video, or - for standard input.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="OUT", help="The .stp file, or - for standard output.", show_default=False),
    ],
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Higher is better and larger.")] = 50,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME|FILE", help="Model name or weights file; the default is learned."),
    ] = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    segment_frames: Annotated[
        int,
        typer.Option("--segment-frames", min=1, max=256, help="Longest segment: seeking and damage stop at its ends."),
    ] = 128,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Segments coded at once, each in a process; by default as many as pay. Same bytes for any number.",
        ),
    ] = None,
    threads: Threads = None,
    tile: Annotated[
        int,
        typer.Option("--tile", min=0, help="Tile size in pixels to bound memory; 0: only for very large frames."),
    ] = 0,
    overwrite: Overwrite = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Decode the file just written, compare with the source, print PSNR."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted encode of the same input with the same options.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on any damage in the source instead of warning.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Encode a video into a .stp file."""
    check_target(target, source=source, overwrite=overwrite)  # before torch loads
    from stpcodec.codec import encoder

    session: Session = context.obj
    with console.progress_bar(session.guard, quiet=quiet) as progress:
        report = encoder.encode(
            source,
            target,
            quality=quality,
            model=model,
            model_dir=model_dir,
            device=device,
            segment_frames=segment_frames,
            threads=threads,
            jobs=jobs,
            overwrite=overwrite,
            strict=strict,
            verify=verify,
            tile=tile,
            resume=resume,
            progress=progress,
            warn=console.warning,
        )
    if not quiet:
        console.say(
            f"{target}: {report.frames} frames, {console.size_text(report.bytes_written)}, "
            f"{report.bits_per_pixel:.4f} bits per pixel, {report.frames_per_second:.1f} fps"
        )
        if report.psnr_db is not None:
            planes = ", ".join(f"{plane} {value:.2f}" for plane, value in report.psnr_db.items())
            console.say(f"{target}: verified, PSNR in dB: {planes}")
    if verbose:
        console.say(
            f"{target}: model {report.model} on {report.device}, {report.segments} segments, {report.jobs} jobs, "
            f"{console.size_text(report.sidecar_bytes)} of other streams"
        )


encode.__doc__ = f"{encode.__doc__}\n\n{EXAMPLES}"
