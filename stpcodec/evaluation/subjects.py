"""The codecs under test: ours, through the public interface that everyone else uses, from file to file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import stpcodec
from stpcodec.codec.tune import PSNR
from stpcodec.container import StpReader
from stpcodec.errors import VerificationFailed
from stpcodec.evaluation.clips import Clip
from stpcodec.evaluation.metrics import Psnr
from stpcodec.evaluation.quality import PSNR_ONLY, Instruments, Quality, measure_quality
from stpcodec.evaluation.traces import Span
from stpcodec.video.reader import VideoReader

# The check of the written video looks at times, not at pixels.
_CHEAP = {"crf": "40", "preset": "ultrafast"}


@dataclass(frozen=True)
class Coded:
    """What an encode wrote. payload_bytes: the file without other streams; pts: as stored.

    spans: (frames, bytes) of every chunk.
    """

    file_bytes: int
    payload_bytes: int
    pts: tuple[int, ...]
    spans: tuple[Span, ...] = ()


class Subject(Protocol):
    """A codec that works on files. `version` changes whenever its output may."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def encode(self, source: Path, target: Path, *, quality: int) -> Coded: ...
    def decode(self, source: Path, target: Path, *, cheap: bool = False) -> None:
        """Write the video to `target`; `cheap`: nobody will look at the pixels."""


class StpCodec:
    """`stpcodec.encode` and `stpcodec.decode` with one model, by name or weights file; tuned, it has another name."""

    def __init__(self, model: str, *, device: str = "auto", tune: str = PSNR) -> None:
        # Names of files are made with it, so a path must not pass through.
        self.name = (Path(model).stem if "/" in model else model) + (f"+{tune}" if tune != PSNR else "")
        self._tune = tune
        self._model = model
        self._device = device
        self._version: str | None = None

    @property
    def version(self) -> str:
        """Program version and the weights' first digits.

        Raises ModelError: there is no such model.
        """
        if self._version is None:
            from stpcodec.codec.models import load_codec  # loads torch

            weights = load_codec(self._model, device=self._device).weights_sha256
            self._version = f"{stpcodec.__version__}+{weights[:8]}"
        return self._version

    def encode(self, source: Path, target: Path, *, quality: int) -> Coded:
        report = stpcodec.encode(
            source,
            target,
            quality=quality,
            tune=self._tune,
            model=self._model,
            device=self._device,
            overwrite=True,
            warn=_ignore,
        )
        size = target.stat().st_size
        with StpReader(target) as stream:
            segments = [stream.read_segment(number) for number in range(len(stream.segments))]
        pts = tuple(p for segment in segments for p in segment.pts)
        spans = tuple((c.frame_count, sum(map(len, c.streams))) for segment in segments for c in segment.chunks)
        return Coded(size, size - report.sidecar_bytes, pts, spans)

    def decode(self, source: Path, target: Path, *, cheap: bool = False) -> None:
        options = _CHEAP if cheap else None
        stpcodec.decode(
            source, target, model=self._model, device=self._device, overwrite=True, options=options, warn=_ignore
        )


@dataclass(frozen=True)
class SubjectPoint:
    """One encode and decode of one clip. problem: what does not agree with the source, "" if all does."""

    coded: Coded
    quality: Quality
    encode_seconds: float
    decode_seconds: float
    problem: str

    @property
    def psnr(self) -> Psnr:
        return self.quality.psnr


def measure_subject(
    subject: Subject,
    clip: Clip,
    *,
    quality: int,
    folder: Path,
    check_video: bool,
    instruments: Instruments = PSNR_ONLY,
) -> SubjectPoint:
    """Encode the clip into `folder`, decode it to raw frames, measure these; nothing is left behind.

    check_video: also decode to .mp4 and compare the times of its frames with the source's.

    Raises VerificationFailed: frames are missing, too many, or of another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{clip.hash}-{subject.name}-{quality}"
    coded_path, raw_path, video_path = (Path(f"{stem}{suffix}") for suffix in (".stp", ".y4m", ".mp4"))
    try:
        started = time.perf_counter()
        coded = subject.encode(clip.path, coded_path, quality=quality)
        encoded = time.perf_counter()
        subject.decode(coded_path, raw_path)
        decoded = time.perf_counter()
        with VideoReader(clip.path, warn=_ignore) as source, VideoReader(raw_path, warn=_ignore) as result:
            figures = measure_quality(source, result, clip.info, instruments)
        problems = [] if coded.pts == clip.pts else [f"stored times differ from the source's: {_first(coded, clip)}"]
        if check_video:
            subject.decode(coded_path, video_path, cheap=True)
            problems += _video_problems(video_path, clip)
        return SubjectPoint(coded, figures, encoded - started, decoded - encoded, "; ".join(problems))
    except VerificationFailed as error:
        raise VerificationFailed(f"{clip.name}: {subject.name} quality {quality}: {error}") from error
    finally:
        for path in (coded_path, raw_path, video_path):
            path.unlink(missing_ok=True)


def _video_problems(path: Path, clip: Clip) -> Iterator[str]:
    """Frame count and times of a written video against its source."""
    with VideoReader(path, warn=_ignore) as reader:
        pts = [frame.pts for frame in reader]
        unit = reader.info.time_base
    if len(pts) != clip.frames:
        yield f"{path.suffix} has {len(pts)} frames, the source {clip.frames}"
        return
    seconds = [(p - pts[0]) * unit for p in pts]
    # A container counts in a time base of its own: half of its unit, and half of the source's, are rounding.
    slack = (unit + clip.info.time_base) / 2 if unit != clip.info.time_base else Fraction(0)
    wrong = [n for n, (a, b) in enumerate(zip(seconds, clip.seconds(), strict=True)) if abs(a - b) > slack]
    if wrong:
        n = wrong[0]
        yield (
            f"{path.suffix}: {len(wrong)} frame times differ, first frame {n}: "
            f"{float(seconds[n]):.6f} s, source {float(clip.seconds()[n]):.6f} s"
        )


def _first(coded: Coded, clip: Clip) -> str:
    if len(coded.pts) != len(clip.pts):
        return f"{len(coded.pts)} of them, the source has {len(clip.pts)}"
    n = next(n for n, (a, b) in enumerate(zip(coded.pts, clip.pts, strict=True)) if a != b)
    return f"frame {n} has pts {coded.pts[n]}, the source {clip.pts[n]}"


def _ignore(message: str) -> None:
    """What the formats cannot keep is no news here."""
