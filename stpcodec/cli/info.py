"""`stpcodec info FILE...`: what files say about themselves, without loading the model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from stpcodec.cli import console
from stpcodec.cli.batch import Batch
from stpcodec.cli.files import STP, find_sources
from stpcodec.cli.journal import Job
from stpcodec.cli.session import Json, LogFile, Quiet, Recursive, Session, StpFilesArgument, Verbose, help_text

if TYPE_CHECKING:  # numpy would make every start slower
    from stpcodec.codec.stpfile import StpFile

EXAMPLES = """Examples:

stpcodec info in.stp

stpcodec info --json -r archive"""


def info(
    context: typer.Context,
    paths: StpFilesArgument,
    recursive: Recursive = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Show what is in .stp files."""
    from stpcodec.codec.stpfile import StpFile

    session: Session = context.obj
    report = session.report

    def work(job: Job) -> dict[str, Any]:
        path = str(job.source)
        with StpFile(path) as file:
            facts = describe(file)
            if not report.as_json:
                report.result(table(path, facts), always=True)
            if not file.complete:
                report.warning(f"{path}: is damaged or cut off, frames may be missing; `stpcodec verify` says more")
        return {"path": path, **facts}

    jobs = [Job(path) for path, _ in find_sources(paths, recursive=recursive, suffixes=STP)]
    if len(paths) == 1 and not recursive:
        report.emit("file", source=paths[0], status="done", **work(jobs[0]))
        return
    Batch(session, "read").run(jobs, work)


info.__doc__ = help_text(info.__doc__, EXAMPLES)


def describe(file: StpFile) -> dict[str, Any]:
    """Facts for `--json`: the fields of the stream header, and what follows from the table of segments."""
    header = dataclasses.asdict(file.header)
    frames, duration = len(file), file.duration_seconds
    video_bytes = sum(entry.length for entry in file.segments)
    pixels = frames * file.width * file.height
    return {
        "size_bytes": file.size_bytes,
        "frames": frames,
        "duration_seconds": round(duration, 6),
        "video_bytes": video_bytes,
        "bits_per_pixel": round(8 * video_bytes / pixels, 6) if pixels else None,
        "bitrate_kbps": round(8 * video_bytes / duration / 1000, 3) if duration else None,
        "complete": file.complete,
        **header,
        "segments": [
            {
                "offset": entry.offset,
                "size_bytes": entry.length,
                "first_frame": entry.first_frame,
                "frames": entry.frame_count,
                "first_pts": entry.first_pts,
                "last_pts": entry.last_pts,
            }
            for entry in file.segments
        ],
    }


def table(path: str, facts: dict[str, Any]) -> str:
    """The same for people."""
    rate = facts["average_rate"]
    weights = facts["weights_sha256"]
    rows = {
        "file": path,
        "size": f"{console.size_text(facts['size_bytes'])}, of it video {console.size_text(facts['video_bytes'])}",
        "picture": f"{facts['width']}x{facts['height']}, {facts['bit_depth']} bit",
        "source": facts["source_pixel_format"] or "unknown",
        "frames": f"{facts['frames']}" + (f" at {rate[0] / rate[1]:.3f} per second" if rate else ""),
        "duration": console.time_text(facts["duration_seconds"]),
        "rate": ("unknown" if facts["bits_per_pixel"] is None else f"{facts['bits_per_pixel']:.4f} bits per pixel")
        + (f", {facts['bitrate_kbps']:.0f} kbit/s" if facts["bitrate_kbps"] else ""),
        "quality": f"{facts['quality']}",
        "model": facts["model"] + (f", weights {weights[:8]}" if weights else ""),
        "segments": f"{len(facts['segments'])} of at most {facts['segment_frames']} frames",
        "tiles": f"{facts['tile']} with {facts['tile_overlap']} overlap" if facts["tile"] else "none",
        "rotation": f"{facts['rotation']} degrees" if facts["rotation"] else "none",
        "encoder": facts["encoder"] or "unknown",
    }
    rows |= {f"tag {key}": value for key, value in facts["metadata"].items()}
    width = max(map(len, rows))
    return "\n".join(f"{console.one_line(name):<{width}}  {console.one_line(value)}" for name, value in rows.items())
