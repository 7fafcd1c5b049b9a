"""Encoding to a size, a bit rate or a measured quality: which quality, 1 to 100, comes to it.

    sample ─► trials on a few pieces ─► quality ─► encode ─► measured ─► nearer quality ─► encode … ─► the best one

Qualities between two whole numbers mix them over the pictures (codec/qualities.py). A size is not exceeded, a PSNR,
MS-SSIM or VMAF is reached, a bit rate is met as nearly as can be. With a ceiling, each round lowers the segments that
break it, and looks for the others anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stpcodec.codec.budget import budget, tile_within
from stpcodec.codec.ceiling import ROUNDS, Ceiling
from stpcodec.codec.comparison import MakeJudge
from stpcodec.codec.devices import first_device
from stpcodec.codec.encoder import EncodeReport
from stpcodec.codec.events import ProgressCallback, ignore_progress
from stpcodec.codec.goals import Goal, Kind
from stpcodec.codec.interest import Interest
from stpcodec.codec.models import LoadCodec, LoadedCodec, load_codec, thread_limit
from stpcodec.codec.output import STANDARD_STREAM, OutputFile, check_target
from stpcodec.codec.qualities import LOWEST, Qualities, tidy
from stpcodec.codec.sampling import Sample, Trial, take_sample
from stpcodec.codec.search import Search
from stpcodec.codec.sidecars import sidecar_size
from stpcodec.codec.stream import stream_header
from stpcodec.container import StreamHeader
from stpcodec.errors import OutputError, TargetUnreachable, UsageError
from stpcodec.video.reader import VideoReader

_TRIALS = 4
_TRIAL_STEP = 1.0
_SEARCH_TRIALS = 6
_ENCODES = 6


@dataclass(frozen=True)
class TargetReport:
    """What was written: with `quality`, `reached` of the goal's kind. trials: on pieces; encodes: of all frames.

    goal, reached: None where only a ceiling was asked for. peak_bits: of the dearest second; None without a ceiling.
    lowered: how many segments have less quality because of it.
    """

    encode: EncodeReport
    quality: float
    goal: Goal | None
    reached: float | None
    trials: int
    encodes: int
    peak_bits: float | None = None
    lowered: int = 0

    @property
    def deviation(self) -> float | None:
        return None if self.goal is None or self.reached is None else self.goal.deviation(self.reached)


EncodeAt = Callable[[Path, Qualities, bool], EncodeReport]
"""Encodes the source to this file with these qualities; the last: measure too (PSNR, and by the judge)."""


def encode_to(
    goal: Goal | None,
    source: str | Path,
    target: str | Path,
    encode_at: EncodeAt,
    *,
    quality: float = 50,
    ceiling: Ceiling | None = None,
    judge: MakeJudge | None = None,
    interest: Interest | None = None,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    segment_frames: int = 128,
    threads: int | None = None,
    tile: int = 0,
    max_memory: float | None = None,
    strict: bool = False,
    overwrite: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
) -> TargetReport:
    """Encode with the quality that comes to `goal`. The options are those that `encode_at` encodes with.

    goal None: with `quality`, which only `ceiling` lowers. judge: of a goal that is neither bytes nor PSNR; the same
    that `encode_at` measures with. interest: regions that get more of the bits.

    Raises:
        TargetUnreachable: naming the nearest that can be reached. As `encode` besides; nothing new stands under the
            target's name then.
    """
    if STANDARD_STREAM in (str(source), str(target)):
        raise UsageError("a target needs files it can read again, not standard input or output; use file names")
    check_target(target, source=source, overwrite=overwrite)
    with OutputFile(target, source=source, overwrite=overwrite) as output:
        if output.path is None or not output.is_regular:
            raise UsageError(f"{target}: is no regular file; a target needs one")
        if goal is None:
            attempts = _Attempts(None, output, None, encode_at, quality, interest)
            trials, sidecar_bytes = 0, 0
        else:
            sidecar_bytes = _sidecar_bytes(goal, source, output)
            # from here on without them: the quality has no say in how many they are
            goal_of_video = replace(goal, value=goal.value - sidecar_bytes)
            with thread_limit(threads):
                loaded = (load or load_codec)(model, device=first_device(device), model_dir=model_dir)
                sample = take_sample(
                    source, chunk_frames=loaded.codec.chunk_frames, segment_frames=segment_frames, strict=strict,
                    progress=progress,
                )  # fmt: skip
                search = Search(goal_of_video, _TRIAL_STEP)
                if not sample.is_everything:
                    header = _header(
                        source, loaded, max_memory, segment_frames=segment_frames, tile=tile, strict=strict,
                        interest=interest,
                    )  # fmt: skip
                    _try(search, sample, header, loaded, judge, interest, _TRIALS)
            trials = len(search.known)
            start = Search(goal_of_video, known=search.known).guess()
            attempts = _Attempts(goal_of_video, output, sample, encode_at, start, interest, search.slope())
        best = attempts.run(ceiling, str(source))
        return TargetReport(
            best.report, best.qualities.value, goal, None if goal is None else best.value + sidecar_bytes, trials,
            attempts.encodes, attempts.peak_bits, len(best.qualities.most),
        )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A quality for a goal, from pieces of the video: `estimate` is what it should come to."""

    quality: float
    estimate: float
    trials: int


def search_quality(
    goal: Goal,
    source: str | Path,
    *,
    judge: MakeJudge | None = None,
    interest: Interest | None = None,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    segment_frames: int = 128,
    threads: int | None = None,
    tile: int = 0,
    max_memory: float | None = None,
    strict: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
) -> Found:
    """What `encode_to` would begin with; encodes a few pieces of `source`, and nothing is written.

    Raises:
        TargetUnreachable: naming the nearest that can be reached, as far as the pieces tell.
    """
    if str(source) == STANDARD_STREAM:
        raise UsageError("a search needs a file it can read again, not standard input; name the file")
    with thread_limit(threads):
        loaded = (load or load_codec)(model, device=first_device(device), model_dir=model_dir)
        sample = take_sample(
            source, chunk_frames=loaded.codec.chunk_frames, segment_frames=segment_frames, strict=strict,
            progress=progress,
        )  # fmt: skip
        header = _header(
            source, loaded, max_memory, segment_frames=segment_frames, tile=tile, strict=strict, interest=interest
        )
        search = Search(goal)
        _try(search, sample, header, loaded, judge, interest, _SEARCH_TRIALS)
    best = search.best()
    _require(search, str(source), 0)
    return Found(best, search.known[best], len(search.known))


@dataclass(frozen=True)
class _Attempt:
    """An encode of the whole video; value: what the goal asks for, 0 without one."""

    qualities: Qualities
    report: EncodeReport
    value: float


@dataclass
class _Attempts:
    """Encodes of the whole video; the file of the best one so far stays."""

    goal: Goal | None
    output: OutputFile
    sample: Sample | None
    encode_at: EncodeAt
    start: float
    interest: Interest | None = None
    slope: float | None = None
    encodes: int = 0
    peak_bits: float | None = None

    def run(self, ceiling: Ceiling | None, name: str) -> _Attempt:
        """Encode until nothing better is to be had, and nothing is above the ceiling.

        Raises TargetUnreachable.
        """
        best = self._nearest({}, name)
        if ceiling is None:
            return best
        assert self.output.path is not None
        for number in range(ROUNDS):
            most, dearest = ceiling.lowered(self.output.path, best.qualities, name, number)
            self.peak_bits = dearest.bits
            if most is None:
                return best
            self.start = best.qualities.value
            best = self._nearest(most, name)
        raise TargetUnreachable(
            f"{name}: at most {ceiling.bits / 1000:.1f} kbit/s in any second was not reached in {ROUNDS} rounds; the "
            f"nearest is {dearest.bits / 1000:.1f} kbit/s"
        )

    def _nearest(self, most: Mapping[int, float], name: str) -> _Attempt:
        """Of the encodes with these limits the one that comes nearest to the goal. Raises TargetUnreachable."""
        if self.goal is None:
            return self._encode(Qualities(self.start, most, self.interest), keep=lambda _: True)
        search, tried = Search(self.goal), dict[float, _Attempt]()
        quality, slope = self.start, self.slope

        def keep(value: float) -> bool:
            search.add(quality, value)
            return search.best() == quality

        while True:
            tried[quality] = self._encode(Qualities(quality, most, self.interest), keep=keep)
            if len(search.known) > 1 or slope is None:
                slope = search.slope()
            if len(tried) == _ENCODES or search.settled(slope):
                break
            quality = search.guess(slope)
        best = tried[search.best()]
        _require(search, name, best.report.sidecar_bytes if self.goal.kind is Kind.SIZE else 0)
        return best

    def _encode(self, qualities: Qualities, *, keep: Callable[[float], bool]) -> _Attempt:
        """keep: told the value, whether the file is the best one."""
        output, path = self.output, self.output.scratch(".stp")
        measure = self.goal is not None and not self.goal.is_bytes
        try:
            report = self.encode_at(path, qualities, measure)
        except OutputError as error:  # the name of a temporary file tells nobody anything
            raise OutputError(str(error).replace(str(path), output.name)) from error
        self.encodes += 1
        value = 0.0 if self.goal is None else _reached(self.goal, self.sample, report)
        if keep(value):
            assert output.path is not None
            os.replace(path, output.path)
        else:
            path.unlink()
        return _Attempt(qualities, report, value)


def _require(search: Search, name: str, beside: int) -> None:
    """Raises TargetUnreachable where the best that is known misses the goal. beside: bytes that belong to it too."""
    goal, best = search.goal, search.best()
    value = search.known[best]
    if not goal.meets(value) and (search.at_end or goal.kind is not Kind.BITRATE):
        raise TargetUnreachable(
            f"{name}: {goal.text(goal.value + beside)} cannot be reached; the nearest is "
            f"{goal.text(value + beside)}, at quality {tidy(best)}"
        )


def _sidecar_bytes(goal: Goal, source: str | Path, output: OutputFile) -> int:
    """What of a size is not the video's. Raises TargetUnreachable where that is all of it."""
    size = sidecar_size(source, output) if goal.kind is Kind.SIZE else 0
    if goal.kind is Kind.SIZE and size >= goal.value:
        raise TargetUnreachable(
            f"{source}: {goal.text(goal.value)} cannot be reached; its sound and other streams alone take {size} bytes"
        )
    return size


def _header(
    source: str | Path, loaded: LoadedCodec, max_memory: float | None, *, segment_frames: int, tile: int, strict: bool,
    interest: Interest | None,
) -> StreamHeader:  # fmt: skip
    with VideoReader(source, strict=strict, warn=lambda _: None) as reader:
        info = reader.info
    tile = tile_within(budget(max_memory), info.height, info.width, asked=tile)
    return stream_header(
        info, loaded, quality=LOWEST, segment_frames=segment_frames, tile=tile, encoder="",
        tune=Qualities(LOWEST, interest=interest).tune,
    )  # fmt: skip


def _try(
    search: Search, sample: Sample, header: StreamHeader, loaded: LoadedCodec, judge: MakeJudge | None,
    interest: Interest | None, most: int,
) -> None:  # fmt: skip
    """A few trials, each where the ones before say."""
    while len(search.known) < most:
        quality = search.guess()
        if quality in search.known or (search.known and search.goal.is_near(search.known[search.best()])):
            return
        trial = sample.trial(header, loaded, Qualities(quality, interest=interest), judge)
        search.add(quality, _estimate(search.goal, sample, trial))


def _estimate(goal: Goal, sample: Sample, trial: Trial) -> float:
    match goal.kind:
        case Kind.SIZE:
            return trial.video_bytes
        case Kind.BITRATE:
            return 8 * trial.video_bytes / float(sample.duration_seconds)
        case Kind.PSNR:
            return trial.psnr_db
    assert trial.score is not None  # of the judge that such a goal needs
    return trial.score


def _reached(goal: Goal, sample: Sample | None, report: EncodeReport) -> float:
    if goal.kind is Kind.PSNR:
        assert report.psnr_db is not None
        return report.psnr_db["yuv"]
    if not goal.is_bytes:
        assert report.score is not None
        return report.score
    video_bytes = report.bytes_written - report.sidecar_bytes
    if goal.kind is Kind.SIZE:
        return video_bytes
    assert sample is not None
    return 8 * video_bytes / float(sample.duration_seconds)
