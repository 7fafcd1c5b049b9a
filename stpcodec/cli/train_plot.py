"""`stpcodec train-plot RUN...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.session import Json, LogFile, Overwrite, Quiet, Session, Verbose, help_text

EXAMPLES = """Examples:

stpcodec train-plot runs/train --out curves.html

stpcodec train-plot runs/a runs/b --out curves.svg --overwrite

Exit codes: 2 the output exists or is neither .html nor .svg; 3 no log of a training run; 5 not writable."""


def train_plot(
    context: typer.Context,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of training runs.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .html page or .svg picture.", show_default=False)
    ],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Draw the validation curves of training runs, also while they are running."""
    from stpcodec.training.curves import check_plot_target, read_runs, write_plot

    check_plot_target(out, overwrite=overwrite)
    found = read_runs(runs)
    write_plot(found, out, overwrite=overwrite)
    session: Session = context.obj
    session.report.say(f"{out}: {len(found)} runs, {sum(len(run.rows) for run in found)} validations")
    session.report.emit("file", target=str(out), status="done")


train_plot.__doc__ = help_text(train_plot.__doc__, EXAMPLES)
