"""`stpcodec concat IN... OUT`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.session import Json, LogFile, Overwrite, PictureOnly, Quiet, Session, Verbose, help_text
from stpcodec.errors import UsageError

EXAMPLES = """Examples:

stpcodec concat a.stp b.stp whole.stp

stpcodec concat part-*.stp whole.stp --picture-only"""


def concat(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="IN... OUT", help=".stp files, the output last.", show_default=False)
    ],
    picture_only: PictureOnly = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Join .stp files, with their sound and everything else, without coding anything anew.

    They must be coded alike: size, bit depth, time base, model, quality. Sound is joined where its tracks are of the
    same kinds; each file's sound is cut at the end of its picture. Tags, attachments and covers are those of the first.
    """
    if len(paths) < 2:
        raise UsageError(f"{paths[0]}: is the only name given; name the files to join, then the output")
    from stpcodec.codec import splice

    *sources, target = paths
    session: Session = context.obj
    with session.report.progress(session.guard, source=target) as progress:
        report = splice.concat(
            sources,
            target,
            picture_only=picture_only,
            overwrite=overwrite,
            progress=progress,
            warn=session.report.warning,
        )
    session.report.say(
        f"{target}: {report.files} files, {report.frames} frames in {report.segments} segments, "
        f"{console.time_text(report.duration_seconds)}, {console.size_text(report.bytes_written)}"
    )
    session.report.emit("file", sources=sources, target=target, status="done", **dataclasses.asdict(report))


concat.__doc__ = help_text(concat.__doc__, EXAMPLES)
