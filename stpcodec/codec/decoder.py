"""A .stp file in, video out.

StpReader ─► segments ─► SegmentCodec (entropy, model, tiles, round) ─► frames ─► VideoWriter ─► out.mp4
    └──────► sidecar (sound, subtitles, tags) ──────────────────────────────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from stpcodec.codec.budget import DECODING, budget
from stpcodec.codec.conceal import concealed_frames
from stpcodec.codec.crew import Crew, hired
from stpcodec.codec.devices import first_device
from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.frame_jobs import frames_by, inspected_by
from stpcodec.codec.inspection import InspectedFrame, inspected_segment
from stpcodec.codec.jobs import Video, planned
from stpcodec.codec.models import LoadCodec, codec_of_file
from stpcodec.codec.output import STANDARD_STREAM, OutputFile, check_target
from stpcodec.codec.parallel import thread_beside
from stpcodec.codec.prefetch import prefetched
from stpcodec.codec.reserve import with_reserve
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import Selection, no_frame, seconds_of, select
from stpcodec.codec.sidecars import read_sidecar, salvage_sidecar
from stpcodec.codec.stream import frame_bytes, video_info
from stpcodec.codec.worker import Setup
from stpcodec.container import StpReader
from stpcodec.errors import UsageError
from stpcodec.video.frames import Frame, Warn, log_warning
from stpcodec.video.writer import FORMAT_BY_SUFFIX, NUT, Y4M, VideoWriter

T = TypeVar("T")

_FRAMES_AHEAD = 8  # decoded while the writer compresses the ones before


@dataclass(frozen=True)
class DecodeReport:
    """What a decode did. segments: how many had to be decoded."""

    frames: int
    segments: int
    elapsed_seconds: float
    model: str
    device: str
    jobs: int = 1

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


def decode(
    source: str | Path,
    target: str | Path,
    *,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    start: float | None = None,
    end: float | None = None,
    format_name: str | None = None,
    vcodec: str | None = None,
    options: dict[str, str] | None = None,
    threads: int | None = None,
    jobs: int | None = None,
    max_memory: float | None = None,
    conceal: bool = False,
    overwrite: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> DecodeReport:
    """Decode a .stp file into a .mp4, .mkv, .mov, .nut or .y4m file; `-` is y4m on standard output.

    format_name: "y4m", "nut", "mkv", "mp4" or "mov", if not what the name says. Not mp4 and mov on a pipe; y4m has one
    frame rate, nut raw frames with exact times and the sound.

    model: the weights file, if it lies where nobody would look. model_dir: a folder of models to look into first, by
    the sha256 that the file names (then $STPCODEC_MODELS and the user's).
    start, end: seconds from the first frame, start <= time < end; only the segments needed are decoded, times
    begin again at zero, and the other streams are cut likewise. vcodec, options: FFmpeg encoder and options.
    device: of several, as in "cuda:0,cuda:1", each has a worker. max_memory: bytes for all processes together; None: as
    many jobs as fit in half of what is free.
    jobs: segments decoded at once, each in a process of its own (not with `conceal`); None: as many as pay, 1 for
    short videos. threads: of torch in each job; None: the cores, divided among as many jobs as suit the video.
    conceal: fill what a damaged file has lost from the nearest intact frames, with one warning for each gap.
    load: how to get the model; a `CodecCache` loads it once for several files.
    A file that was cut off or is still being written is decoded up to its last complete segment, with a warning.

    Raises:
        UsageError, InputError, OutputError, ModelError: as their names say; then nothing new stands under the
            target's name, and what was there before still does.
    """
    format_name = format_name or output_format(target)
    if str(source) == STANDARD_STREAM:
        raise UsageError("a .stp file has its index at the end and cannot be read from a pipe; name the file")
    check_target(target, source=source, overwrite=overwrite)
    limit = budget(max_memory)
    with (
        StpReader(source, thorough=conceal) as stream,
        OutputFile(target, source=source, overwrite=overwrite) as output,
    ):
        chosen = select(stream, start=start, end=end, name=str(source), conceal=conceal, warn=warn)
        partial = start is not None or end is not None
        header, total = stream.header, _frame_total(stream, chosen)
        if format_name in (Y4M, NUT) and not vcodec:
            output.require_space(total * frame_bytes(header), "the decoded video")
        info = video_info(
            header,
            path=str(source),
            frame_count=total,
            duration_seconds=seconds_of(stream, stream.segments[-1].last_pts),
        )
        work = video_of(stream, chosen)
        work.require(limit, "decoding", warn=warn, remedy="decode it where there is more")
        loaded = codec_of_file(
            header, name=str(source), model=model, device=first_device(device), model_dir=model_dir, load=load
        )
        sidecar = salvage_sidecar(stream, output, warn=warn) if conceal else read_sidecar(stream, output)
        time_base = Fraction(*header.time_base)

        clock = time.monotonic()
        frames_done = 0
        codec = with_reserve(
            SegmentCodec(header, loaded.codec, loaded.device, name=str(source)),
            lambda: codec_of_file(header, model=model, device="cpu", model_dir=model_dir, load=load),
            warn,
        )
        with (
            planned(jobs, threads, device=device, video=None if conceal else work, limit=limit) as plan,
            hired(plan, Setup(header, model, model_dir, plan.threads, plan.cores, name=str(source)), warn) as crew,
            VideoWriter(
                output.file(),
                info,
                format_name=format_name,
                vcodec=vcodec,
                options=options,
                sidecar=sidecar,
                start_seconds=chosen.first_pts * time_base if partial else None,
                end_seconds=None if end is None else chosen.end_pts * time_base,
                name=str(target),
                warn=warn,
            ) as video,
            _beside(concealed_frames(stream, codec, chosen, warn=warn), codec)
            if conceal
            else frames_ahead(stream, codec, crew, chosen) as frames,
        ):
            for frame in frames:
                video.write(frame)
                frames_done += 1
                progress(Progress("decode", frames_done, total, 0, time.monotonic() - clock))
        if not frames_done:  # only with `conceal`: there is nothing to fill a span from, or no frame in it
            raise no_frame(stream, start, end, str(source))
    return DecodeReport(
        frames=frames_done,
        segments=len(chosen.segments),
        elapsed_seconds=time.monotonic() - clock,
        model=loaded.model,
        device=str(loaded.device) if plan.count == 1 else ",".join(plan.devices),
        jobs=plan.count,
    )


@contextmanager
def frames_ahead(
    stream: StpReader, codec: SegmentCodec, crew: Crew | None, chosen: Selection | None = None
) -> Iterator[Iterator[Frame]]:
    """`decoded_frames`, made beside what the caller does with them: by `crew`, or in this process if it is None."""
    if crew is None:
        with _beside(decoded_frames(stream, codec, chosen), codec) as frames:
            yield frames
        return
    numbers = chosen.segments if chosen else range(len(stream.segments))
    with frames_by(crew, map(stream.read_segment, numbers), chosen) as frames:
        yield frames


@contextmanager
def inspected_frames(
    stream: StpReader, codec: SegmentCodec, crew: Crew | None, chosen: Selection
) -> Iterator[Iterator[InspectedFrame]]:
    """As `frames_ahead`, with what each frame cost.

    Raises, from the iterator:
        CorruptSegment: naming file and segment.
    """
    segments = map(stream.read_segment, chosen.segments)
    if crew is not None:
        with inspected_by(crew, segments, chosen) as frames:
            yield frames
        return
    found = (frame for segment in segments for frame in inspected_segment(codec, segment) if chosen.holds(frame.pts))
    with _beside(found, codec) as frames:
        yield frames


@contextmanager
def _beside(frames: Iterator[T], codec: SegmentCodec) -> Iterator[Iterator[T]]:
    """`frames`, which `codec` makes, some of them ahead."""
    with thread_beside(codec.device), prefetched(frames, depth=_FRAMES_AHEAD) as ahead:
        yield ahead


def decoded_frames(stream: StpReader, codec: SegmentCodec, chosen: Selection | None = None) -> Iterator[Frame]:
    """The frames of a file, or those chosen, in order. Memory: one segment's bytes and one chunk of frames.

    Raises:
        CorruptSegment: naming file and segment.
    """
    for number in chosen.segments if chosen else range(len(stream.segments)):
        for frame in codec.frames(stream.read_segment(number)):
            if chosen is None or chosen.holds(frame.pts):
                yield frame


def output_format(target: str | Path) -> str:
    """FFmpeg's name of the container that the target's suffix asks for; y4m for standard output."""
    if str(target) == STANDARD_STREAM:
        return Y4M
    suffix = Path(target).suffix.lower()
    if suffix not in FORMAT_BY_SUFFIX:
        known = ", ".join(FORMAT_BY_SUFFIX)
        raise UsageError(f"{target}: no video format is known for '{suffix}'; name a {known} file, or -")
    return FORMAT_BY_SUFFIX[suffix]


def _frame_total(stream: StpReader, chosen: Selection) -> int:
    """How many frames are chosen: exact for a whole file, otherwise at most (ends of segments may be cut).

    Lost frames between the segments count: only `conceal` gets so far.
    """
    entries = [stream.segments[number] for number in chosen.segments]
    return entries[-1].end_frame - (0 if chosen.segments.start == 0 else entries[0].first_frame)


def video_of(stream: StpReader, chosen: Selection) -> Video:
    """What of the file there is to decode."""
    header, counts = stream.header, [stream.segments[number].frame_count for number in chosen.segments]
    return Video(
        sum(counts), max(counts), header.height, header.width, frame_bytes(header), header.tile, use=DECODING
    )
