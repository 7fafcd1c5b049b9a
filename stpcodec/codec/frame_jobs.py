"""Segments decoded by worker processes, several at once: segments in, frames out in order.

file ─► |segments|─► worker A ─► |frames of 7| ─┐
                 └─► worker B ─► |frames of 8| ─┴─► frames of 7, frames of 8 …

A thread for each worker takes its frames in. Those that must wait for the ones before are bounded in bytes; a worker
whose frames find no room waits with them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

from stpcodec.codec.crew import Crew, Desk, Worker
from stpcodec.codec.inspection import InspectedFrame
from stpcodec.codec.jobs import WAITING_BYTES
from stpcodec.codec.selection import Selection
from stpcodec.codec.worker import Decode, Done
from stpcodec.container import Segment
from stpcodec.video.frames import Frame

_LOOK_SECONDS = 0.2  # how often a waiting caller looks up for signals


class Sent(Protocol):
    """What workers send: a `Frame`, or one with more about it."""

    @property
    def size_bytes(self) -> int: ...


SentT = TypeVar("SentT", bound=Sent)


@contextmanager
def frames_by(crew: Crew, segments: Iterable[Segment], chosen: Selection | None = None) -> Iterator[Iterator[Frame]]:
    """`with frames_by(crew, segments) as frames: for frame in frames: …`

    segments: read when one more can be worked on. chosen: the frames to yield, None for all. Errors, also those of
    reading, are raised behind the frames before.
    """
    with _driven(crew, FrameJobs[Frame](segments, chosen, ahead=2 * len(crew.workers))) as frames:
        yield frames


@contextmanager
def inspected_by(crew: Crew, segments: Iterable[Segment], chosen: Selection) -> Iterator[Iterator[InspectedFrame]]:
    """As `frames_by`, with what each frame cost."""
    jobs = FrameJobs[InspectedFrame](segments, chosen, ahead=2 * len(crew.workers), inspect=True)
    with _driven(crew, jobs) as frames:
        yield frames


@contextmanager
def _driven(crew: Crew, frames: FrameJobs[SentT]) -> Iterator[Iterator[SentT]]:
    with crew.driven(frames.drive, frames.stop):
        yield iter(frames)


@dataclass(eq=False)
class _Decoding(Generic[SentT]):
    """A segment being decoded: frames that wait for the caller."""

    segment: Segment | None
    frames: deque[SentT] = field(default_factory=deque)
    complete: bool = False
    error: BaseException | None = None


class FrameJobs(Generic[SentT]):
    """To be iterated over once. ahead: segments that may be begun; waiting_bytes: of frames that wait. inspect: as of
    `Decode`, which says what comes out."""

    def __init__(
        self, segments: Iterable[Segment], chosen: Selection | None, *, ahead: int, inspect: bool = False,
        most_waiting_bytes: int = WAITING_BYTES,
    ) -> None:  # fmt: skip
        self._segments, self._chosen, self._ahead, self._inspect = iter(segments), chosen, ahead, inspect
        self._most_waiting_bytes = most_waiting_bytes
        self._desk: Desk[_Decoding[SentT]] = Desk()
        self._changed = self._desk.changed
        self._unseen: deque[_Decoding[SentT]] = deque()
        self.waiting_bytes = 0

    def __iter__(self) -> Iterator[SentT]:
        self._read_ahead()
        while self._unseen:
            while (frame := self._next_frame(self._unseen[0])) is not None:
                yield frame
            with self._changed:
                self._unseen.popleft()
                self._changed.notify_all()
            self._read_ahead()

    def _read_ahead(self) -> None:
        while len(self._unseen) < self._ahead:
            try:
                segment = next(self._segments, None)
            except Exception as error:  # to be raised in its turn
                self._unseen.append(_Decoding(None, complete=True, error=error))
                self._segments = iter(())
                return
            if segment is None:
                return
            with self._changed:
                self._unseen.append(_Decoding(segment))
                self._desk.add(self._unseen[-1])

    def _next_frame(self, task: _Decoding[SentT]) -> SentT | None:
        with self._changed:
            while not task.frames and not task.complete:
                self._changed.wait(_LOOK_SECONDS)
            if not task.frames:
                if task.error is not None:
                    raise task.error
                return None
            frame = task.frames.popleft()
            self.waiting_bytes -= frame.size_bytes
            self._changed.notify_all()
            return frame

    def drive(self, worker: Worker) -> None:
        while (task := self._desk.next()) is not None:
            error: BaseException | None = None
            try:
                self._decode(worker, task)
            except BaseException as raised:  # delivered, not lost
                error = raised
            with self._changed:
                task.complete, task.error = True, error
                self._changed.notify_all()
            if error is not None:
                return  # the worker has ended as well

    def stop(self) -> None:
        self._desk.stop()

    def _decode(self, worker: Worker, task: _Decoding[SentT]) -> None:
        assert task.segment is not None
        worker.send(Decode(task.segment, self._chosen, self._inspect))
        while not isinstance(message := worker.receive(), Done):
            if not self._put(task, cast(SentT, message)):
                return

    def _put(self, task: _Decoding[SentT], frame: SentT) -> bool:
        """False if nobody wants frames any more."""
        size = frame.size_bytes
        with self._changed:
            while not (self._desk.stopped or self._has_room(task, size)):
                self._changed.wait()
            task.frames.append(frame)
            self.waiting_bytes += size
            self._changed.notify_all()
            return not self._desk.stopped

    def _has_room(self, task: _Decoding[SentT], size: int) -> bool:
        """The frame that the caller waits for always has."""
        wanted = self._unseen[0] is task and not task.frames
        return wanted or self.waiting_bytes + size <= self._most_waiting_bytes
