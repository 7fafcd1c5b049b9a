"""`stpcodec batch IN... --out-dir FOLDER`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from stpcodec.cli.aim import Bitrate, MaxBitrate, Roi, TargetPsnr, TargetSize, TargetSsim, TargetVmaf, Tune, one_aim
from stpcodec.cli.batch import Batch, Rules
from stpcodec.cli.coding import Coding
from stpcodec.cli.files import VIDEOS, plan_jobs
from stpcodec.cli.journal import Job, Journal
from stpcodec.cli.quantities import parse_rate, parse_size
from stpcodec.cli.session import (
    DryRun,
    Effort,
    Json,
    LogFile,
    MaxMemory,
    ModelFolder,
    ModelName,
    OutDir,
    Overwrite,
    Quality,
    Quiet,
    Recursive,
    SegmentFrames,
    Session,
    SkipExisting,
    Strict,
    Tile,
    Verbose,
    VerifyWritten,
    help_text,
)
from stpcodec.codec.tune import PSNR
from stpcodec.errors import UsageError

EXAMPLES = """Examples:

stpcodec batch *.mp4 --out-dir coded --engine ray

stpcodec batch -r videos --out-dir coded --engine ray --address auto --quality 60"""


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


def batch(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Videos; with -r also folders.", show_default=False)
    ],
    engine: Annotated[
        Engine, typer.Option("--engine", help="Who codes: this machine as encode does, or Ray (extra ray).")
    ] = Engine.LOCAL,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT", help="Of a Ray cluster, or auto; by default one of its own."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Of a Ray cluster of its own; by default one a core."),
    ] = None,
    quality: Quality = 50,
    effort: Effort = 1,
    target_psnr: TargetPsnr = None,
    target_ssim: TargetSsim = None,
    target_vmaf: TargetVmaf = None,
    target_size: TargetSize = None,
    bitrate: Bitrate = None,
    max_bitrate: MaxBitrate = None,
    roi: Roi = None,
    tune: Tune = PSNR,
    model: ModelName = None,
    model_dir: ModelFolder = None,
    segment_frames: SegmentFrames = 128,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads of each segment; with Ray 1 by default.")
    ] = None,
    tile: Tile = 0,
    max_memory: MaxMemory = None,
    overwrite: Overwrite = False,
    verify: VerifyWritten = False,
    strict: Strict = False,
    out_dir: OutDir = None,
    recursive: Recursive = False,
    skip_existing: SkipExisting = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Encode many videos into a folder, on one machine or several.

    With `--engine ray` the segments of all files are tasks of a Ray cluster, and as many files as it has cores are
    worked on at once. The videos are read and the files written here; the files are those of `encode`. All machines
    must have the model. A segment whose worker is lost is coded again. As with encode, failures do not stop the
    others, and an interrupted run goes on with the same command.
    """
    session: Session = context.obj
    if engine is not Engine.RAY and (address is not None or workers is not None):
        raise UsageError("--address and --workers are those of a Ray cluster; add --engine ray")
    if out_dir is None and not recursive:
        raise UsageError("a batch needs --out-dir FOLDER for its outputs")
    coding = Coding(
        session,
        quality=quality,
        effort=effort,
        aim=one_aim(context),
        max_bitrate=None if max_bitrate is None else parse_rate(max_bitrate, "--max-bitrate"),
        model=model,
        model_dir=model_dir,
        segment_frames=segment_frames,
        threads=threads,
        tile=tile,
        max_memory=None if max_memory is None else parse_size(max_memory, "--max-memory"),
        strict=strict,
        overwrite=overwrite,
        verify=verify,
        roi=tuple(roi or ()),
        tune=tune,
    )
    folder, files = plan_jobs(paths, out_dir=out_dir, recursive=recursive, suffixes=VIDEOS, target_suffix=".stp")
    rules = Rules(skip_existing=skip_existing, overwrite=overwrite, dry_run=dry_run)
    todo = Batch(session, "encoded", rules, Journal(folder, coding.decisive))
    with ExitStack() as stack:
        at_once = 1
        if engine is Engine.RAY and not dry_run:
            from stpcodec.codec.ray_farm import RayFarm

            farm = stack.enter_context(RayFarm(address, workers))
            session.guard.renew()  # Ray has handlers of its own
            coding, at_once = replace(coding, device="cpu", farm=farm), farm.capacity

        def work(job: Job) -> dict[str, Any]:
            from stpcodec.codec.partial import has_leftover

            assert job.target is not None
            source, target = str(job.source), str(job.target)
            resume = has_leftover(job.target) and not coding.is_search
            if at_once > 1:  # bars of several files would draw over each other
                return coding.run(source, target, lambda _: session.guard.check(), resume=resume)
            with session.report.progress(session.guard, source=source) as progress:
                return coding.run(source, target, progress, resume=resume)

        todo.run(files, work, at_once=at_once)


batch.__doc__ = help_text(batch.__doc__, EXAMPLES)
