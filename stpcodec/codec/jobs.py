"""How many segments are coded at once, each in a process of its own, and on how many threads each.

An operation has one thread whatever is chosen here (codec/parallel.py), so the bytes are the same for every number of
jobs and threads. Cores that fewer jobs leave idle code further pictures and help within them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from stpcodec.codec.budget import ENCODING, Budget, Use, budget, size_text
from stpcodec.codec.devices import resolve_devices
from stpcodec.codec.models import thread_limit
from stpcodec.codec.parallel import MOST_WORKERS, pictures_at_once
from stpcodec.errors import UsageError
from stpcodec.video.frames import Warn

WORTH_SAMPLES = 32_000_000
"""Luma samples of a video below which starting processes (two seconds each) is not worth it."""
WAITING_BYTES = 1 << 30
"""Most memory for frames that wait: read but not yet with a worker, or decoded but not yet written."""


@dataclass(frozen=True)
class Video:
    """What there is to code. frames: None where unknown, which counts as many; longest_segment in frames; tile: as in
    the stream header; use: the memory that it takes; holds_segments: all frames of a segment as they were read."""

    frames: int | None
    longest_segment: int
    height: int
    width: int
    frame_bytes: int
    tile: int = 0
    use: Use = ENCODING
    holds_segments: bool = False

    @property
    def segment_bytes(self) -> int:
        return self.longest_segment * self.frame_bytes

    @property
    def side_by_side(self) -> int:
        """How many segments can be coded at once: as many as there are, and as waiting frames have room to feed."""
        room = 1 + WAITING_BYTES // self.segment_bytes
        if self.frames is None:
            return room
        if 2 * self.frames < 3 * self.longest_segment:  # the second one is too short to make up for fewer threads
            return 1
        return min(room, -(-self.frames // self.longest_segment))

    @property
    def worth_processes(self) -> bool:
        return self.frames is None or self.frames * self.height * self.width >= WORTH_SAMPLES

    def job_bytes(self, pictures: int) -> float:
        """Of one process that does all."""
        held = self.segment_bytes if self.holds_segments else 0
        return self.use.bytes(self.height, self.width, self.tile, pictures=pictures) + held

    def require(self, limit: Budget, what: str, *, warn: Warn, remedy: str) -> None:
        """One line where even one process that codes one picture at a time needs more than the limit: a warning, or
        UsageError where the limit was asked for. what: encoding or decoding; remedy: what there is to do."""
        needed = self.job_bytes(1)
        if needed <= limit.bytes:
            return
        tiles = f" in tiles of {self.tile}" if self.tile else ""
        text = f"{what} frames of {self.width}x{self.height}{tiles} takes about {size_text(needed)} of memory"
        if limit.asked:
            raise UsageError(f"--max-memory {size_text(limit.bytes)}: {text}; {remedy}")
        warn(f"{text}, and {size_text(limit.bytes)} are what this process has and half of what is free; {remedy}")

    def jobs_within(self, limit: Budget, pictures: int) -> float:
        """How many workers have room, beside the process that feeds them and the frames that wait, at most of two
        segments for each."""
        room, each = limit.bytes - self.use.base, self.job_bytes(pictures)
        return max(room / (each + 2 * self.segment_bytes), (room - WAITING_BYTES) / each)


@dataclass(frozen=True)
class Jobs:
    """count 1: no worker process, the caller does the work. threads: of torch in each job; None: as it is set.

    cores: of each job, for further pictures at once where there are more than `threads`. pictures: at once in each job
    at most. devices: workers take them in turns.
    """

    count: int
    threads: int | None
    cores: int = 1
    pictures: int = MOST_WORKERS
    devices: tuple[str, ...] = ("cpu",)


def choose_jobs(
    jobs: int | None, threads: int | None, *, devices: Sequence[torch.device], video: Video | None,
    limit: Budget | None = None,
) -> Jobs:  # fmt: skip
    """What is asked for, with None replaced by what suits the video. video None: of work that workers cannot do.

    devices: of several each has a worker, unless `jobs` says otherwise. limit: None for `budget(None)`.

    Raises:
        UsageError: below 1, or so many jobs need more than was asked for.
    """
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: must be at least 1")
    names = tuple(map(str, devices))
    if video is None or sys.platform == "win32":  # a worker's socket is inherited, not there
        return Jobs(1, threads, devices=names[:1])
    wanted = jobs if jobs is not None or len(devices) == 1 else len(devices)
    if devices[0].type != "cpu":
        return Jobs(wanted or 1, threads, devices=names)
    if limit is None:
        limit = budget(None)
    cores = torch.get_num_threads()
    # From the video and the cores alone: neither from `jobs` nor from what memory is free now.
    each = threads or cores // min(cores, video.side_by_side)
    if wanted is not None:
        return _within(Jobs(wanted, each, threads or max(each, cores // wanted), devices=names), video, limit)
    fit = int(video.jobs_within(limit, pictures_at_once(each)))
    count = min(cores // each, video.side_by_side, fit) if video.worth_processes else 1
    if count > 1:  # what memory has no room for as jobs, it has not as pictures
        return Jobs(count, each, each)
    return _within(Jobs(1, each, threads or cores), video, limit)


def _within(plan: Jobs, video: Video, limit: Budget) -> Jobs:
    """With as many pictures at once as have room; one always has, unless a limit was asked for."""

    def fits(pictures: int) -> bool:
        if plan.count == 1:
            return video.job_bytes(pictures) <= limit.bytes
        return plan.count <= video.jobs_within(limit, pictures)

    most = pictures_at_once(max(plan.threads or 1, plan.cores))
    pictures = next((count for count in range(most, 0, -1) if fits(count)), 0)
    if not pictures and limit.asked and plan.count > 1:
        raise UsageError(
            f"--max-memory {size_text(limit.bytes)}: has room for {max(1, int(video.jobs_within(limit, 1)))} jobs, not "
            f"for {plan.count}; ask for fewer --jobs, or for more memory"
        )
    return plan if pictures == most else replace(plan, pictures=max(1, pictures))


@contextmanager
def planned(
    jobs: int | None, threads: int | None, *, device: str, video: Video | None, limit: Budget | None = None
) -> Iterator[Jobs]:
    """`choose_jobs`, and its threads for this process inside the block."""
    chosen = choose_jobs(jobs, threads, devices=resolve_devices(device), video=video, limit=limit)
    with thread_limit(chosen.threads):
        yield chosen
