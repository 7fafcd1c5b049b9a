"""Workers for pictures: as many as there are threads, and the caller's threads as they were."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from stpcodec.codec.parallel import MOST_WORKERS, Inline, picture_pool, pictures_at_once, thread_beside
from stpcodec.model.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_jobs_run_at_once_where_there_are_threads(threads: int) -> None:
    """Each waits for the other: one after the other that would be for ever."""
    arrived = [threading.Event(), threading.Event()]

    def job(own: int) -> bool:
        arrived[own].set()
        return arrived[1 - own].wait(timeout=20 if threads > 1 else 0.01)

    with picture_pool(CPU) as pool:
        found = [future.result() for future in [pool.submit(job, 0), pool.submit(job, 1)]]
    assert found == ([True, True] if threads > 1 else [False, True])


def test_every_worker_uses_one_thread(threads: int) -> None:
    """Whatever the number: it decides how sums are rounded."""
    with picture_pool(CPU) as pool:
        assert torch.get_num_threads() == 1
        assert pool.submit(torch.get_num_threads).result() == 1
        assert isinstance(pool, Inline) == (threads == 1)
    assert torch.get_num_threads() == threads


def test_one_picture_more_than_threads_is_begun() -> None:
    assert [pictures_at_once(threads) for threads in (1, 2, 3, 4, 64)] == [1, 3, 4, MOST_WORKERS, MOST_WORKERS]


def test_further_cores_are_further_workers(threads: int) -> None:
    with picture_pool(CPU, cores=16) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
        assert pool._max_workers == MOST_WORKERS
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("block", [picture_pool, thread_beside])
def test_what_goes_on_within_a_picture_is_helped_with(threads: int, block: Callable[..., Any]) -> None:
    with block(CPU):
        names = side_by_side([lambda: (time.sleep(0.05), threading.current_thread().name)[1]] * 4)
    assert (len(set(names)) > 1) == (threads > 1)


def test_an_error_comes_with_the_result_and_the_threads_are_given_back(threads: int) -> None:
    def fail() -> int:
        raise ValueError("this one")

    with picture_pool(CPU) as pool:
        future = pool.submit(fail)
        assert pool.submit(lambda: 3).result() == 3
        with pytest.raises(ValueError, match="this one"):
            future.result()
    assert torch.get_num_threads() == threads


def test_a_device_with_a_queue_of_its_own_needs_no_workers(threads: int) -> None:
    for device in (torch.device("cuda"), torch.device("meta")):
        with picture_pool(device) as pool, thread_beside(device):
            assert isinstance(pool, Inline)
            assert torch.get_num_threads() == threads


def test_operations_use_one_thread_each_beside_others(threads: int) -> None:
    with thread_beside(CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_at_most_so_many_pictures(threads: int) -> None:
    """The threads that are left help within the pictures."""
    with picture_pool(CPU, cores=16, pictures=2) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
        assert pool._max_workers == 2
    with picture_pool(CPU, pictures=1) as pool:
        assert isinstance(pool, Inline)
        assert torch.get_num_threads() == 1
        names = side_by_side([lambda: (time.sleep(0.05), threading.current_thread().name)[1]] * 4)
    assert (len(set(names)) > 1) == (threads > 1)


def test_signals_do_not_wait_for_a_result_in_the_callers_own_thread() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Inline().submit(interrupted)
