"""Segments encoded by worker processes, several at once: chunks in, segments out in order.

reader ─► |chunks of 7|─► worker A ─► |segment 7| ─┐
          |chunks of 8|─► worker B ─► |segment 8| ─┴─► write 7, write 8 …

A thread for each worker talks to it, and hands it no more than two chunks. What waits is bounded in bytes, and by how
far the reader may be ahead of what is written; never by the length of the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stpcodec.codec.crew import Crew, Desk, Worker
from stpcodec.codec.jobs import WAITING_BYTES, Jobs
from stpcodec.codec.segments import SegmentCodec, SegmentStream
from stpcodec.codec.worker import Add, Added, Close, Open
from stpcodec.container import Segment
from stpcodec.video.frames import Frame

CHUNKS_WITH_WORKER = 2  # one that it codes, one that it finds when it is done
_LOOK_SECONDS = 0.2  # how often a waiting caller looks up: signals, progress


@contextmanager
def segment_stream(
    codec: SegmentCodec, crew: Crew | None, write: Callable[[Segment], object], *, plan: Jobs, tick: Callable[[], None]
) -> Iterator[SegmentStream | SegmentJobs]:
    """Chunks to segments: by `crew`, or in this process if it is None."""
    if crew is None:
        with codec.pool(plan.cores, plan.pictures) as pool:
            yield SegmentStream(codec, write, pool)
        return
    window_frames = 2 * len(crew.workers) * codec.header.segment_frames
    segments = SegmentJobs(write, window_frames=window_frames, tick=tick)
    with crew.driven(segments.drive, segments.stop):
        yield segments


@dataclass(eq=False)
class _Encoding:
    """A segment being encoded: chunks that wait for its worker, and what it became."""

    first_frame: int
    chunks: deque[Sequence[Frame]] = field(default_factory=deque)
    complete: bool = False
    coded_bytes: int = 0
    result: Segment | None = None


class SegmentJobs:
    """What `SegmentStream` does, by workers; `write` is called in the caller's thread, in order.

    window_frames: how many may be taken in and not yet written, at least two segments. tick: called now and then while
    `add` and `finish` wait. frames, segments: coded and begun so far. waiting_bytes: of frames not yet with a worker.
    """

    def __init__(
        self,
        write: Callable[[Segment], object],
        *,
        window_frames: int,
        tick: Callable[[], None],
        most_waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self._write, self._tick = write, tick
        self._window_frames, self._most_waiting_bytes = window_frames, most_waiting_bytes
        self._desk: Desk[_Encoding] = Desk()
        self._changed = self._desk.changed
        self._unwritten: deque[_Encoding] = deque()
        self._unwritten_frames = 0
        self._open: _Encoding | None = None
        self._next_frame: int | None = None
        self._error: BaseException | None = None
        self.waiting_bytes = 0
        self.frames = 0
        self.segments = 0

    @property
    def pending_bytes(self) -> int:
        with self._changed:
            return sum(segment.coded_bytes for segment in self._unwritten)

    def add(self, frames: Sequence[Frame], *, opens_segment: bool) -> None:
        size = _size(frames)
        self._wait_for(lambda: self._has_room(size))
        with self._changed:
            if opens_segment or self._open is None:
                self._close_segment()
                self._open_segment()
            assert self._open is not None
            assert self._next_frame is not None
            self._open.chunks.append(frames)
            self.waiting_bytes += size
            self._unwritten_frames += len(frames)
            self._next_frame += len(frames)
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait for the segments that are not written yet."""
        with self._changed:
            self._close_segment()
        self._wait_for(lambda: not self._unwritten)

    def _has_room(self, size: int) -> bool:
        fits = not self.waiting_bytes or self.waiting_bytes + size <= self._most_waiting_bytes
        return fits and self._unwritten_frames < self._window_frames

    def _open_segment(self) -> None:
        if self._next_frame is None:
            self._next_frame = self.frames
        self._open = _Encoding(self._next_frame)
        self._unwritten.append(self._open)
        self._desk.add(self._open)
        self.segments += 1

    def _close_segment(self) -> None:
        if self._open is not None:
            self._open.complete = True
            self._open = None
            self._changed.notify_all()

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        """Write what is finished and next in order until ready() holds. Raises what a worker failed with."""
        while True:
            with self._changed:
                if self._error is not None:
                    raise self._error
                first = self._unwritten[0].result if self._unwritten else None
                if first is None:
                    if ready():
                        return
                    self._changed.wait(_LOOK_SECONDS)
            if first is not None:
                self._write(first)
                with self._changed:
                    self._unwritten.popleft()
                    self._unwritten_frames -= first.frame_count
            self._tick()

    def drive(self, worker: Worker) -> None:
        try:
            while (segment := self._desk.next()) is not None:
                self._encode(worker, segment)
        except BaseException as error:  # delivered, not lost
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def stop(self) -> None:
        self._desk.stop()

    def _encode(self, worker: Worker, segment: _Encoding) -> None:
        worker.send(Open(segment.first_frame))
        with_worker = 0
        while (frames := self._next_chunk(segment)) is not None:
            worker.send(Add(tuple(frames)))
            with_worker += 1
            if with_worker == CHUNKS_WITH_WORKER:
                self._take_in(segment, worker.receive())
                with_worker -= 1
        worker.send(Close())
        for _ in range(with_worker + 1):
            self._take_in(segment, worker.receive())

    def _next_chunk(self, segment: _Encoding) -> Sequence[Frame] | None:
        with self._changed:
            while not (segment.chunks or segment.complete or self._desk.stopped):
                self._changed.wait()
            if not segment.chunks:
                return None
            frames = segment.chunks.popleft()
            self.waiting_bytes -= _size(frames)
            self._changed.notify_all()
            return frames

    def _take_in(self, segment: _Encoding, message: object) -> None:
        with self._changed:
            if isinstance(message, Added):
                self.frames += message.frames
                segment.coded_bytes = message.coded_bytes
            else:
                assert isinstance(message, Segment)
                segment.result = message
            self._changed.notify_all()


def _size(frames: Sequence[Frame]) -> int:
    return sum(frame.size_bytes for frame in frames)
