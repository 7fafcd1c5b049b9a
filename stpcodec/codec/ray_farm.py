"""Segments as tasks of Ray, on this machine or a cluster: chunks in, segments out in order.

    reader ─► |chunks of 7| ─► object store ─► task on any worker ─► |segment 7| ─┐
              |chunks of 8| ─► object store ─► task on any worker ─► |segment 8| ─┴─► write 7, write 8 …

The source is read here alone, so the workers need no shared disk; they need stpcodec and the model. Frames wait in
Ray's object store, bounded in bytes and by the number of workers. A task whose worker dies is started anew from the
frames that still lie there. A segment's bytes do not depend on where it is coded, nor on how many threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stpcodec.codec.allocator import keep_freed_memory
from stpcodec.codec.jobs import WAITING_BYTES
from stpcodec.codec.worker import Setup
from stpcodec.errors import StpError, UsageError

if TYPE_CHECKING:
    from stpcodec.codec.segments import SegmentCodec
    from stpcodec.container import Segment
    from stpcodec.video.frames import Frame

Chunks = tuple[tuple["Frame", ...], ...]
RETRIES = 4
"""How often a segment is started anew when its worker is lost."""
_LOOK_SECONDS = 0.2  # how often a waiting caller looks up: signals, progress


class RayFarm:
    """`with RayFarm() as farm: encode(..., farm=farm)`. Several threads may encode with one farm.

    address: of a running cluster ("auto": the one of this machine); None: $RAY_ADDRESS, else a cluster of its own on
    this machine, which ends with it. workers: of a cluster of its own; None: one a core.

    Raises UsageError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("--engine ray needs Ray; install the extra: pip install 'stpcodec[ray]'") from None
        self._ray: Any = ray
        self._address = address or os.environ.get("RAY_ADDRESS")
        if self._address and workers is not None:
            raise UsageError(f"--workers {workers}: is for a cluster of one's own, {self._address} has its workers")
        self._workers = workers
        self._task: Any = None
        self.capacity = 0

    def __enter__(self) -> RayFarm:
        own = {"num_cpus": self._workers, "include_dashboard": False} if not self._address else {}
        try:
            self._ray.init(
                address=self._address or "local", log_to_driver=False, logging_level="ERROR", configure_logging=True,
                **own,
            )  # fmt: skip
        except Exception as error:  # of all kinds, also plain ones
            where = self._address or "this machine"
            raise UsageError(f"Ray at {where}: no cluster to be had: {_first_line(error)}") from error
        self.capacity = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._task = self._ray.remote(num_cpus=1, max_retries=RETRIES)(encode_segment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    @contextmanager
    def segments(
        self, setup: Setup, write: Callable[[Segment], object], tick: Callable[[], None]
    ) -> Iterator[RaySegments]:
        segments = RaySegments(self._ray, self._task, setup, write, tick, most=2 * self.capacity)
        try:
            yield segments
        except BaseException:
            segments.cancel()
            raise


def encode_segment(setup: Setup, first_frame: int, chunks: Chunks) -> Segment:
    """Runs on a worker."""
    import torch

    keep_freed_memory()
    torch.set_num_threads(setup.threads or 1)
    codec = _codec(_Key(setup))
    with codec.pool(setup.cores) as pool:
        builder = codec.open(first_frame, pool)
        for chunk in chunks:
            builder.add(chunk)
        return builder.close()


@dataclass(frozen=True)
class _Key:
    """A setup by what it says: it holds maps, and comes anew with every task."""

    setup: Setup

    def __hash__(self) -> int:
        return hash(repr(self.setup))


@lru_cache(maxsize=4)
def _codec(key: _Key) -> SegmentCodec:
    """Kept by a worker from task to task: loading a model takes longer than a short segment."""
    from stpcodec.codec.models import codec_of_file
    from stpcodec.codec.segments import SegmentCodec

    setup = key.setup
    loaded = codec_of_file(setup.header, model=setup.model, device="cpu", model_dir=setup.model_dir)
    return SegmentCodec(setup.header, loaded.codec, loaded.device, setup.qualities)


@dataclass
class _Task:
    reference: Any
    frames: int
    size_bytes: int


class RaySegments:
    """What `SegmentStream` does, by tasks of Ray. most: tasks on their way at once."""

    def __init__(
        self, ray: Any, task: Any, setup: Setup, write: Callable[[Segment], object], tick: Callable[[], None], *,
        most: int,
    ) -> None:  # fmt: skip
        self._ray, self._remote, self._write, self._tick, self._most = ray, task, write, tick, most
        self._setup = ray.put(setup)
        self._open: list[tuple[Frame, ...]] = []
        self._tasks: deque[_Task] = deque()
        self._next_frame: int | None = None
        self.frames = 0
        self.segments = 0

    @property
    def pending_bytes(self) -> int:
        return 0  # what a task has coded so far, nobody knows here

    def add(self, frames: Sequence[Frame], *, opens_segment: bool) -> None:
        if opens_segment or not self._open:
            self._submit()
            self.segments += 1
        self._open.append(tuple(frames))

    def finish(self) -> None:
        self._submit()
        while self._tasks:
            self._write_first()

    def cancel(self) -> None:
        """Nobody wants the rest."""
        for task in self._tasks:
            self._ray.cancel(task.reference, force=False)
        self._tasks.clear()

    def _submit(self) -> None:
        """The open segment becomes a task, when there is room for it."""
        if not self._open:
            return
        chunks, self._open = tuple(self._open), []
        if self._next_frame is None:
            self._next_frame = self.frames  # behind what an earlier run left
        size = sum(frame.size_bytes for chunk in chunks for frame in chunk)
        while self._tasks and not self._has_room(size):
            self._write_first()
        count = sum(map(len, chunks))
        reference = self._remote.remote(self._setup, self._next_frame, self._ray.put(chunks))
        self._tasks.append(_Task(reference, count, size))
        self._next_frame += count

    def _has_room(self, size: int) -> bool:
        waiting = sum(task.size_bytes for task in self._tasks)
        return len(self._tasks) < self._most and waiting + size <= WAITING_BYTES

    def _write_first(self) -> None:
        task = self._tasks[0]
        while not self._ray.wait([task.reference], timeout=_LOOK_SECONDS)[0]:
            self._tick()
        segment = self._result(task)
        self._tasks.popleft()
        self.frames += task.frames
        self._write(segment)
        self._tick()

    def _result(self, task: _Task) -> Segment:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task.reference)
        except errors.RayTaskError as error:  # what the worker raised
            raise (error.cause if isinstance(error.cause, Exception) else error) from error
        except errors.RayError as error:
            raise StpError(
                f"a segment was lost with its worker {RETRIES + 1} times: {_first_line(error)}; look at the cluster, "
                f"and run again with fewer --workers if memory ran out"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
