"""Tasks on several threads: every result, the first error, and nobody waits for a helper that does not come."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
import torch

from stpcodec.model.side_by_side import helped_by, side_by_side


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_results_come_in_order(helpers: int) -> None:
    def task(number: int) -> int:
        time.sleep(0.002 * (7 - number))
        return number

    with helped_by(helpers):
        assert side_by_side([partial(task, number) for number in range(7)]) == list(range(7))


def test_helpers_really_help() -> None:
    """Two tasks that wait for each other: one thread alone would wait for ever."""
    meeting = threading.Barrier(2)
    with helped_by(1):
        assert len(side_by_side([lambda: meeting.wait(20)] * 2)) == 2


@pytest.mark.parametrize("helpers", [0, 2])
def test_the_first_failing_tasks_error_is_raised(helpers: int) -> None:
    def task(number: int) -> None:
        if number >= 2:
            raise ValueError(f"task {number}")

    with helped_by(helpers), pytest.raises(ValueError, match="task 2"):
        side_by_side([partial(task, number) for number in range(5)])


def test_tasks_may_have_tasks_of_their_own() -> None:
    def outer(number: int) -> list[int]:
        return side_by_side([lambda: number, lambda: number + 1])

    with helped_by(1):
        assert side_by_side([partial(outer, number) for number in (0, 10)]) == [[0, 1], [10, 11]]


def test_a_busy_helper_is_not_waited_for() -> None:
    release = threading.Event()
    with helped_by(1):
        other = threading.Thread(target=side_by_side, args=([lambda: release.wait(20)] * 2,))
        other.start()
        try:
            assert side_by_side([lambda: 1, lambda: 2]) == [1, 2]
        finally:
            release.set()
            other.join()


def test_helpers_work_in_the_callers_mode_with_one_thread_each() -> None:
    meeting = threading.Barrier(2)

    def task() -> tuple[bool, int]:
        meeting.wait(20)
        return torch.is_inference_mode_enabled(), torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with helped_by(1):
            assert side_by_side([task, task]) == [(False, 1)] * 2
            with torch.inference_mode():
                assert side_by_side([task, task]) == [(True, 1)] * 2
    finally:
        torch.set_num_threads(before)
