"""`stpcodec compare ORIGINAL IN`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.quantities import parse_size
from stpcodec.cli.session import (
    DecodeJobs,
    Devices,
    Json,
    JsonProgress,
    LogFile,
    MemoryToDecode,
    ModelFolder,
    Overwrite,
    Quiet,
    Session,
    Threads,
    Verbose,
    WeightsFile,
    help_text,
)
from stpcodec.codec.output import check_source
from stpcodec.errors import UsageError

EXAMPLES = """Examples:

stpcodec compare in.mp4 in.stp --out page

stpcodec compare in.mp4 in.stp --out page --start 60 --seconds 5 --width 960"""


def compare(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="ORIGINAL IN", help="A video, and the .stp file that was made of it.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For index.html; made if it is missing.")
    ] = Path("compare"),
    start: Annotated[
        float, typer.Option("--start", min=0, metavar="SECONDS", help="From here on, counted from the first frame.")
    ] = 0.0,
    seconds: Annotated[float, typer.Option("--seconds", metavar="SECONDS", help="Show so much.")] = 10.0,
    width: Annotated[
        int, typer.Option("--width", min=16, max=4096, help="Of pictures at most, in samples; PSNR is of full ones.")
    ] = 640,
    page_mb: Annotated[
        float, typer.Option("--page-mb", min=0.1, help="Room for pictures, in MB; they get coarser where it is short.")
    ] = 32.0,
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Devices = "auto",
    jobs: DecodeJobs = None,
    threads: Threads = None,
    max_memory: MemoryToDecode = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    json_progress: JsonProgress = False,
    log_file: LogFile = None,
) -> None:
    """Show a .stp file beside its original: one HTML page to open in a browser.

    It plays both in step, wipes between them, and draws PSNR and bits of every frame and a heat map of the bits of
    every spacetime patch. It needs no network and no other file.
    """
    session: Session = context.obj
    report = session.report
    original, source = _pair(paths)
    memory = None if max_memory is None else parse_size(max_memory, "--max-memory")
    check_source(original)
    check_source(source)  # before torch loads
    from stpcodec.evaluation import compare as comparison

    with report.progress(session.guard, source=source) as progress:
        done = comparison.compare(
            original,
            source,
            out,
            start=start,
            seconds=seconds,
            picture_width=width,
            page_bytes=round(page_mb * 1e6),
            model=model,
            model_dir=model_dir,
            device=device,
            threads=threads,
            jobs=jobs,
            max_memory=memory,
            overwrite=overwrite,
            load=session.load,
            progress=progress,
            warn=report.warning,
        )
    page = out / comparison.PAGE
    report.say(
        f"{page}: {done.frames} frames from {console.time_text(done.start_seconds)}, "
        f"PSNR {done.psnr_db['yuv']:.2f} dB, {console.size_text(done.bytes_written)}; open it in a browser"
    )
    report.emit("file", source=source, original=original, target=str(page), status="done", **dataclasses.asdict(done))


def _pair(paths: list[str]) -> tuple[str, str]:
    """ORIGINAL and IN. Raises UsageError."""
    if len(paths) == 1:
        raise UsageError(
            f"{paths[0]}: nothing to compare it with; name the original video first, then the .stp file "
            "(`stpcodec thumb` and `stpcodec info` need no original)"
        )
    if len(paths) > 2:
        raise UsageError(f"{len(paths)} names; name the original video and one .stp file")
    if paths[0].lower().endswith(".stp") and not paths[1].lower().endswith(".stp"):
        raise UsageError(f"{paths[0]}: is the .stp file, which comes second: stpcodec compare {paths[1]} {paths[0]}")
    return paths[0], paths[1]


compare.__doc__ = help_text(compare.__doc__, EXAMPLES)
