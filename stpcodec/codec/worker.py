"""A process that codes segments for another one. What runs in it, and what the two say to each other.

parent                                    worker
Setup ─────────────────────────────────►  loads the model
Open, Add, Add, … Close ───────────────►  ◄─ Added for each Add, then the Segment
Decode ────────────────────────────────►  ◄─ Frame, Frame, … (or InspectedFrame …) then Done
                                          ◄─ Warned at any time
                                          ◄─ Failed at any time, and nothing more

The worker ends when its end of the connection is closed, however its parent ends. Only what a request needs is loaded
here at the top: a worker is ready about as soon as torch is.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from stpcodec.codec.allocator import keep_freed_memory

if TYPE_CHECKING:  # torch takes two seconds to load, during which the parent may die
    from stpcodec.codec.models import LoadedCodec
    from stpcodec.codec.qualities import Qualities
    from stpcodec.codec.segments import SegmentCodec
    from stpcodec.codec.selection import Selection
    from stpcodec.container import Segment, StreamHeader
    from stpcodec.video.frames import Frame


@dataclass(frozen=True)
class Setup:
    """The stream to work on; model and model_dir as the caller gave them, to find the header's model again.

    threads, cores, pictures: as in `Jobs`. qualities, name: as in `SegmentCodec`. device: of this worker.
    """

    header: StreamHeader
    model: str | None
    model_dir: str | Path | None
    threads: int | None
    cores: int = 1
    qualities: Qualities | None = None
    pictures: int | None = None
    device: str = "cpu"
    name: str = ""


@dataclass(frozen=True)
class Open:
    first_frame: int


@dataclass(frozen=True)
class Add:
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Added:
    """coded_bytes: of the segment so far."""

    frames: int
    coded_bytes: int


@dataclass(frozen=True)
class Close:
    pass


@dataclass(frozen=True)
class Decode:
    """Of the segment's frames those chosen; None: all. inspect: each as an `InspectedFrame`."""

    segment: Segment
    chosen: Selection | None
    inspect: bool = False


@dataclass(frozen=True)
class Done:
    pass


@dataclass(frozen=True)
class Warned:
    """At any time."""

    text: str


@dataclass(frozen=True)
class Failed:
    error: BaseException


def main(descriptor: int) -> None:
    """Serve the parent at the other end of the socket `descriptor` until it closes it."""
    keep_freed_memory()
    connection = Connection(descriptor)
    requests: queue.SimpleQueue[object] = queue.SimpleQueue()  # bounded by the parent, which waits for Added
    threading.Thread(target=_receive, args=(connection, requests), daemon=True).start()
    try:
        _serve(connection, requests)
    except Exception as error:
        connection.send(Failed(_portable(error)))


def _receive(connection: Connection, requests: queue.SimpleQueue[object]) -> None:
    """Always in a read, so that the end of the parent ends this process in the middle of any work."""
    try:
        while True:
            requests.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def _serve(connection: Connection, requests: queue.SimpleQueue[object]) -> None:
    import torch

    from stpcodec.codec.models import codec_of_file
    from stpcodec.codec.reserve import with_reserve
    from stpcodec.codec.segments import SegmentCodec

    setup = requests.get()
    assert isinstance(setup, Setup)
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)

    def load(device: str) -> LoadedCodec:
        return codec_of_file(setup.header, model=setup.model, device=device, model_dir=setup.model_dir)

    loaded = load(setup.device)
    codec = with_reserve(
        SegmentCodec(setup.header, loaded.codec, loaded.device, setup.qualities, name=setup.name),
        lambda: load("cpu"),
        lambda text: connection.send(Warned(text)),
    )
    while True:
        match requests.get():
            case Open(first_frame):
                _encode(codec, first_frame, setup, requests, connection)
            case Decode() as request:
                _decode(codec, request, connection)


def _encode(
    codec: SegmentCodec, first_frame: int, setup: Setup, requests: queue.SimpleQueue[object], connection: Connection
) -> None:
    """As in `segment_stream`: the same bytes."""
    with codec.pool(setup.cores, setup.pictures) as pool:
        builder = codec.open(first_frame, pool)
        while isinstance(request := requests.get(), Add):
            builder.add(request.frames)
            connection.send(Added(len(request.frames), builder.coded_bytes))
        assert isinstance(request, Close)
        connection.send(builder.close())


def _decode(codec: SegmentCodec, request: Decode, connection: Connection) -> None:
    """As in `frames_ahead` and `inspected_frames`: the same pictures."""
    from stpcodec.codec.inspection import inspected_segment
    from stpcodec.codec.parallel import thread_beside

    frames = inspected_segment(codec, request.segment) if request.inspect else codec.frames(request.segment)
    with thread_beside(codec.device):
        for frame in frames:
            if request.chosen is None or request.chosen.holds(frame.pts):
                connection.send(frame)
    connection.send(Done())


def _portable(error: Exception) -> BaseException:
    """The error as it can travel, with the worker's traceback as a note."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
