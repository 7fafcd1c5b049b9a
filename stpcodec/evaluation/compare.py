"""A .stp file beside its original: one HTML page to look at, from a span of both.

StpReader ─► frames, bits of every patch ─┐
                                          ├─► PSNR, pictures within a budget, heat map ─► page
VideoReader ─► original frames ───────────┘
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stpcodec.codec.budget import budget
from stpcodec.codec.crew import hired
from stpcodec.codec.decoder import inspected_frames, video_of
from stpcodec.codec.devices import first_device
from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.inspection import InspectedFrame
from stpcodec.codec.jobs import planned
from stpcodec.codec.models import LoadCodec, codec_of_file
from stpcodec.codec.output import OutputFile, check_source, check_target
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import Selection, seconds_of, select
from stpcodec.codec.stream import video_info
from stpcodec.codec.worker import Setup
from stpcodec.container import StpReader
from stpcodec.errors import UsageError
from stpcodec.evaluation.compare_page import compare_page
from stpcodec.evaluation.film import Film, Strip
from stpcodec.evaluation.metrics import PsnrMeter
from stpcodec.video.frames import Frame, VideoInfo, Warn, log_warning
from stpcodec.video.reader import VideoReader
from stpcodec.video.source import open_input, pick_video_stream

PAGE = "index.html"
_SAME_TIME_SECONDS = 0.002  # Matroska rounds to milliseconds


@dataclass(frozen=True)
class CompareReport:
    """frames, first_frame, start_seconds, end_seconds: what was compared. psnr_db: "y", "u", "v" and "yuv" (6:1:1),
    means over these frames. bits: of their pictures. quality: of the page's WebP, (lowest, highest)."""

    frames: int
    first_frame: int
    start_seconds: float
    end_seconds: float
    psnr_db: dict[str, float]
    bits: int
    width: int
    height: int
    picture_quality: tuple[int, int]
    bytes_written: int


def compare(
    original: str | Path,
    source: str | Path,
    folder: str | Path,
    *,
    start: float = 0.0,
    seconds: float = 10.0,
    picture_width: int = 640,
    page_bytes: int = 32_000_000,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    jobs: int | None = None,
    max_memory: float | None = None,
    overwrite: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> CompareReport:
    """Write `folder`/index.html, which needs no network and no other file.

    start, seconds: the span to show. picture_width: larger frames are shown smaller; PSNR is that of the full frames.
    page_bytes: room for the pictures; they get coarser where it is short. jobs, threads, max_memory: as of `decode`.

    Raises:
        UsageError: the two do not belong together, a value is out of range, the pictures do not fit.
        InputError, OutputError, ModelError: as their names say. Nothing new stands under the page's name then.
    """
    if not (math.isfinite(start) and start >= 0 and math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"{seconds} seconds from {start}: must be a length above 0, from 0 or later")
    if not 16 <= picture_width <= 4096:
        raise UsageError(f"pictures {picture_width} wide: must be 16 to 4096")
    check_source(original)
    target = Path(folder) / PAGE
    if target.parent.exists():
        check_target(target, source=source, overwrite=overwrite)
    with StpReader(source) as stream, VideoReader(original, warn=warn) as reader:
        chosen = select(stream, start=start, end=start + seconds, name=str(source), warn=warn)
        _refuse_strangers(stream, reader.info, str(original), str(source))
        loaded = codec_of_file(
            stream.header, name=stream.path, model=model, device=first_device(device), model_dir=model_dir, load=load
        )
        codec = SegmentCodec(stream.header, loaded.codec, loaded.device, name=str(source))
        work, limit = video_of(stream, chosen), budget(max_memory)
        work.require(limit, "decoding", warn=warn, remedy="do it where there is more")
        strip = _strip(stream, chosen, seconds, picture_width, page_bytes)
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            OutputFile(target, source=source, overwrite=overwrite) as output,
            planned(jobs, threads, device=device, video=work, limit=limit) as plan,
            hired(plan, Setup(stream.header, model, model_dir, plan.threads, plan.cores, name=str(source))) as crew,
        ):
            clock = time.monotonic()
            with inspected_frames(stream, codec, crew, chosen) as frames:
                for theirs, ours in _pairs(reader, frames, stream, str(original), warn):
                    strip.add(theirs, ours, seconds_of(stream, ours.frame.pts))
                    progress(Progress("compare", len(strip.bits), strip.most, 0, time.monotonic() - clock))
            names = (Path(original).name, Path(source).name)
            output.file().write(compare_page(names, stream.header, stream.size, stream.frame_count, strip).encode())
    return CompareReport(
        frames=len(strip.bits),
        first_frame=strip.first_frame,
        start_seconds=strip.seconds[0],
        end_seconds=strip.seconds[-1],
        psnr_db=strip.meter.result().frame_mean,
        bits=round(sum(strip.bits)),
        width=strip.film.width,
        height=strip.film.height,
        picture_quality=(min(strip.film.qualities), max(strip.film.qualities)),
        bytes_written=target.stat().st_size,
    )


def _strip(stream: StpReader, chosen: Selection, seconds: float, picture_width: int, page_bytes: int) -> Strip:
    header = stream.header
    info = video_info(header, path=str(stream.path), frame_count=stream.frame_count, duration_seconds=None)
    entries = [stream.segments[number] for number in chosen.segments]
    most = entries[-1].end_frame - entries[0].first_frame  # the span may begin and end within a segment
    if header.average_rate:
        most = min(most, math.ceil(seconds * header.average_rate[0] / header.average_rate[1]) + 1)
    return Strip(most, PsnrMeter(header.bit_depth), Film(info, picture_width, page_bytes, most))


def _pairs(
    reader: VideoReader, frames: Iterator[InspectedFrame], stream: StpReader, original: str, warn: Warn
) -> Iterator[tuple[Frame, InspectedFrame]]:
    """Frames of one number, (original, decoded), as many as there are of `frames`."""
    wanted = next(frames, None)
    first_pts, same_times = None, True
    for number, theirs in enumerate(reader):
        if wanted is None:
            return
        first_pts = theirs.pts if first_pts is None else first_pts
        if number < wanted.number:
            continue
        shown = float((theirs.pts - first_pts) * reader.info.time_base)
        if same_times and abs(shown - seconds_of(stream, wanted.frame.pts)) > _SAME_TIME_SECONDS:
            same_times = False
            warn(f"{original}: frame {number} is shown at {shown:.3f} s there; compared by number all the same")
        yield theirs, wanted
        wanted = next(frames, None)


def _refuse_strangers(stream: StpReader, info: VideoInfo, original: str, source: str) -> None:
    """Raises UsageError where the original is of another size, depth or length."""
    header = stream.header
    ours = f"{header.width}x{header.height}, {header.bit_depth} bit"
    theirs = f"{info.width}x{info.height}, {info.bit_depth} bit"
    if ours != theirs:
        raise UsageError(f"{original}: is {theirs}, {source} is {ours}; name the video that {source} was made of")
    count = _frame_count(original, stream.frame_count)
    if count != stream.frame_count:
        raise UsageError(
            f"{original}: has {count} frames, {source} has {stream.frame_count}; name the video that {source} was made "
            "of (of a part, a part cut alike)"
        )


def _frame_count(path: str, expected: int) -> int:
    """Frames of a video: by its packets if these are as many as expected, otherwise by decoding it."""
    with open_input(path) as container:
        stream = pick_video_stream(container, path)
        packets = sum(bool(packet.size) for packet in container.demux(stream))
    if packets == expected:
        return packets
    with VideoReader(path, warn=lambda _: None) as reader:
        return sum(1 for _ in reader)
