"""Is a .stp file what it promises? Checksums, tables, latent hashes; with `deep` also the pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.models import LoadCodec, codec_of_file, thread_limit
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import seconds_of
from stpcodec.container import Finding, Segment, StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, VerificationFailed


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

    damaged: the bytes contradict their checksums or tables; else they are as written but decode to something
    else. Bytes [offset, offset + length). Times in seconds from the first frame that is known; None: unknown,
    or no frame is concerned.
    """

    message: str
    damaged: bool
    offset: int
    length: int
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __str__(self) -> str:
        where = f"bytes {self.offset} to {self.offset + self.length}"
        if self.start_seconds is not None:
            end = "the end" if self.end_seconds is None else f"{self.end_seconds:.3f} s"
            where += f", {self.start_seconds:.3f} s to {end}"
        return f"{where}: {self.message}"


@dataclass(frozen=True)
class VerifyReport:
    """What was looked at and what is wrong. decoded: pixels were made as well (`deep`)."""

    path: str
    segments: int
    frames: int
    size_bytes: int
    decoded: bool
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        return not self.problems

    def raise_if_bad(self) -> None:
        """Raises CorruptFile if bytes are damaged, VerificationFailed if they decode to something else."""
        damaged = sum(problem.damaged for problem in self.problems)
        if damaged:
            raise CorruptFile(f"{self.path}: is damaged in {damaged} place(s); copy it again from its source")
        if self.problems:
            raise VerificationFailed(
                f"{self.path}: {len(self.problems)} segment(s) do not decode to what they promise though "
                f"their bytes are intact; try another device, and report it"
            )


def verify(
    path: str | Path,
    *,
    deep: bool = False,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
    on_problem: Callable[[Problem], None] = lambda problem: None,
) -> VerifyReport:
    """Check all of a .stp file: every checksum and table, then the integer latents of every intact segment.

    deep: synthesise the pixels too. model, model_dir, load: as in `decode`. on_problem gets every problem when it is
    found.

    Raises:
        InputError, CorruptFile, UnsupportedVersion: it cannot even be opened as a .stp file.
        ModelError: its model is not here; the checksums have been looked at before.
    """
    problems: list[Problem] = []

    def note(problem: Problem) -> None:
        problems.append(problem)
        on_problem(problem)

    with StpReader(path) as stream, thread_limit(threads):
        damaged_segments = set()
        for finding in stream.check():
            if not finding.intact:
                damaged_segments.add(finding.segment)
                note(_damage(finding, stream))
        loaded = codec_of_file(
            stream.header, name=stream.path, model=model, device=device, model_dir=model_dir, load=load
        )
        codec = SegmentCodec(stream.header, loaded.codec, loaded.device, name=stream.path)
        start = time.monotonic()
        frames_done = 0
        for number, entry in enumerate(stream.segments):
            if number not in damaged_segments:
                problem = _check_segment(stream, number, codec, deep=deep)
                if problem is not None:
                    note(problem)
            frames_done += entry.frame_count
            progress(Progress("verify", frames_done, stream.frame_count, 0, time.monotonic() - start))
        return VerifyReport(
            path=str(path),
            segments=len(stream.segments),
            frames=sum(entry.frame_count for entry in stream.segments),
            size_bytes=stream.size,
            decoded=deep,
            problems=tuple(problems),
        )


def _check_segment(stream: StpReader, number: int, codec: SegmentCodec, *, deep: bool) -> Problem | None:
    try:
        for _ in _decode(codec, stream.read_segment(number), deep=deep):
            pass
    except CorruptSegment as error:
        entry = stream.segments[number]
        return Problem(
            message=str(error).removeprefix(f"{stream.path}: "),
            damaged=False,
            offset=entry.offset,
            length=entry.length,
            start_seconds=seconds_of(stream, entry.first_pts),
            end_seconds=seconds_of(stream, entry.last_pts),
        )
    return None


def _decode(codec: SegmentCodec, segment: Segment, *, deep: bool) -> Iterator[object]:
    return codec.frames(segment) if deep else codec.latents(segment)


def _damage(finding: Finding, stream: StpReader) -> Problem:
    start, end = finding.first_pts, finding.end_pts
    return Problem(
        message=finding.message if finding.kind == "gap" else f"{finding.kind}: {finding.message}",
        damaged=True,
        offset=finding.offset,
        length=finding.length,
        start_seconds=None if start is None else seconds_of(stream, start),
        end_seconds=None if end is None else seconds_of(stream, end),
    )
