"""The next items are made in a thread while the caller works on this one.

FFmpeg and torch release the interpreter lock, so reading runs beside coding. It also keeps the main thread,
the only one that sees signals, out of blocking reads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# How long a producer may take to notice that the consumer has given up; it may hang in a read that never returns.
_PATIENCE_SECONDS = 5.0
_PATIENCE_AFTER_A_SIGNAL_SECONDS = 0.5


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None


@contextmanager
def prefetched(items: Iterable[T], *, depth: int = 2) -> Iterator[Iterator[T]]:
    """`with prefetched(items) as ahead: for item in ahead: ...`; at most `depth` + 1 items wait.

    An exception of the producer is raised in the consumer, after the items before it. Leaving the block stops
    the producer; the iterable is only touched by its thread.
    """
    waiting: queue.Queue[_Item[T] | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: _Item[T] | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for value in items:
                if not put(_Item(value)):
                    return
        except BaseException as error:  # delivered, not lost
            put(_End(error))
        else:
            put(_End(None))

    def consume() -> Iterator[T]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item.value

    producer = threading.Thread(target=produce, name="stpcodec-prefetch", daemon=True)
    producer.start()
    patience = _PATIENCE_SECONDS
    try:
        yield consume()
    except Exception:
        raise
    except BaseException:
        patience = _PATIENCE_AFTER_A_SIGNAL_SECONDS
        raise
    finally:
        stopped.set()
        producer.join(patience)
