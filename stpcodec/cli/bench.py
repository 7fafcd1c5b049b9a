"""`stpcodec bench CLIPS...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stpcodec.cli.aim import Tune
from stpcodec.cli.session import CpuThreads, Device, Json, LogFile, Quiet, Session, Verbose, help_text
from stpcodec.codec.tune import PSNR, check_tune

EXAMPLES = """Examples:

stpcodec bench sample_videos --out report/

stpcodec bench a.mkv b.mkv --models mine.safetensors,dct --anchors x264,vvenc --qualities 20,50,80

Needs the extra `bench` of the package."""


def bench(
    context: typer.Context,
    clips: Annotated[
        list[str], typer.Argument(metavar="CLIPS...", help="Videos, or folders of them.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For the results; an interrupted run goes on there.")
    ] = Path("report"),
    models: Annotated[
        str, typer.Option("--models", metavar="NAMES|FILES", help="Our models, comma separated; '' for none.")
    ] = "stp-s,dct",
    qualities: Annotated[
        str, typer.Option("--qualities", metavar="Q,Q...", help="Of our models, each from 1 to 100.")
    ] = "10,30,50,70,90",
    anchors: Annotated[
        str,
        typer.Option(
            "--anchors", metavar="NAMES",
            help="Of x264, x265, svtav1, vvenc; '' for none; auto: all that this installation has.",
        ),
    ] = "auto",
    metrics: Annotated[
        str, typer.Option("--metrics", metavar="NAMES", help="Besides PSNR, of ms-ssim and vmaf; '' for none.")
    ] = "ms-ssim,vmaf",
    tune: Tune = PSNR,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Only the first N of each clip.")] = None,
    anchor_cache: Annotated[
        Path | None,
        typer.Option("--anchor-cache", metavar="CSV", help="Points of other codecs to use and to extend."),
    ] = None,
    page_mb: Annotated[
        float, typer.Option("--page-mb", min=0, help="Room for pictures in report.html, in MB, over all clips.")
    ] = 32.0,
    device: Device = "auto",
    threads: CpuThreads = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure our models again (after a change of code).")] = False,
    video_check: Annotated[
        bool,
        typer.Option("--video-check/--no-video-check", help="Also decode to .mp4 once a model, to compare times."),
    ] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Compare our models with other codecs on the same frames: rate, PSNR, MS-SSIM, VMAF, BD-rate, a page to look at.

    Writes points.csv, summary.json, report.md and report.html, which needs no network and no other file.
    """
    from stpcodec.codec.models import thread_limit
    from stpcodec.evaluation import request
    from stpcodec.evaluation.plan import Plan
    from stpcodec.evaluation.report import report
    from stpcodec.evaluation.subjects import StpCodec
    from stpcodec.evaluation.sweep import run

    check_tune(tune)
    session: Session = context.obj

    def progress(line: str) -> None:
        session.guard.check()
        session.report.say(line)

    chosen, anchor_notes = request.anchors_in(anchors)
    instruments, metric_notes = request.instruments_in(metrics)
    plan = Plan(
        clips=request.find_clips(clips),
        subjects=tuple(StpCodec(name, device=device, tune=tune) for name in request.names_in(models)),
        out=out,
        qualities=request.qualities_in(qualities),
        anchors=chosen,
        frames=frames,
        anchor_cache=anchor_cache,
        fresh=fresh,
        check_video=video_check,
        instruments=instruments,
        page_bytes=round(page_mb * 1e6),
        notes=(*anchor_notes, *metric_notes),
    )
    for note in plan.notes:
        session.report.warning(note)
    with thread_limit(threads):
        result = run(plan, progress=progress)
    session.report.result(report(result), always=True)
    page = out / "report.html"
    session.report.say(f"{page}: {page.stat().st_size / 1e6:.1f} MB, open it in a browser")
    session.report.emit("file", target=str(out / "summary.json"), status="done")
    session.report.emit("file", target=str(page), status="done")


bench.__doc__ = help_text(bench.__doc__, EXAMPLES)
