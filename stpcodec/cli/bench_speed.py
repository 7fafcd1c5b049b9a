"""`stpcodec bench speed CLIP`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stpcodec.cli.session import Device, Json, LogFile, Quiet, Session, Verbose, help_text
from stpcodec.errors import UsageError

if TYPE_CHECKING:
    from stpcodec.evaluation.contenders import Contender

EXAMPLES = """Examples:

stpcodec bench speed in.mp4

stpcodec bench speed in.mp4 --frames 100 --repetitions 3 --threads 2 --json

stpcodec bench speed long.mp4 --jobs 2 --effort 0

`bench speed` and `bench-speed` are the same command. Every codec works on one clip at once, in one process unless
`--jobs` says otherwise."""
MIDDLE = 2
"""Of an anchor's values from good to small, the one whose speed is measured."""


def bench_speed(
    context: typer.Context,
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video.", show_default=False)],
    models: Annotated[str, typer.Option("--models", metavar="NAMES|FILES", help="Our models.")] = "stp-s",
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Of our models.")] = 50,
    effort: Annotated[int, typer.Option("--effort", min=0, max=9, help="Of our encoder.")] = 1,
    anchors: Annotated[
        str, typer.Option("--anchors", metavar="NAMES", help="Of x264, x265, svtav1, at a middle rate; '' for none.")
    ] = "x264,x265,svtav1",
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Of our models: processes that share the threads, for long videos.")
    ] = 1,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Of which the median counts.")] = 5,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Only the first N of the clip.")] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Of every codec; by default all cores.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Compare the speed of our models with other codecs' on one clip: frames a second, memory, stages, MACs.

    From file to file, decoding also to nothing; model and kernels are loaded before, but by `--jobs` of several, which
    begin anew with every video. Memory is that of the process which hands out the work. Stages are shares of the
    processor's time, of one job; MACs of the networks are counted while they run.
    """
    from stpcodec.evaluation.anchors import find_anchor
    from stpcodec.evaluation.contenders import Other, Ours
    from stpcodec.evaluation.request import find_clips, names_in
    from stpcodec.evaluation.speed import measure_speed
    from stpcodec.evaluation.speed_tables import speed_fields, speed_text
    from stpcodec.evaluation.vvenc import ENCODER as VVENC

    session: Session = context.obj

    def progress(line: str) -> None:
        session.guard.check()
        session.report.say(line)

    find_clips([str(clip)])
    count = threads or cores()
    if jobs > count:
        raise UsageError(f"--jobs {jobs}: there are {count} threads to share; ask for fewer, or for more --threads")
    ours = [Ours(name, quality, device, count, effort, jobs) for name in names_in(models)]
    others = []
    for anchor in map(find_anchor, names_in(anchors)):
        if anchor.encoder == VVENC:
            raise UsageError("vvenc is another program; its speed is in points.csv of `stpcodec bench`")
        others.append(Other(anchor, anchor.crf[MIDDLE], count))
    contenders: list[Contender] = [*ours, *others]
    if not contenders:
        raise UsageError("no codec to measure; name --models or --anchors")
    report = measure_speed(
        clip, contenders, models=[codec.name for codec in ours], repetitions=repetitions, threads=count, frames=frames,
        progress=progress,
    )  # fmt: skip
    session.report.result(speed_text(report), always=True)
    for speed in report.speeds:
        session.report.emit("speed", **speed_fields(report, speed))
    for profile in report.profiles:
        for direction, stages in (("encode", profile.encode), ("decode", profile.decode)):
            for stage in stages:
                session.report.emit("stage", codec=profile.codec, direction=direction, **dataclasses.asdict(stage))
        for part in profile.macs:
            session.report.emit("macs", codec=profile.codec, **dataclasses.asdict(part))


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


bench_speed.__doc__ = help_text(bench_speed.__doc__, EXAMPLES)
