"""`stpcodec quality-search IN`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli import console
from stpcodec.cli.aim import Bitrate, Roi, TargetPsnr, TargetSize, TargetSsim, TargetVmaf, Tune, interest_of, one_aim
from stpcodec.cli.judges import judge_of
from stpcodec.cli.quantities import parse_size
from stpcodec.cli.session import (
    Device,
    Json,
    JsonProgress,
    LogFile,
    MaxMemory,
    ModelFolder,
    ModelName,
    Quiet,
    SegmentFrames,
    Session,
    Threads,
    Tile,
    Verbose,
    help_text,
)
from stpcodec.codec.output import check_source
from stpcodec.codec.tune import PSNR
from stpcodec.errors import UsageError

EXAMPLES = """Examples:

stpcodec quality-search in.mp4 --target-vmaf 93

stpcodec quality-search in.mp4 --target-psnr 38 --json"""


def quality_search(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="Any video file.", show_default=False)],
    target_psnr: TargetPsnr = None,
    target_ssim: TargetSsim = None,
    target_vmaf: TargetVmaf = None,
    target_size: TargetSize = None,
    bitrate: Bitrate = None,
    roi: Roi = None,
    tune: Tune = PSNR,
    model: ModelName = None,
    model_dir: ModelFolder = None,
    device: Device = "auto",
    segment_frames: SegmentFrames = 128,
    threads: Threads = None,
    tile: Tile = 0,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    json_progress: JsonProgress = False,
    log_file: LogFile = None,
) -> None:
    """Find the quality for a target without encoding all of a video, and print the `encode` command for it.

    The first frames of up to six segments are encoded a few times, so the figure is an estimate; `encode` with the same
    target measures all frames. Sizes are without sound and other streams here.
    """
    session: Session = context.obj
    report = session.report
    aim = one_aim(context)
    if aim is None:
        raise UsageError("what to search for? Name one of --target-psnr, --target-ssim, --target-vmaf, --target-size")
    memory = None if max_memory is None else parse_size(max_memory, "--max-memory")
    check_source(source)
    judge, interest = judge_of(aim.kind), interest_of(roi or (), tune)
    from stpcodec.codec.targets import search_quality

    goal = aim.goal()
    with report.progress(session.guard, source=source) as progress:
        found = search_quality(
            goal, source, judge=judge, interest=interest, model=model, model_dir=model_dir, device=device,
            segment_frames=segment_frames, threads=threads, tile=tile, max_memory=memory,
            load=session.load, progress=progress,
        )  # fmt: skip
    quality = console.plain_number(found.quality)
    options = {
        "--quality": quality,
        "--model": model,
        "--model-dir": model_dir,
        "--device": None if device == "auto" else device,
        "--segment-frames": None if segment_frames == 128 else segment_frames,
        "--threads": threads,
        "--tile": tile or None,
        "--max-memory": max_memory,
        "--tune": None if tune == PSNR else tune,
    }
    target = str(Path(source).with_suffix(".stp"))
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    words += [word for region in roi or () for word in ("--roi", region)]
    command = shlex.join(["stpcodec", "encode", source, target, *words])
    report.say(
        f"{source}: quality {quality} comes to about {goal.text(found.estimate)}, "
        f"{goal.deviation_text(found.estimate)} of the target; {found.trials} trials"
    )
    report.result(command, always=True)
    report.emit(
        "file", source=source, status="done", quality=quality, command=command,
        goal={
            "kind": aim.kind, "asked": aim.value, "reached": found.estimate,
            "deviation": round(goal.deviation(found.estimate), 6), "encodes": 0, "trials": found.trials,
        },
    )  # fmt: skip


quality_search.__doc__ = help_text(quality_search.__doc__, EXAMPLES)
