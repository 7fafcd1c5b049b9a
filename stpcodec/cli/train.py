"""`stpcodec train`."""

from __future__ import annotations

from typing import Annotated

import typer

from stpcodec.cli.session import Session, Verbose


def train(
    context: typer.Context,
    videos: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder of any videos.", show_default=False)
    ],
    verbose: Verbose = False,
) -> None:
    """Train a model on a folder of videos."""
    session: Session = context.obj
    session.guard.check()
