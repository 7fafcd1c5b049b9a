"""Encoding to a size, a bit rate or a PSNR: which quality, 1 to 100, comes to it.

    sample ─► trials on a few pieces ─► quality ─► encode ─► measured ─► nearer quality ─► encode … ─► the best one

Quality is one whole number for the file, so a target is met as nearly as one step allows; on foreman-qcif a step was
3 % of the bytes with `dct` and 4.4 % with `stp-s`. A size is not exceeded, a PSNR is reached, a bit rate is met as
nearly as can be.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from stpcodec.codec.encoder import EncodeReport
from stpcodec.codec.events import ProgressCallback, ignore_progress
from stpcodec.codec.models import LoadCodec, LoadedCodec, load_codec, thread_limit
from stpcodec.codec.output import STANDARD_STREAM, OutputFile, check_target
from stpcodec.codec.sampling import Sample, Trial, take_sample
from stpcodec.codec.sidecars import sidecar_size
from stpcodec.codec.stream import stream_header
from stpcodec.codec.tiling import choose_tile
from stpcodec.container import StreamHeader
from stpcodec.errors import OutputError, TargetUnreachable, UsageError
from stpcodec.video.reader import VideoReader

LOWEST, HIGHEST = 1, 100
TOLERANCE = 0.02
_TRIALS = 4
_ENCODES = 6
# Until two points are known; first guesses between the two models.
_BYTES_SLOPE, _PSNR_SLOPE = 0.035, 0.13


class Kind(StrEnum):
    SIZE = "size"  # bytes of the file
    BITRATE = "bitrate"  # bits a second without sound and other streams
    PSNR = "psnr"  # dB, 6:1:1, mean over frames


@dataclass(frozen=True)
class Goal:
    kind: Kind
    value: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise UsageError(f"target {self.kind} {self.value}: must be above 0")

    def scaled(self, value: float) -> float:
        """`value` on the scale on which quality is nearly a straight line."""
        return value if self.kind is Kind.PSNR else math.log(value)

    def meets(self, value: float) -> bool:
        """Whether `value` is on the right side of the goal. Of bit rates, either side is within the tolerance."""
        match self.kind:
            case Kind.SIZE:
                return value <= self.value
            case Kind.PSNR:
                return value >= self.value
        return abs(self.deviation(value)) <= TOLERANCE

    def deviation(self, value: float) -> float:
        """As a share of the goal; of PSNR in dB."""
        return value - self.value if self.kind is Kind.PSNR else value / self.value - 1

    def text(self, value: float) -> str:
        match self.kind:
            case Kind.SIZE:
                return f"{value:.0f} bytes"
            case Kind.PSNR:
                return f"{value:.2f} dB"
        return f"{value / 1000:.1f} kbit/s"

    def deviation_text(self, value: float) -> str:
        deviation = self.deviation(value)
        return f"{deviation:+.2f} dB" if self.kind is Kind.PSNR else f"{100 * deviation:+.1f} %"


@dataclass(frozen=True)
class TargetReport:
    """What was written: with `quality`, `reached` of the goal's kind. trials: on pieces; encodes: of all frames."""

    encode: EncodeReport
    quality: int
    goal: Goal
    reached: float
    trials: int
    encodes: int

    @property
    def deviation(self) -> float:
        return self.goal.deviation(self.reached)


@dataclass
class Search:
    """Looks for the quality of a goal: `guess` it, try it, `add` what it came to, until `settled`."""

    goal: Goal
    known: dict[int, float] = field(default_factory=dict)

    def add(self, quality: int, value: float) -> None:
        self.known[quality] = value

    def slope(self) -> float:
        """Of the scaled value, a step of quality; between the two known ones that are nearest to the goal."""
        default = _PSNR_SLOPE if self.goal.kind is Kind.PSNR else _BYTES_SLOPE
        near = sorted(self.known, key=lambda quality: abs(self._miss(quality)))[:2]
        if len(near) < 2:
            return default
        rise = self.goal.scaled(self.known[near[0]]) - self.goal.scaled(self.known[near[1]])
        return min(4 * default, max(default / 4, rise / (near[0] - near[1])))

    def guess(self, slope: float | None = None) -> int:
        """The quality that should come nearest to the goal on its right side; maybe one that is known already.

        slope: a better one than that of the known points.
        """
        if not self.known:
            return (LOWEST + HIGHEST) // 2
        nearest = min(self.known, key=lambda quality: abs(self._miss(quality)))
        exact = nearest - self._miss(nearest) / (slope or self.slope())
        match self.goal.kind:
            case Kind.SIZE:
                wanted = math.floor(exact)
            case Kind.PSNR:
                wanted = math.ceil(exact)
            case _:
                wanted = round(exact)
        below = [quality for quality in self.known if self._miss(quality) < 0]
        above = [quality for quality in self.known if self._miss(quality) > 0]
        # strictly between what is too little and what is too much, where anything is there
        low, high = max(below, default=LOWEST - 1), min(above, default=HIGHEST + 1)
        if high - low > 1:
            return min(high - 1, max(low + 1, wanted))
        return self.best()

    def best(self) -> int:
        """Of the known ones: the nearest that meets the goal, else the nearest."""
        good = [quality for quality, value in self.known.items() if self.goal.meets(value)]
        return min(good or self.known, key=lambda quality: abs(self._miss(quality)))

    def settled(self, slope: float) -> bool:
        """No further quality would be better, as far as can be said without trying it."""
        best = self.best()
        value = self.known[best]
        if self.goal.meets(value) and abs(self.goal.deviation(value)) <= TOLERANCE:
            return True
        return self.guess(slope) in self.known

    def _miss(self, quality: int) -> float:
        return self.goal.scaled(self.known[quality]) - self.goal.scaled(self.goal.value)


EncodeAt = Callable[[Path, int, bool], EncodeReport]
"""Encodes the source to this file with this quality; the last: measure PSNR too."""


def encode_to(
    goal: Goal,
    source: str | Path,
    target: str | Path,
    encode_at: EncodeAt,
    *,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    segment_frames: int = 128,
    threads: int | None = None,
    tile: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
) -> TargetReport:
    """Encode with the quality that comes to `goal`. The options are those that `encode_at` encodes with.

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
        sidecar_bytes = sidecar_size(source, output) if goal.kind is Kind.SIZE else 0
        if goal.kind is Kind.SIZE and sidecar_bytes >= goal.value:
            raise TargetUnreachable(
                f"{source}: {goal.text(goal.value)} cannot be reached; its sound and other streams alone take "
                f"{sidecar_bytes} bytes"
            )
        # from here on without them: the quality has no say in how many they are
        goal_of_video = replace(goal, value=goal.value - sidecar_bytes)
        with thread_limit(threads):
            loaded = (load or load_codec)(model, device=device, model_dir=model_dir)
            sample = take_sample(
                source, chunk_frames=loaded.codec.chunk_frames, segment_frames=segment_frames, strict=strict,
                progress=progress,
            )  # fmt: skip
            trials = Search(goal_of_video)
            if not sample.is_everything:
                header = _header(source, loaded, segment_frames=segment_frames, tile=tile, strict=strict)
                _try(trials, lambda quality: _estimate(goal, sample, sample.trial(header, loaded, quality)))
        attempts = _Attempts(Search(goal_of_video), output, sample, encode_at)
        attempts.run(trials)
        best = attempts.best(str(source))
        reached = attempts.search.known[best] + sidecar_bytes
        return TargetReport(attempts.reports[best], best, goal, reached, len(trials.known), len(attempts.reports))


@dataclass
class _Attempts:
    """Encodes of the whole video; the file of the best one so far stays."""

    search: Search
    output: OutputFile
    sample: Sample
    encode_at: EncodeAt
    reports: dict[int, EncodeReport] = field(default_factory=dict)

    def run(self, trials: Search) -> None:
        """Encode, beginning with what the trials say, until nothing better is to be had."""
        quality, slope = trials.guess(), trials.slope()
        while True:
            self._encode(quality)
            if len(self.search.known) > 1:
                slope = self.search.slope()
            if len(self.reports) == _ENCODES or self.search.settled(slope):
                return
            quality = self.search.guess(slope)

    def best(self, name: str) -> int:
        """The quality whose file is the output. Raises TargetUnreachable where that misses the goal."""
        search, best = self.search, self.search.best()
        goal, value = search.goal, search.known[best]
        at_end = (best == LOWEST and goal.deviation(value) > 0) or (best == HIGHEST and goal.deviation(value) < 0)
        if not goal.meets(value) and (at_end or goal.kind is not Kind.BITRATE):
            beside = self.reports[best].sidecar_bytes if goal.kind is Kind.SIZE else 0
            raise TargetUnreachable(
                f"{name}: {goal.text(goal.value + beside)} cannot be reached; the nearest is "
                f"{goal.text(value + beside)}, at quality {best}"
            )
        return best

    def _encode(self, quality: int) -> None:
        goal, output, path = self.search.goal, self.output, self.output.scratch(".stp")
        try:
            report = self.encode_at(path, quality, goal.kind is Kind.PSNR)
        except OutputError as error:  # the name of a temporary file tells nobody anything
            raise OutputError(str(error).replace(str(path), output.name)) from error
        self.reports[quality] = report
        self.search.add(quality, _reached(goal, self.sample, report))
        if self.search.best() == quality:
            assert output.path is not None
            os.replace(path, output.path)
        else:
            path.unlink()


def _header(source: str | Path, loaded: LoadedCodec, *, segment_frames: int, tile: int, strict: bool) -> StreamHeader:
    with VideoReader(source, strict=strict, warn=lambda _: None) as reader:
        info = reader.info
    size, overlap = choose_tile(info.height, info.width, tile, loaded.codec.alignment)
    return stream_header(
        info, model=loaded.model, weights_sha256=loaded.weights_sha256, quality=LOWEST,
        segment_frames=segment_frames, tile=size, tile_overlap=overlap, encoder="",
    )  # fmt: skip


def _try(search: Search, measure: Callable[[int], float]) -> None:
    """A few trials, each where the ones before say."""
    while len(search.known) < _TRIALS:
        quality = search.guess()
        if quality in search.known:
            return
        search.add(quality, measure(quality))


def _estimate(goal: Goal, sample: Sample, trial: Trial) -> float:
    match goal.kind:
        case Kind.PSNR:
            return trial.psnr_db
        case Kind.SIZE:
            return trial.video_bytes
    return 8 * trial.video_bytes / float(sample.duration_seconds)


def _reached(goal: Goal, sample: Sample, report: EncodeReport) -> float:
    if goal.kind is Kind.PSNR:
        assert report.psnr_db is not None
        return report.psnr_db["yuv"]
    video_bytes = report.bytes_written - report.sidecar_bytes
    return video_bytes if goal.kind is Kind.SIZE else 8 * video_bytes / float(sample.duration_seconds)
