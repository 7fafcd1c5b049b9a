"""`stpcodec repair DAMAGED OUT`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Json, LogFile, Overwrite, Quiet, Session, Verbose, help_text

EXAMPLES = """Examples:

stpcodec repair damaged.stp sound.stp"""


def repair(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="DAMAGED", help="A .stp file.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="OUT", help="The repaired .stp file.", show_default=False)],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Write every intact segment of a damaged .stp file, and what is left of its sound, as a sound new file.

    Names every damaged byte range and every lost range of frames and times. The damaged file is only read; to fill
    lost frames with pictures, use `decode --conceal` on it instead.
    """
    from stpcodec.codec import repair as repairing

    session: Session = context.obj

    def on_loss(loss: repairing.Loss) -> None:
        session.report.result(console.one_line(f"{source}: {loss}"), always=True)
        session.report.emit("problem", source=source, **dataclasses.asdict(loss))

    with session.report.progress(session.guard, source=source) as progress:
        report = repairing.repair(
            source,
            target,
            overwrite=overwrite,
            progress=progress,
            on_loss=on_loss,
        )
    session.report.result(
        f"{target}: {report.frames} frames in {report.segments} segments, "
        f"{console.size_text(report.bytes_written)}; "
        + (f"{report.frames_lost} frames are lost" if report.frames_lost else "no known frame is lost")
    )
    facts = dataclasses.asdict(report) | {"losses": len(report.losses)}
    session.report.emit("file", source=source, target=target, status="done", **facts)


repair.__doc__ = help_text(repair.__doc__, EXAMPLES)
