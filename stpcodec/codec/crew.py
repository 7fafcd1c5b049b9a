"""Worker processes from their parent's side: started when there is work for them, ended together.

They are started as programs of their own rather than by `multiprocessing`: fork hangs with OpenMP's threads, and spawn
runs the caller's main script once more in every process, which a script without `if __name__ == "__main__"` does not
survive. A session of their own keeps the terminal's Ctrl-C from them; they end with their parent (codec/worker.py).
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from stpcodec.codec.jobs import Jobs
from stpcodec.codec.worker import Failed, Setup, Warned
from stpcodec.errors import StpError
from stpcodec.video.frames import Warn, log_warning

_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from stpcodec.codec.worker import main; main(int(sys.argv[1]))"
)


class Process(Protocol):
    """Of subprocess.Popen what is used here."""

    @property
    def pid(self) -> int: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


def start_process(descriptor: int) -> Process:
    """A worker, which inherits its end of the connection."""
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(descriptor), json.dumps(sys.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # ours may be the video
        pass_fds=[descriptor],
        start_new_session=True,
    )


class WorkerLost(StpError):
    """A worker process is gone without a word."""


class Worker:
    """One process, started by the first `send`. One thread at a time may talk to it; any may `end` it."""

    def __init__(self, setup: Setup, warn: Warn = log_warning) -> None:
        self.setup, self._warn = setup, warn
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._connection: Connection | None = None
        self._ended = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def send(self, message: object) -> None:
        """Raises what the worker failed with, or WorkerLost."""
        if self._connection is None:
            self._start()
            self.send(self.setup)
        assert self._connection is not None
        try:
            self._connection.send(message)
            return
        except OSError:
            pass
        # Behind the handler, so that what is raised does not keep the OSError, whose frames have a view of the message:
        # taken down by the garbage collector, that makes noise on standard error (Python's development mode).
        while True:  # it failed meanwhile; why is behind what it said before
            self.receive()

    def receive(self) -> object:
        """The next message; raises what the worker failed with, or WorkerLost."""
        assert self._connection is not None
        try:
            message = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerLost(self._last_words()) from None
        if isinstance(message, Warned):
            self._warn(message.text)
            return self.receive()
        if isinstance(message, Failed):
            raise message.error
        return message

    def end(self) -> None:
        """Kill the process, which holds nothing that lasts. A `receive` of another thread then raises WorkerLost."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """Let go of the connection of a worker that has ended and that nobody talks to any more."""
        if self._connection is not None:
            self._connection.close()

    def _start(self) -> None:
        with self._lock:
            if self._ended:
                raise WorkerLost("the workers have been ended")
            ours, theirs = multiprocessing.Pipe()
            with theirs:
                self._process = start_process(theirs.fileno())
            self._connection = ours

    def _last_words(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        if code >= 0:
            return f"a worker process ended by itself (exit code {code}); run again with --jobs 1"
        name = signal.Signals(-code).name
        memory = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
        return f"a worker process was ended by {name}{memory}; run again with fewer --jobs"


TaskT = TypeVar("TaskT")


class Desk(Generic[TaskT]):
    """Where the threads that drive workers get their tasks, in order. `changed` guards all that they share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stopped = False
        self._tasks: deque[TaskT] = deque()

    def add(self, task: TaskT) -> None:
        with self.changed:
            self._tasks.append(task)
            self.changed.notify_all()

    def next(self) -> TaskT | None:
        """Waits for a task; None once it is stopped."""
        with self.changed:
            while not (self._tasks or self.stopped):
                self.changed.wait()
            return None if self.stopped else self._tasks.popleft()

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


@contextmanager
def hired(plan: Jobs, setup: Setup, warn: Warn = log_warning) -> Iterator[Crew | None]:
    """The workers of a plan; None for one job, whose work the caller does."""
    if plan.count == 1:
        yield None
        return
    with Crew(setup, plan.count, plan.devices, warn) as crew:
        yield crew


class Crew:
    """`with Crew(setup, 4) as crew, crew.driven(talk, stop): ...`

    devices: workers take them in turns.
    """

    def __init__(
        self, setup: Setup, count: int, devices: Sequence[str] = ("cpu",), warn: Warn = log_warning
    ) -> None:
        self.workers = [Worker(replace(setup, device=device), warn) for device in islice(cycle(devices), count)]

    def __enter__(self) -> Crew:
        return self

    @contextmanager
    def driven(self, drive: Callable[[Worker], None], stop: Callable[[], None]) -> Iterator[None]:
        """Call drive(worker) for every worker in a thread of its own; it must not raise.

        When the block is left, `stop` must make every `drive` return that does not wait for its worker; if it is left
        by an exception, the workers are ended, and no `drive` waits any more.
        """
        threads = [
            threading.Thread(target=drive, args=(worker,), name="stpcodec-worker", daemon=True)
            for worker in self.workers
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException:
            self._end()
            raise
        finally:
            stop()
            for thread in threads:
                thread.join()

    def _end(self) -> None:
        for worker in self.workers:
            worker.end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        for worker in self.workers:
            worker.close()
