"""Several independent jobs on the CPU at once.

The operations of one picture are small: spread over two threads they take nearly as long as on one. Two pictures on a
thread each do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

ResultT = TypeVar("ResultT")


def together(jobs: Sequence[Callable[[], ResultT]], device: torch.device) -> list[ResultT]:
    """Results in the order of the jobs; the first exception of theirs is raised. One after the other where the caller
    allows one thread (torch.get_num_threads) or the device has a queue of its own."""
    threads = torch.get_num_threads()
    workers = min(threads, len(jobs))
    if workers < 2 or device.type != "cpu":
        return [job() for job in jobs]

    def run(job: Callable[[], ResultT]) -> ResultT:
        with torch.inference_mode():
            return job()

    try:
        # A thread's own number of OpenMP threads; PyTorch has no other way to set it.
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            return list(pool.map(run, jobs))
    finally:
        torch.set_num_threads(threads)
