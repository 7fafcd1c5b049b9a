"""The operating system's scheduling of this thread, kept as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """For opening encoders: SVT-AV1, run by root, puts whoever opens it under the real-time scheduler (SCHED_FIFO, the
    highest priority). What that thread starts later would inherit it, and one thread that waits for another by spinning
    could keep a core for ever. Behind the block the thread is scheduled as before it."""
    if not hasattr(os, "sched_getscheduler"):  # Linux alone
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
