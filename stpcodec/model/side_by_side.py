"""Parts of one operation on several threads: the caller's, and helpers that are free at the moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

import torch

T = TypeVar("T")

_blocks: list[ThreadPoolExecutor | None] = []
"""Of helpers, one for each `helped_by` that is open; threads may open and close them in any order."""


@contextmanager
def helped_by(threads: int) -> Iterator[None]:
    """Inside the block so many more threads take part in what any thread does by `side_by_side`; their operations use
    one thread each. For the whole process; the block opened last counts."""
    pool = ThreadPoolExecutor(threads, "stpcodec-helper", torch.set_num_threads, (1,)) if threads else None
    _blocks.append(pool)
    try:
        yield
    finally:
        _blocks.remove(pool)
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all tasks, in order. Raises what the first failing task raised, after the others have ended.

    The caller takes one task after the other; helpers take some of them if they come by in time, so nobody waits for a
    helper that is busy elsewhere.
    """
    pool = _blocks[-1] if _blocks else None
    if pool is None or len(tasks) < 2:
        return [task() for task in tasks]
    turn, ended = count(), threading.Semaphore(0)
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}
    inference = torch.is_inference_mode_enabled()

    def take_turns() -> None:
        # Of threads each has its own mode.
        with torch.inference_mode(inference):
            while (number := next(turn)) < len(tasks):
                try:
                    results[number] = tasks[number]()
                except BaseException as error:  # raised in the caller
                    errors[number] = error
                finally:
                    ended.release()

    for _ in tasks[1:]:  # an idle helper starts at once; one too many finds no task left
        try:
            pool.submit(take_turns)
        except RuntimeError:  # the block that made the helpers has ended meanwhile
            break
    take_turns()
    for _ in tasks:
        ended.acquire()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(tasks))]
