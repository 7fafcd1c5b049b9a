"""Order, errors and the end of the thread that works ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stpcodec.codec.prefetch import prefetched


def alive() -> bool:
    return any(thread.name == "stpcodec-prefetch" for thread in threading.enumerate())


def test_keeps_order_and_ends() -> None:
    with prefetched(range(50), depth=3) as items:
        assert list(items) == list(range(50))
    assert not alive()


def test_never_runs_further_ahead_than_its_depth() -> None:
    made = []

    def produce() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with prefetched(produce(), depth=2) as items:
        for taken, _ in enumerate(items, start=1):
            time.sleep(0.001)
            assert len(made) <= taken + 3
            if taken == 20:
                break
    assert not alive()
    assert len(made) < 30


def test_an_error_comes_after_the_items_before_it() -> None:
    def produce() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    got: list[int] = []
    with prefetched(produce()) as items, pytest.raises(ValueError, match="third"):
        got.extend(items)
    assert got == [1, 2]


def test_an_error_of_the_consumer_stops_the_producer() -> None:
    def produce() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    def consume() -> None:
        with prefetched(produce()) as items:
            next(items)
            raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert not alive()
