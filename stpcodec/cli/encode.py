"""`stpcodec encode IN OUT`, and `stpcodec encode IN... --out-dir FOLDER`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stpcodec.cli import console
from stpcodec.cli.aim import Aim, one_aim
from stpcodec.cli.batch import Batch, Rules
from stpcodec.cli.files import VIDEOS, one_pair, plan_jobs, refuse_shared_stdout
from stpcodec.cli.journal import Job, Journal
from stpcodec.cli.session import (
    Device,
    DryRun,
    Json,
    JsonProgress,
    LogFile,
    ModelFolder,
    OutDir,
    Overwrite,
    Quiet,
    Recursive,
    Session,
    SkipExisting,
    Threads,
    Verbose,
    help_text,
)
from stpcodec.codec.output import STANDARD_STREAM, check_target
from stpcodec.errors import OutputError, UsageError

if TYPE_CHECKING:
    from stpcodec.codec.encoder import EncodeReport
    from stpcodec.codec.events import ProgressCallback
    from stpcodec.video.frames import Warn

EXAMPLES = """Examples:

stpcodec encode in.mp4 out.stp

stpcodec encode in.mkv out.stp --quality 70 --verify

stpcodec encode in.mp4 out.stp --target-size 25MB

stpcodec encode in.mp4 out.stp --bitrate 800k

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
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Higher is better and larger.")] = 50,
    target_psnr: Annotated[
        float | None,
        typer.Option("--target-psnr", metavar="DB", help="Instead of --quality: the lowest for this PSNR (6:1:1)."),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option("--target-size", metavar="SIZE", help="Instead of --quality: the highest that fits into 25MB."),
    ] = None,
    bitrate: Annotated[
        str | None,
        typer.Option("--bitrate", metavar="RATE", help="Instead of --quality: nearest to 800k, without the sound."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME|FILE", help="Model name or weights file; the default is learned."),
    ] = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    segment_frames: Annotated[
        int,
        typer.Option("--segment-frames", min=1, max=256, help="Longest segment: seeking and damage stop at its ends."),
    ] = 128,
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
    tile: Annotated[
        int,
        typer.Option("--tile", min=0, help="Tile size in pixels to bound memory; 0: only for very large frames."),
    ] = 0,
    overwrite: Overwrite = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Decode the file just written, compare with the source, print PSNR."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted encode of the same input with the same options.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on any damage in the source instead of warning.")
    ] = False,
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

    aim = one_aim(context, psnr_db=target_psnr, size=target_size, bitrate=bitrate)
    if aim is not None and resume:
        raise UsageError("--resume continues one encode, a target needs several; leave one of them out")

    def code(
        source: str,
        target: str,
        progress: ProgressCallback,
        *,
        quality: int = quality,
        overwrite: bool = overwrite,
        resume: bool = resume,
        verify: bool = verify,
        warn: Warn = report.warning,
    ) -> EncodeReport:
        from stpcodec.codec import encoder

        return encoder.encode(
            source,
            target,
            quality=quality,
            model=model,
            model_dir=model_dir,
            device=device,
            segment_frames=segment_frames,
            threads=threads,
            jobs=jobs,
            overwrite=overwrite,
            strict=strict,
            verify=verify,
            tile=tile,
            resume=resume,
            load=session.load,
            progress=progress,
            warn=warn,
        )

    def code_to(aim: Aim, source: str, target: str, progress: ProgressCallback) -> dict[str, Any]:
        from stpcodec.codec.targets import encode_to

        said: set[str] = set()

        def warn_once(message: str) -> None:
            if message not in said:
                said.add(message)
                report.warning(message)

        def encode_at(path: Path, quality: int, measure: bool) -> EncodeReport:
            report.detail(f"{source}: trying quality {quality}")
            return code(
                source, str(path), progress, quality=quality, overwrite=True, resume=False, verify=verify or measure,
                warn=warn_once,
            )  # fmt: skip

        done = encode_to(
            aim.goal(),
            source,
            target,
            encode_at,
            model=model,
            model_dir=model_dir,
            device=device,
            segment_frames=segment_frames,
            threads=threads,
            tile=tile,
            strict=strict,
            overwrite=overwrite,
            load=session.load,
            progress=progress,
        )
        _tell(session, target, done.encode)
        report.say(
            f"{target}: quality {done.quality} comes to {done.goal.text(done.reached)}, "
            f"{done.goal.deviation_text(done.reached)} of the target; {done.encodes} encodes, {done.trials} trials"
        )
        goal = {
            "kind": str(done.goal.kind), "asked": done.goal.value, "reached": done.reached,
            "deviation": round(done.deviation, 6), "encodes": done.encodes, "trials": done.trials,
        }  # fmt: skip
        return _facts(done.encode) | {"quality": done.quality, "goal": goal}

    def check(target: str) -> None:
        from stpcodec.codec.verify import verify

        with report.progress(session.guard, source=target) as progress:
            verify(
                target, deep=True, model=model, model_dir=model_dir, device=device, threads=threads,
                load=session.load, progress=progress,
            ).raise_if_bad()  # fmt: skip

    def work(source: str, target: str, *, resume: bool) -> dict[str, Any]:
        if remove and not Path(source).is_file():
            raise UsageError(f"{source}: is no single file that --rm could delete; leave --rm out")
        before = _identity(source) if remove else None
        warnings = report.warnings
        with report.progress(session.guard, source=source) as progress:
            if aim is not None:
                facts = code_to(aim, source, target, progress)
            else:
                done = code(source, target, progress, resume=resume)
                facts = _facts(done) | {"quality": quality}
        if aim is None:
            _tell(session, target, done)
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
    options = {
        "quality": quality, "aim": aim, "model": model, "model_dir": model_dir, "segment_frames": segment_frames,
        "tile": tile,
    }  # fmt: skip
    batch = Batch(session, "encoded", rules, Journal(folder, options))

    def job_work(job: Job) -> dict[str, Any]:
        from stpcodec.codec.partial import has_leftover

        assert job.target is not None
        return work(str(job.source), str(job.target), resume=resume or has_leftover(job.target))

    batch.run(files, job_work)


def _tell(session: Session, target: str, done: EncodeReport) -> None:
    session.report.say(
        f"{target}: {done.frames} frames, {console.size_text(done.bytes_written)}, "
        f"{done.bits_per_pixel:.4f} bits per pixel, {done.frames_per_second:.1f} fps"
    )
    if done.psnr_db is not None:
        planes = ", ".join(f"{plane} {value:.2f}" for plane, value in done.psnr_db.items())
        session.report.say(f"{target}: verified, PSNR in dB: {planes}")
    session.report.detail(
        f"{target}: model {done.model} on {done.device}, {done.segments} segments, {done.jobs} jobs, "
        f"{console.size_text(done.sidecar_bytes)} of other streams"
    )


def _facts(done: EncodeReport) -> dict[str, Any]:
    return dataclasses.asdict(done) | {"frames_per_second": round(done.frames_per_second, 3)}


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
