"""What `main` and the verbs share in one run, and the options that several verbs have."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.signals import SignalGuard


@dataclass
class Session:
    """Passed to every verb as `context.obj`.

    verbose: unexpected errors show their traceback. debug: all errors do.
    """

    guard: SignalGuard = field(default_factory=SignalGuard)
    verbose: bool = False
    debug: bool = field(default_factory=lambda: os.environ.get("STPCODEC_DEBUG", "") not in ("", "0"))


def help_text(doc: str | None, examples: str) -> str:
    """A verb's docstring and its examples as paragraphs of one line each, which the terminal wraps."""
    text = f"{inspect.cleandoc(doc or '')}\n\n{examples}"
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _set_verbose(context: typer.Context, value: bool) -> bool:
    session: Session = context.find_root().obj
    session.verbose |= value
    return value


Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_set_verbose, help="Say more; show the traceback of internal errors."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors only.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
PictureOnly = Annotated[bool, typer.Option("--picture-only", help="Leave out sound and all other streams.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
WeightsFile = Annotated[
    str | None, typer.Option("--model", metavar="FILE", help="Weights file, if it is not found by itself.")
]
ModelFolder = Annotated[
    Path | None,
    typer.Option(
        "--model-dir", metavar="FOLDER", show_default=False,
        help="Models of your own; looked into before $STPCODEC_MODELS and your data folder.",
    ),
]  # fmt: skip
StpFileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A .stp file.", show_default=False)]
