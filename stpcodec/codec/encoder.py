"""Video in, .stp out: the whole pipeline.

    reader ─► chunks (scene cuts, segments) ─► SegmentBuilder (tiles, model, entropy) ─► StpWriter ─► out.stp
    source ─► extract_sidecar (sound, subtitles, tags) ─────────────────────────────────────┘

With several jobs, each segment goes to one of the worker processes (codec/segment_jobs.py). Memory is that of a few
chunks and of one segment's coded bytes, with several jobs also of the frames that wait for them, however long the
video is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from stpcodec import __version__
from stpcodec.codec.budget import ENCODING, TILES, Budget, budget, size_text, tile_within
from stpcodec.codec.comparison import MakeJudge, Verdict, compare
from stpcodec.codec.crew import Crew, hired
from stpcodec.codec.decoder import frames_ahead
from stpcodec.codec.devices import first_device
from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.farm import Farm, Segments
from stpcodec.codec.interest import Interest
from stpcodec.codec.jobs import Video, planned
from stpcodec.codec.models import LoadCodec, LoadedCodec, codec_of_file, load_codec
from stpcodec.codec.output import STANDARD_STREAM, OutputFile, check_target
from stpcodec.codec.prefetch import prefetched
from stpcodec.codec.qualities import USUAL_EFFORT, Qualities
from stpcodec.codec.reserve import with_reserve
from stpcodec.codec.resume import Resumed, copy_segments, skip_done
from stpcodec.codec.segment_jobs import segment_stream
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.sidecars import write_sidecar
from stpcodec.codec.stream import frame_bytes, stream_header
from stpcodec.codec.tune import PSNR
from stpcodec.codec.worker import Setup
from stpcodec.container import Segment, StpReader, StpWriter, limits
from stpcodec.errors import InputError, UsageError, VerificationFailed
from stpcodec.patches.partition import chunks
from stpcodec.patches.scenes import SceneCutDetector
from stpcodec.video.frames import VideoInfo, Warn, log_warning
from stpcodec.video.reader import VideoReader

_LARGE_FRAME_BYTES = 6e6
"""Eight of them are 48 MB: frames above 1920×1080, and such frames of more than 8 bits."""


@dataclass(frozen=True)
class EncodeReport:
    """What an encode did.

    bytes_written: the whole file; sidecar_bytes: of them other streams (sound, subtitles, ...).
    bits_per_pixel: everything but the sidecar, per luma sample. elapsed_seconds: without `verify`.
    psnr_db: per plane and "yuv" (6:1:1), mean over frames; only with `verify`. score: what a judge says.
    """

    frames: int
    segments: int
    bytes_written: int
    sidecar_bytes: int
    bits_per_pixel: float
    elapsed_seconds: float
    model: str
    device: str
    psnr_db: dict[str, float] | None
    jobs: int = 1
    score: float | None = None

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


def encode(
    source: str | Path,
    target: str | Path,
    *,
    quality: float | Qualities = 50,
    effort: int = USUAL_EFFORT,
    tune: str = PSNR,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    segment_frames: int = 128,
    threads: int | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
    verify: bool = False,
    judge: MakeJudge | None = None,
    tile: int = 0,
    max_memory: float | None = None,
    resume: bool = False,
    farm: Farm | None = None,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> EncodeReport:
    """Encode a video into a .stp file; `-` is standard input or output.

    quality: 1 to 100; 52.4 makes two of five pictures 53 and the others 52.
    effort: 0 to 9; above 1, the usual, each segment is held in memory and coded several times (codec/effort.py).
    tune: "psnr", or "ssim": steps that suit MS-SSIM (codec/activity.py).
    model: a name or a weights file, None for the default. model_dir: a folder of models of your
    own to look into first (then $STPCODEC_MODELS and the user's). segment_frames: the longest segment, 1 to 256.
    tile: tile size in luma samples, 0 to tile only frames above 4096×2304.
    max_memory: bytes for all processes together. Larger frames are tiled, and tiles are smaller, where that is needed
    (codec/budget.py), so other bytes may come out; None: as many jobs as fit in half of what is free, the same bytes
    everywhere.
    device: of several, as in "cuda:0,cuda:1", each has a worker.
    jobs: segments coded at once, each in a process of its own; None: as many as pay, 1 for short videos.
    threads: of torch in each job; None: the cores, divided among as many jobs as suit the video. The bytes depend on
    neither.
    verify: decode what was written before it gets its name, and report PSNR against the source. judge: of another
    measure that is reported with it.
    resume: continue what an interrupted encode of the same source with the same options left beside the target, and
    leave the same when interrupted; the file is the one that an uninterrupted run makes.
    farm: codes the segments instead of processes here; `threads` are then of each of its tasks, 1 by default.
    load: how to get the model; a `CodecCache` loads it once for several files.

    Raises:
        UsageError, InputError, OutputError, ModelError, VerificationFailed: as their names say; then nothing
            new stands under the target's name, and what was there before still does.
    """
    qualities = quality if isinstance(quality, Qualities) else Qualities(quality)
    if effort != USUAL_EFFORT:
        qualities = replace(qualities, effort=effort)
    if tune != PSNR:
        qualities = replace(qualities, interest=replace(qualities.interest or Interest(), tune=tune))
    _check_options(source, target, segment_frames=segment_frames, verify=verify)
    if resume and STANDARD_STREAM in (str(source), str(target)):
        raise UsageError("resume needs files it can read again, not standard input or output; use file names")
    check_target(target, source=source, overwrite=overwrite)
    limit = budget(max_memory)
    with (
        VideoReader(source, strict=strict, warn=warn) as reader,
        OutputFile(target, source=source, overwrite=overwrite, resumable=True, resume=resume) as output,
        planned(
            jobs if farm is None else 1, threads if farm is None else threads or 1, device=device,
            video=(video := _video(reader.info, segment_frames, tile, qualities.effort, limit)), limit=limit,
        ) as plan,
    ):
        if farm is None:
            video.require(limit, "encoding", warn=warn, remedy=_remedy(video, limit))
        loaded = (load or load_codec)(model, device=first_device(device), model_dir=model_dir)
        info = reader.info
        header = stream_header(
            info,
            loaded,
            quality=qualities.of_file,
            segment_frames=segment_frames,
            tile=video.tile,
            encoder=f"stpcodec {__version__}{qualities.remark and ': '}{qualities.remark}",
            tune=qualities.tune,
        )
        writer = StpWriter(output.file())
        writer.write_header(header)
        sidecar_bytes = write_sidecar(writer, source, output, warn=warn)

        done = Resumed()
        if resume:
            done = copy_segments(output.leftover, header, writer, name=output.name, warn=warn)
            output.drop_leftover()

        def write(segment: Segment) -> None:
            done.check(segment, source)
            writer.write_segment(segment)

        watch = _Watch(output, info.frame_count_estimate, fixed_bytes=writer.bytes_written, warn=warn)
        parts = chunks(
            reader,
            chunk_frames=loaded.codec.chunk_frames,
            segment_frames=segment_frames,
            detector=SceneCutDetector(),
        )
        codec = with_reserve(
            SegmentCodec(header, loaded.codec, loaded.device, qualities),
            lambda: codec_of_file(header, model=model, device="cpu", model_dir=model_dir, load=load),
            warn,
        )

        def tick() -> None:
            progress(watch.look(segments, writer))

        setup = Setup(header, model, model_dir, plan.threads, plan.cores, qualities, plan.pictures)
        with hired(plan, setup, warn) as crew:
            with (
                segment_stream(codec, crew, write, plan=plan, tick=tick)
                if farm is None
                else farm.segments(setup, write, tick) as segments,
                prefetched(skip_done(parts, done, source), depth=_chunks_ahead(info)) as parts_ahead,
            ):
                segments.frames, segments.segments = done.frames, done.segments
                for chunk in parts_ahead:
                    segments.add(chunk.frames, opens_segment=chunk.opens_segment)
                    tick()
                segments.finish()
            if not segments.frames:
                raise InputError(f"{source}: holds no video frame; is the file complete?")
            writer.finish()

            elapsed_seconds = watch.elapsed_seconds
            verdict = None
            if verify:
                output.flush()
                verdict = _verify(source, output, loaded, crew, judge, strict=strict, progress=progress)
        return EncodeReport(
            frames=segments.frames,
            segments=segments.segments,
            bytes_written=writer.bytes_written,
            sidecar_bytes=sidecar_bytes,
            bits_per_pixel=8 * (writer.bytes_written - sidecar_bytes) / (segments.frames * info.width * info.height),
            elapsed_seconds=elapsed_seconds,
            model=loaded.model,
            device=str(loaded.device) if plan.count == 1 else ",".join(plan.devices),
            psnr_db=verdict.psnr_db if verdict else None,
            jobs=plan.count,
            score=verdict.score if verdict else None,
        )


def _video(info: VideoInfo, segment_frames: int, tile: int, effort: int, limit: Budget) -> Video:
    """With the tiles that keep the limit."""
    height, width, size, held = info.height, info.width, frame_bytes(info), effort > USUAL_EFFORT
    tile = tile_within(limit, height, width, asked=tile, held_bytes=segment_frames * size if held else 0)
    return Video(
        info.frame_count_estimate, segment_frames, height, width, size, tile, ENCODING, holds_segments=held
    )  # fmt: skip


def _chunks_ahead(info: VideoInfo) -> int:
    """How many chunks are read ahead: of large frames fewer, for they take as long to code."""
    return 2 if frame_bytes(info) < _LARGE_FRAME_BYTES else 1


def _remedy(video: Video, limit: Budget) -> str:
    """Where not even one job has room."""
    smallest = replace(video, tile=TILES[-1])
    least = size_text(1.01 * smallest.job_bytes(1))
    if limit.asked:
        return f"the least for such frames is {least}, with --tile {TILES[-1]}"
    return f"free some memory, or ask for --max-memory, at least {least}: the frames are coded in tiles then"


def _check_options(source: str | Path, target: str | Path, *, segment_frames: int, verify: bool) -> None:
    if not 1 <= segment_frames <= limits.MAX_SEGMENT_FRAMES:
        raise UsageError(f"segment_frames {segment_frames}: must be 1 to {limits.MAX_SEGMENT_FRAMES}")
    if verify and STANDARD_STREAM in (str(source), str(target)):
        raise UsageError("verify needs files it can read again, not standard input or output; use file names")


class _Watch:
    """How far the encode is; warns once when the disk will not hold the rest."""

    def __init__(self, output: OutputFile, frames_total: int | None, *, fixed_bytes: int, warn: Warn) -> None:
        self._output, self._frames_total, self._fixed_bytes = output, frames_total, fixed_bytes
        self._warn: Warn | None = warn
        self._start = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._start

    def look(self, segments: Segments, writer: StpWriter) -> Progress:
        event = Progress(
            phase="encode",
            frames_done=segments.frames,
            frames_total=self._frames_total,
            bytes_written=writer.bytes_written + segments.pending_bytes,
            elapsed_seconds=self.elapsed_seconds,
            fixed_bytes=self._fixed_bytes,
        )
        if segments.segments > 1:  # before, the dear first frame weighs too much in the prediction
            self._check_space(event)
        return event

    def _check_space(self, event: Progress) -> None:
        free, predicted = self._output.free_bytes(), event.predicted_bytes
        if self._warn is None or free is None or predicted is None or predicted - event.bytes_written <= free:
            return
        self._warn(
            f"{self._output.name}: will have about {predicted / 1e6:.0f} MB, and {free / 1e6:.0f} MB are "
            f"free; free some space while this runs"
        )
        self._warn = None


def _verify(
    source: str | Path, output: OutputFile, loaded: LoadedCodec, crew: Crew | None, judge: MakeJudge | None, *,
    strict: bool, progress: ProgressCallback,
) -> Verdict:  # fmt: skip
    """Decode the file just written and compare it with its source, both read anew."""
    assert output.path is not None  # _check_options has refused standard output
    start = time.monotonic()
    with StpReader(output.path) as stream, VideoReader(source, strict=strict, warn=lambda _: None) as again:
        total = stream.frame_count

        def on_frame(count: int) -> None:
            progress(Progress("verify", count, total, 0, time.monotonic() - start))

        try:
            with frames_ahead(stream, SegmentCodec(stream.header, loaded.codec, loaded.device), crew) as decoded:
                return compare(decoded, again, header=stream.header, name=output.name, on_frame=on_frame, judge=judge)
        except InputError as error:
            raise VerificationFailed(f"{output.name}: what was just written cannot be read: {error}") from error
