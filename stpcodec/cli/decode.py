"""`stpcodec decode IN OUT`, and `stpcodec decode IN... --out-dir FOLDER`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from stpcodec.cli.batch import Batch, Rules
from stpcodec.cli.files import STP, one_pair, plan_jobs, refuse_shared_stdout
from stpcodec.cli.journal import Job, Journal
from stpcodec.cli.quantities import parse_size
from stpcodec.cli.session import (
    DecodeJobs,
    Devices,
    DryRun,
    End,
    Json,
    JsonProgress,
    LogFile,
    MemoryToDecode,
    ModelFolder,
    OutDir,
    Overwrite,
    Quiet,
    Recursive,
    Session,
    SkipExisting,
    Start,
    Threads,
    Verbose,
    WeightsFile,
    help_text,
)
from stpcodec.codec.output import check_target
from stpcodec.errors import UsageError

EXAMPLES = """Examples:

stpcodec decode in.stp out.mp4

stpcodec decode in.stp out.mkv --vcodec ffv1

stpcodec decode *.stp --out-dir decoded --to mkv

stpcodec decode in.stp - | ffplay -

stpcodec decode in.stp - --format nut | ffplay -

stpcodec decode damaged.stp out.mp4 --conceal"""


class Container(StrEnum):
    """What a file is decoded to."""

    MP4 = "mp4"
    MKV = "mkv"
    MOV = "mov"
    Y4M = "y4m"
    NUT = "nut"


def decode(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="IN OUT",
            help="A .stp file; a .mp4, .mkv, .mov, .nut or .y4m file, or - for standard output. With --out-dir or -r: "
            "any number of .stp files.",
            show_default=False,
        ),
    ],
    model: WeightsFile = None,
    model_dir: ModelFolder = None,
    device: Devices = "auto",
    start: Start = None,
    end: End = None,
    output_format: Annotated[
        Container | None,
        typer.Option(
            "--format", show_default=False,
            help="Of the output, if not what its name says; of - y4m: one frame rate, no sound. nut has exact times "
            "and sound.",
        ),
    ] = None,
    vcodec: Annotated[
        str | None,
        typer.Option("--vcodec", metavar="NAME", help="FFmpeg encoder of the output; default libx264."),
    ] = None,
    crf: Annotated[int | None, typer.Option("--crf", min=0, help="Its constant rate factor; 12 for libx264.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", metavar="P", help="Its preset; fast for libx264.")] = None,
    conceal: Annotated[
        bool, typer.Option("--conceal", help="Fill what a damaged file has lost from the nearest intact frames.")
    ] = False,
    jobs: DecodeJobs = None,
    threads: Threads = None,
    max_memory: MemoryToDecode = None,
    overwrite: Overwrite = False,
    out_dir: OutDir = None,
    to: Annotated[Container, typer.Option("--to", help="What several files become.")] = Container.MP4,
    recursive: Recursive = False,
    skip_existing: SkipExisting = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    json_progress: JsonProgress = False,
    log_file: LogFile = None,
) -> None:
    """Decode a .stp file into a video, with the sound and everything else of its source, or several into a folder.

    Several are decoded one after the other. A failure does not stop the others, and is listed at the end; an
    interrupted run goes on with the same command.
    """
    session: Session = context.obj
    report = session.report
    memory = None if max_memory is None else parse_size(max_memory, "--max-memory")
    rules = Rules(skip_existing=skip_existing, overwrite=overwrite, dry_run=dry_run)

    def work(source: str, target: str) -> dict[str, Any]:
        from stpcodec.codec import decoder

        options = {name: str(value) for name, value in (("crf", crf), ("preset", preset)) if value is not None}
        with report.progress(session.guard, source=source) as progress:
            done = decoder.decode(
                source,
                target,
                model=model,
                model_dir=model_dir,
                device=device,
                start=start,
                end=end,
                format_name=None if output_format is None else output_format.value,
                vcodec=vcodec,
                options=options or None,
                threads=threads,
                jobs=jobs,
                max_memory=memory,
                conceal=conceal,
                overwrite=overwrite,
                load=session.load,
                progress=progress,
                warn=report.warning,
            )
        report.say(f"{target}: {done.frames} frames, {done.frames_per_second:.1f} fps")
        report.detail(
            f"{target}: model {done.model} on {done.device}, {done.segments} segments decoded, {done.jobs} jobs"
        )
        path = Path(target)
        size = {"bytes_written": path.stat().st_size} if path.is_file() else {}
        return dataclasses.asdict(done) | {"frames_per_second": round(done.frames_per_second, 3)} | size

    if out_dir is None and not recursive:
        source, target = one_pair(paths)
        refuse_shared_stdout(target, as_json=report.as_json)
        if skip_existing and Path(target).is_file():
            report.say(f"{source}: skipped, {target} exists")
            report.emit("file", source=source, target=target, status="skipped")
            return
        check_target(target, source=source, overwrite=overwrite)  # before torch loads
        if dry_run:
            report.say(f"{source}: would be decoded to {target}")
            report.emit("file", source=source, target=target, status="planned")
            return
        report.emit("file", source=source, target=target, status="done", **work(source, target))
        return
    if output_format is not None:
        raise UsageError("--format is of one output; several files become what --to says")
    folder, files = plan_jobs(paths, out_dir=out_dir, recursive=recursive, suffixes=STP, target_suffix=f".{to}")
    options = {
        "start": start, "end": end, "vcodec": vcodec, "crf": crf, "preset": preset, "conceal": conceal,
        "model": model, "model_dir": model_dir,
    }  # fmt: skip

    def job_work(job: Job) -> dict[str, Any]:
        return work(str(job.source), str(job.target))

    Batch(session, "decoded", rules, Journal(folder, options)).run(files, job_work)


decode.__doc__ = help_text(decode.__doc__, EXAMPLES)
