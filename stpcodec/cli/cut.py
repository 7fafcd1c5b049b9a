"""`stpcodec cut IN OUT`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import (
    End,
    Json,
    LogFile,
    Overwrite,
    PictureOnly,
    Quiet,
    Session,
    Start,
    Verbose,
    help_text,
)

EXAMPLES = """Examples:

stpcodec cut in.stp part.stp --start 12.5 --end 30

stpcodec cut in.stp rest.stp --start 60"""


def cut(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="A .stp file.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="OUT", help="The part, a .stp file.", show_default=False)],
    start: Start = None,
    end: End = None,
    picture_only: PictureOnly = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Copy a part of a .stp file, with the sound and everything else beside it, without coding anything anew.

    Whole segments are copied, so the part may begin earlier and end later than asked; it says by how much. For an exact
    part, use `decode --start --end`.
    """
    from stpcodec.codec import splice

    session: Session = context.obj
    with session.report.progress(session.guard, source=source) as progress:
        report = splice.cut(
            source,
            target,
            start=start,
            end=end,
            picture_only=picture_only,
            overwrite=overwrite,
            progress=progress,
            warn=session.report.warning,
        )
    asked = f"{start or 0:g} s to {'the end' if end is None else f'{end:g} s'}"
    session.report.say(
        f"{target}: {report.start_seconds:.3f} s to {report.end_seconds:.3f} s of {source}, whole segments around "
        f"the {asked} asked for; {report.frames} frames, {console.size_text(report.bytes_written)}"
    )
    session.report.emit("file", source=source, target=target, status="done", **dataclasses.asdict(report))


cut.__doc__ = help_text(cut.__doc__, EXAMPLES)
