"""Chunks coded ahead of each other: the next anchor needs the last one alone, not the pictures between.

So a chain of anchors runs in front, and behind it pictures between two references are coded as soon as theirs are.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from torch import Tensor

from stpcodec.codec.chunk import ChunkCodec, ChunkEncoding, EncodedChunk, History
from stpcodec.latents.gop import Picture
from stpcodec.model.planes import Planes


class Chain:
    """The chunks of one segment (of one tile of it), coded by `pool`. What comes out does not depend on the pool.

    shown: chunks come with their frames as they decode, which take memory.
    """

    def __init__(self, codec: ChunkCodec, *, quality: int, pool: Executor, shown: bool = True) -> None:
        self._codec, self._quality, self._pool, self._shown = codec, quality, pool, shown
        self._history: Future[History | None] = Future()
        self._history.set_result(None)

    def add(
        self, frames: Planes, qualities: Sequence[int] | None = None, weights: Tensor | None = None
    ) -> Future[EncodedChunk]:
        """One chunk: a single frame first, later up to the codec's `chunk_frames`. Errors come with the result.

        qualities, weights: as of `ChunkCodec.begin`.
        """
        result: Future[EncodedChunk] = Future()
        history: Future[History | None] = Future()
        before, self._history = self._history, history
        shown = self._shown

        # Not by way of `before`: it holds its callbacks, and a circle keeps frames until the collector comes by.
        def begin(done: Future[History | None]) -> None:
            try:
                chunk = self._codec.begin(
                    frames, quality=self._quality, history=done.result(), qualities=qualities, weights=weights
                )  # fmt: skip
            except BaseException as error:
                _fail((history, result), error)
                return
            _Pictures(chunk, self._pool, history, result, shown).submit_ready()

        before.add_done_callback(begin)
        return result


class _Pictures:
    """The pictures of one chunk on their way."""

    def __init__(
        self, chunk: ChunkEncoding, pool: Executor, history: Future[History | None], result: Future[EncodedChunk],
        shown: bool,
    ) -> None:  # fmt: skip
        self._chunk, self._pool, self._history, self._result, self._shown = chunk, pool, history, result, shown
        self._lock = threading.Lock()
        self._waiting = list(chunk.order)
        self._missing = len(self._waiting)

    def submit_ready(self) -> None:
        with self._lock:
            ready = [picture for picture in self._waiting if self._chunk.ready(picture)]
            self._waiting = [picture for picture in self._waiting if picture not in ready]
        for picture in ready:
            try:
                self._pool.submit(self._code, picture)
            except RuntimeError as error:  # the pool was shut down: whoever did so has another error to report
                _fail((self._history, self._result), error)

    def _code(self, picture: Picture) -> None:
        try:
            self._chunk.code(picture)
            if not picture.depth:
                # First: what everything after waits for goes to the front of the queue.
                self._history.set_result(self._chunk.leaves())
            self.submit_ready()
            with self._lock:
                self._missing -= 1
                complete = not self._missing
            if complete:
                self._result.set_result(self._chunk.result(shown=self._shown))
        except BaseException as error:
            _fail((self._history, self._result), error)
            if not isinstance(error, Exception):  # a signal: not to wait until other tiles are coded
                raise


def _fail(futures: tuple[Future, ...], error: BaseException) -> None:  # type: ignore[type-arg]
    for future in futures:
        if not future.done():
            future.set_exception(error)
