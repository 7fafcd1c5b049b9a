"""`stpcodec encode IN OUT`, and `stpcodec encode IN... --out-dir FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stpcodec.cli.aim import Bitrate, MaxBitrate, Roi, TargetPsnr, TargetSize, TargetSsim, TargetVmaf, Tune, one_aim
from stpcodec.cli.batch import Batch, Rules
from stpcodec.cli.coding import Coding
from stpcodec.cli.files import VIDEOS, one_pair, plan_jobs, refuse_shared_stdout
from stpcodec.cli.journal import Job, Journal
from stpcodec.cli.quantities import parse_rate, parse_size
from stpcodec.cli.session import (
    Devices,
    DryRun,
    Effort,
    Json,
    JsonProgress,
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
    Threads,
    Tile,
    Verbose,
    VerifyWritten,
    help_text,
)
from stpcodec.codec.output import STANDARD_STREAM, check_target
from stpcodec.codec.tune import PSNR
from stpcodec.errors import OutputError, UsageError

EXAMPLES = """Examples:

stpcodec encode in.mp4 out.stp

stpcodec encode in.mkv out.stp --quality 70 --verify

stpcodec encode in.mp4 out.stp --effort 5

stpcodec encode in.mp4 out.stp --target-size 25MB

stpcodec encode in.mp4 out.stp --bitrate 800k --max-bitrate 2M

stpcodec encode in.mp4 out.stp --target-vmaf 93

stpcodec encode in.mp4 out.stp --roi 40,20,64,64,8 --roi 0,0,32,32@2-4.5

stpcodec encode *.mp4 --out-dir coded --skip-existing

stpcodec encode -r videos --out-dir coded --rm

ffmpeg -i in.mp4 -f yuv4mpegpipe - | stpcodec encode - out.stp"""


def encode(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="IN OUT",
            help="Any video, or - for standard input; the .stp file, or - for standard output. With --out-dir or -r: "
            "any number of videos.",
            show_default=False,
        ),
    ],
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
    device: Devices = "auto",
    segment_frames: SegmentFrames = 128,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Segments coded at once, each in a process; by default as many as pay. Same bytes for any number.",
        ),
    ] = None,
    threads: Threads = None,
    tile: Tile = 0,
    max_memory: MaxMemory = None,
    overwrite: Overwrite = False,
    verify: VerifyWritten = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted encode of the same input with the same options.")
    ] = False,
    strict: Strict = False,
    out_dir: OutDir = None,
    recursive: Recursive = False,
    skip_existing: SkipExisting = False,
    remove: Annotated[
        bool,
        typer.Option(
            "--rm", help="Delete each input when its output has passed `verify --deep`, unless there was any warning."
        ),
    ] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    json_progress: JsonProgress = False,
    log_file: LogFile = None,
) -> None:
    """Encode a video into a .stp file, or several into a folder.

    Several are encoded one after the other. A failure does not stop the others, and is listed at the end; an
    interrupted run goes on with the same command.
    """
    session: Session = context.obj
    report = session.report
    rules = Rules(skip_existing=skip_existing, overwrite=overwrite, dry_run=dry_run)
    coding = Coding(
        session,
        quality=quality,
        effort=effort,
        aim=one_aim(context),
        max_bitrate=None if max_bitrate is None else parse_rate(max_bitrate, "--max-bitrate"),
        model=model,
        model_dir=model_dir,
        device=device,
        segment_frames=segment_frames,
        threads=threads,
        jobs=jobs,
        tile=tile,
        max_memory=None if max_memory is None else parse_size(max_memory, "--max-memory"),
        strict=strict,
        overwrite=overwrite,
        verify=verify,
        roi=tuple(roi or ()),
        tune=tune,
    )
    if coding.is_search and resume:
        raise UsageError("--resume continues one encode, a target needs several; leave one of them out")

    def check(target: str) -> None:
        from stpcodec.codec.devices import first_device
        from stpcodec.codec.verify import verify

        with report.progress(session.guard, source=target) as progress:
            verify(
                target, deep=True, model=model, model_dir=model_dir, device=first_device(device), threads=threads,
                load=session.load, progress=progress,
            ).raise_if_bad()  # fmt: skip

    def work(source: str, target: str, *, resume: bool) -> dict[str, Any]:
        if remove and not Path(source).is_file():
            raise UsageError(f"{source}: is no single file that --rm could delete; leave --rm out")
        before = _identity(source) if remove else None
        warnings = report.warnings
        with report.progress(session.guard, source=source) as progress:
            facts = coding.run(source, target, progress, resume=resume)
        if remove:
            if report.warnings == warnings:
                check(target)
            facts["removed"] = _remove(session, source, target, before, warned=report.warnings > warnings)
        return facts

    if remove and STANDARD_STREAM in paths:
        raise UsageError("--rm deletes files that can be read again, not standard input or output; use file names")
    if out_dir is None and not recursive:
        source, target = one_pair(paths)
        refuse_shared_stdout(target, as_json=report.as_json)
        if skip_existing and Path(target).is_file():
            report.say(f"{source}: skipped, {target} exists")
            report.emit("file", source=source, target=target, status="skipped")
            return
        check_target(target, source=source, overwrite=overwrite)  # before torch loads
        if Path(target).suffix.lower() in VIDEOS and Path(target).is_file():
            raise UsageError(f"{target}: is a video where the output is to be named; --out-dir takes several inputs")
        if dry_run:
            report.say(f"{source}: would be encoded to {target}")
            report.emit("file", source=source, target=target, status="planned")
            return
        report.emit("file", source=source, target=target, status="done", **work(source, target, resume=resume))
        return
    folder, files = plan_jobs(paths, out_dir=out_dir, recursive=recursive, suffixes=VIDEOS, target_suffix=".stp")
    batch = Batch(session, "encoded", rules, Journal(folder, coding.decisive))

    def job_work(job: Job) -> dict[str, Any]:
        from stpcodec.codec.partial import has_leftover

        assert job.target is not None
        return work(str(job.source), str(job.target), resume=resume or has_leftover(job.target))

    batch.run(files, job_work)


def _identity(path: str) -> tuple[int, int, int]:
    state = Path(path).stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _remove(session: Session, source: str, target: str, before: object, *, warned: bool) -> bool:
    """Delete the source of a verified output, unless something speaks against it; says what."""
    if warned:
        session.report.say(f"{source}: kept, because there were warnings")
        return False
    if _identity(source) != before:
        session.report.warning(f"{source}: kept, because it changed while it was encoded")
        return False
    try:
        Path(source).unlink()
    except OSError as error:
        raise OutputError(f"{source}: is encoded and verified, but cannot be deleted: {error.strerror}") from error
    session.report.say(f"{source}: deleted, {target} is verified")
    return True


encode.__doc__ = help_text(encode.__doc__, EXAMPLES)
