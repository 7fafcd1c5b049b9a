"""How many segments are coded at once, each in a process of its own, and on how many threads each.

An operation has one thread whatever is chosen here (codec/parallel.py), so the bytes are the same for every number of
jobs and threads. Cores that fewer jobs leave idle code further pictures and help within them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from stpcodec.codec.models import thread_limit
from stpcodec.codec.parallel import MOST_WORKERS
from stpcodec.errors import UsageError
from stpcodec.model.zoo import resolve_device

WORTH_SAMPLES = 32_000_000
"""Luma samples of a video below which starting processes (two seconds each) is not worth it."""
WAITING_BYTES = 1 << 30
"""Most memory for frames that wait: read but not yet with a worker, or decoded but not yet written."""
WORKER_BYTES, WORKER_BYTES_PER_SAMPLE, PICTURE_BYTES_PER_SAMPLE = 440e6, 400, 220
"""Memory of a worker, and of each picture at once after the first. Measured to encode: 535 MB at 640×360 and 1279 MB
at 1920×1080, with four pictures at once 732 and 2502 MB."""


@dataclass(frozen=True)
class Video:
    """What there is to code. frames: None where unknown, which counts as many; longest_segment in frames."""

    frames: int | None
    longest_segment: int
    height: int
    width: int
    frame_bytes: int

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

    def fit_in_memory(self, threads: int) -> int:
        """How many workers have room in half of what is free."""
        available = _available_bytes()
        if available is None:
            return sys.maxsize
        per_sample = WORKER_BYTES_PER_SAMPLE + PICTURE_BYTES_PER_SAMPLE * (min(threads, MOST_WORKERS) - 1)
        worker_bytes = WORKER_BYTES + per_sample * self.height * self.width + self.segment_bytes
        return int(available / 2 / worker_bytes)


@dataclass(frozen=True)
class Jobs:
    """count 1: no worker process, the caller does the work. threads: of torch in each job; None: as it is set.

    cores: of each job, for further pictures at once where there are more than `threads`.
    """

    count: int
    threads: int | None
    cores: int = 1


def choose_jobs(jobs: int | None, threads: int | None, *, device: torch.device, video: Video | None) -> Jobs:
    """What is asked for, with None replaced by what suits the video. video None: of work that workers cannot do.

    Raises:
        UsageError: below 1.
    """
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: must be at least 1")
    if video is None or device.type != "cpu" or sys.platform == "win32":  # a worker's socket is inherited, not there
        return Jobs(1, threads)
    cores = torch.get_num_threads()
    # From the video and the cores alone: neither from `jobs` nor from what memory is free now.
    each = threads or cores // min(cores, video.side_by_side)
    if jobs is not None:
        return Jobs(jobs, each, threads or max(each, cores // jobs))
    count = min(cores // each, video.side_by_side, video.fit_in_memory(each)) if video.worth_processes else 1
    if count > 1:  # what memory has no room for as jobs, it has not as pictures
        return Jobs(count, each, each)
    return Jobs(1, each, threads or cores)


@contextmanager
def planned(jobs: int | None, threads: int | None, *, device: str, video: Video | None) -> Iterator[Jobs]:
    """`choose_jobs`, and its threads for this process inside the block."""
    chosen = choose_jobs(jobs, threads, device=resolve_device(device), video=video)
    with thread_limit(chosen.threads):
        yield chosen


def _available_bytes() -> int | None:
    """Memory that programs can have without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
