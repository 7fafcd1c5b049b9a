"""Jobs side by side: results in order, errors as they are, the caller's threads as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from stpcodec.codec.parallel import together

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_jobs(threads: int, count: int) -> None:
    assert together([lambda n=n: n * n for n in range(count)], CPU) == [n * n for n in range(count)]  # type: ignore[misc]
    assert torch.get_num_threads() == threads


def test_jobs_run_at_once_only_where_there_are_threads(threads: int) -> None:
    """Each waits for the other: one after the other that would be for ever."""
    arrived = [threading.Event(), threading.Event()]

    def job(own: int) -> bool:
        arrived[own].set()
        return arrived[1 - own].wait(timeout=20 if threads > 1 else 0.01)

    assert together([lambda: job(0), lambda: job(1)], CPU) == ([True, True] if threads > 1 else [False, True])


def test_an_error_is_raised_and_the_threads_are_given_back(threads: int) -> None:
    def fail() -> int:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        together([lambda: 1, fail, lambda: 3], CPU)
    assert torch.get_num_threads() == threads


def test_nothing_is_recorded_for_gradients(threads: int) -> None:
    """As in the caller, whose inference mode other threads do not inherit."""
    weight = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        results = together([lambda: weight * 2, lambda: weight * 3], CPU)
    assert not any(result.requires_grad for result in results)
