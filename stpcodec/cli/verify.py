"""`stpcodec verify FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Device, ModelFolder, Quiet, Session, StpFileArgument, Verbose, WeightsFile
from stpcodec.codec.output import check_source


def verify(
    context: typer.Context,
    path: StpFileArgument,
    deep: Annotated[bool, typer.Option("--deep", help="Decode the pixels too.")] = False,
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check every checksum and latent hash of a .stp file, and name what is damaged.

    Exits with 3 if bytes are damaged, with 4 if they are intact but decode to something else.
    """
    check_source(path)  # before torch loads
    from stpcodec.codec import verify as verification

    session: Session = context.obj
    with console.progress_bar(session.guard, quiet=quiet) as progress:
        report = verification.verify(
            path,
            deep=deep,
            model=model,
            model_dir=model_dir,
            device=device,
            progress=progress,
            on_problem=lambda problem: print(console.one_line(f"{path}: {problem}"), flush=True),
        )
    report.raise_if_bad()
    if not quiet:
        print(
            f"{path}: intact, {report.frames} frames in {report.segments} segments, "
            f"{console.size_text(report.size_bytes)}" + (", all decoded" if report.decoded else "")
        )
