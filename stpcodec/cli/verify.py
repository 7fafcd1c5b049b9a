"""`stpcodec verify FILE...`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stpcodec.cli import console
from stpcodec.cli.batch import Batch
from stpcodec.cli.files import STP, find_sources
from stpcodec.cli.journal import Job
from stpcodec.cli.session import (
    Device,
    Json,
    JsonProgress,
    LogFile,
    ModelFolder,
    Quiet,
    Recursive,
    Session,
    StpFilesArgument,
    Verbose,
    WeightsFile,
    help_text,
)
from stpcodec.codec.output import check_source

if TYPE_CHECKING:
    from stpcodec.codec.verify import Problem

EXAMPLES = """Examples:

stpcodec verify in.stp

stpcodec verify --deep -r archive"""


def verify(
    context: typer.Context,
    paths: StpFilesArgument,
    deep: Annotated[bool, typer.Option("--deep", help="Decode the pixels too.")] = False,
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    recursive: Recursive = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    json_progress: JsonProgress = False,
    log_file: LogFile = None,
) -> None:
    """Check every checksum and latent hash of .stp files, and name what is damaged.

    Exits with 3 if bytes are damaged, with 4 if they are intact but decode to something else. Of several files all are
    checked; the exit code is that of the first bad one.
    """
    session: Session = context.obj
    report = session.report
    sources = find_sources(paths, recursive=recursive, suffixes=STP)
    jobs = [Job(path) for path, _ in sources]

    def work(job: Job) -> dict[str, Any]:
        path = str(job.source)
        check_source(path)  # before torch loads
        from stpcodec.codec import verify as verification

        def on_problem(problem: Problem) -> None:
            report.result(console.one_line(f"{path}: {problem}"), always=True)
            report.emit("problem", source=path, **dataclasses.asdict(problem))

        with report.progress(session.guard, source=path) as progress:
            found = verification.verify(
                path,
                deep=deep,
                model=model,
                model_dir=model_dir,
                device=device,
                load=session.load,
                progress=progress,
                on_problem=on_problem,
            )
        found.raise_if_bad()
        report.result(
            f"{path}: intact, {found.frames} frames in {found.segments} segments, "
            f"{console.size_text(found.size_bytes)}" + (", all decoded" if found.decoded else "")
        )
        return {
            "intact": True,
            "frames": found.frames,
            "segments": found.segments,
            "size_bytes": found.size_bytes,
            "decoded": found.decoded,
        }

    if len(paths) == 1 and not recursive:
        report.emit("file", source=paths[0], status="done", **work(jobs[0]))
        return
    Batch(session, "intact").run(jobs, work)


verify.__doc__ = help_text(verify.__doc__, EXAMPLES)
