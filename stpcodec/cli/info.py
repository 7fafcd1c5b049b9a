"""`stpcodec info FILE`: what a file says about itself, without loading the model."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from stpcodec.cli import console
from stpcodec.cli.session import StpFileArgument, Verbose
from stpcodec.codec.stpfile import StpFile


def info(
    path: StpFileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show what is in a .stp file."""
    with StpFile(path) as file:
        facts = describe(file)
        if as_json:
            print(json.dumps({"path": path, **facts}))
        else:
            print(table(path, facts))
        if not file.complete:
            console.warning(f"{path}: is damaged or cut off, frames may be missing; `stpcodec verify` says more")


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
