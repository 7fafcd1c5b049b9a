"""What `main` and the verbs share in one run, and the options that several verbs have."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stpcodec.cli.report import Report
from stpcodec.cli.signals import SignalGuard

if TYPE_CHECKING:  # torch is loaded by the verbs that need it
    from stpcodec.codec.models import LoadCodec


@dataclass
class Session:
    """Passed to every verb as `context.obj`.

    verbose: unexpected errors show their traceback. debug: all errors do. loaded: models of this run, see `load`.
    """

    guard: SignalGuard = field(default_factory=SignalGuard)
    report: Report = field(default_factory=Report)
    verbose: bool = False
    loaded: LoadCodec | None = None
    debug: bool = field(default_factory=lambda: os.environ.get("STPCODEC_DEBUG", "") not in ("", "0"))

    @property
    def load(self) -> LoadCodec:
        """Loads a model once, however many files need it. Loads torch."""
        if self.loaded is None:
            from stpcodec.codec.models import CodecCache

            self.loaded = CodecCache()
        return self.loaded


def help_text(doc: str | None, examples: str) -> str:
    """A verb's docstring and its examples as paragraphs of one line each, which the terminal wraps."""
    text = f"{inspect.cleandoc(doc or '')}\n\n{examples}"
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _set_verbose(context: typer.Context, value: bool) -> bool:
    session: Session = context.find_root().obj
    session.verbose |= value
    session.report.verbose |= value
    return value


def _set_quiet(context: typer.Context, value: bool) -> bool:
    context.find_root().obj.report.quiet |= value
    return value


def _set_json(context: typer.Context, value: bool) -> bool:
    context.find_root().obj.report.as_json |= value
    return value


def _set_json_progress(context: typer.Context, value: bool) -> bool:
    context.find_root().obj.report.json_progress |= value
    return _set_json(context, value)


def _open_log(context: typer.Context, value: Path | None) -> Path | None:
    if value is not None and not context.resilient_parsing:
        context.find_root().obj.report.open_log(value)
    return value


Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_set_verbose, help="Say more; show the traceback of internal errors."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_set_quiet, help="No progress and no summary; warnings and errors only."),
]
# Eager: what is wrong with the other options is then an object too.
Json = Annotated[
    bool,
    typer.Option("--json", callback=_set_json, is_eager=True, help="One JSON object a line on standard output."),
]
JsonProgress = Annotated[
    bool,
    typer.Option("--json-progress", callback=_set_json_progress, is_eager=True, help="--json, with progress objects."),
]
LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", callback=_open_log, show_default=False,
                 help="Append all messages to this file."),
]  # fmt: skip
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
PictureOnly = Annotated[bool, typer.Option("--picture-only", help="Leave out sound and all other streams.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
Devices = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps; of a list, cuda:0,cuda:1, each codes segments beside the others.",
    ),
]  # fmt: skip
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads of each job; by default all cores, shared among the jobs."),
]
CpuThreads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; by default all cores.")]
DecodeJobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, metavar="N", help="Segments decoded at once, each in a process; by default as many as pay."
    ),
]
Quality = Annotated[
    float, typer.Option("--quality", min=1, max=100, help="Higher is better and larger; 52.4 mixes 52 and 53.")
]
Effort = Annotated[
    int,
    typer.Option(
        "--effort", min=0, max=9, metavar="0-9",
        help="0 is quickest; from 2 on each segment is coded again by other choices and the best is kept: 9 is 15 to "
        "30 times slower.",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|FILE", help="Model name or weights file; the default is learned."),
]
SegmentFrames = Annotated[
    int,
    typer.Option("--segment-frames", min=1, max=256, help="Longest segment: seeking and damage stop at its ends."),
]
Tile = Annotated[
    int, typer.Option("--tile", min=0, help="Tile size in pixels to bound memory; 0: only for very large frames.")
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory", metavar="SIZE",
        help="For all processes together, as in 2GB; larger frames are coded in tiles, which are another file. By "
        "default half of what is free, and tiles do not depend on it.",
    ),
]  # fmt: skip
MemoryToDecode = Annotated[
    str | None,
    typer.Option(
        "--max-memory", metavar="SIZE", help="For all processes together, as in 2GB; by default half of what is free."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail on any damage in the source instead of warning.")]
VerifyWritten = Annotated[
    bool, typer.Option("--verify", help="Decode the file just written, compare with the source, print PSNR.")
]
Start = Annotated[
    float | None,
    typer.Option("--start", min=0, metavar="SECONDS", help="From here on, counted from the first frame."),
]
End = Annotated[float | None, typer.Option("--end", min=0, metavar="SECONDS", help="Up to here, not included.")]
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
OutDir = Annotated[
    Path | None,
    typer.Option("--out-dir", metavar="FOLDER", show_default=False,
                 help="For the outputs of several inputs; made if it is missing."),
]  # fmt: skip
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Take folders: all files in and below them.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave alone inputs whose output exists.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
StpFilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help=".stp files; with -r also folders.", show_default=False)
]
StpFileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A .stp file.", show_default=False)]
