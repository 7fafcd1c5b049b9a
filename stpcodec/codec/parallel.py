"""Pictures on the CPU side by side, each on a thread of its own.

The operations of one picture are small: spread over the cores they take nearly as long as on one, and where another
program wants a core too, ten times as long, since every operation waits for its slowest part. Pictures wait for each
other only where they need each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from stpcodec.model.side_by_side import helped_by

MOST_WORKERS = 4
"""Pictures that can be coded at once, about: more threads help within pictures."""


def pictures_at_once(threads: int) -> int:
    """How many are begun, one more than threads: while one waits for a picture it needs, or for the interpreter,
    another goes on. With one thread no picture waits."""
    return 1 if threads < 2 else min(threads + 1, MOST_WORKERS)


class Inline(Executor):
    """Does what it is given at once, in the caller's thread. Signals and exits pass: nobody may come by for long."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # delivered with the result, as by any executor
            future.set_exception(error)
        return future


@contextmanager
def picture_pool(device: torch.device, cores: int = 1, pictures: int | None = None) -> Iterator[Executor]:
    """Workers for as many threads as the caller may use (torch.get_num_threads), with as many helpers for what goes on
    within a picture; `Inline` where that is one, or the device has a queue of its own. Inside the block operations use
    one thread each, so that sums are rounded alike whatever the number.

    cores: where there are more of them than threads, more workers. pictures: most workers, None for MOST_WORKERS.
    """
    threads = max(torch.get_num_threads(), cores)
    if device.type != "cpu":
        yield Inline()
        return
    with _threads(1), helped_by(threads - 1):
        workers = min(pictures_at_once(threads), pictures or MOST_WORKERS)
        if workers < 2:
            yield Inline()
            return
        # A thread's own number of OpenMP threads; PyTorch has no other way to set it.
        pool = ThreadPoolExecutor(workers, "stpcodec-picture", torch.set_num_threads, (1,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def thread_beside(device: torch.device) -> Iterator[None]:
    """One of the caller's threads is left to what goes on beside the operations inside the block; these use one each,
    and as many help with them as are left."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield
        return
    with _threads(1), helped_by(threads - 1):
        yield


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
