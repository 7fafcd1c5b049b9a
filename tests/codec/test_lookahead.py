"""Chains of chunks: the same ones whatever the pool and the order pictures get done in; errors reach the caller."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from stpcodec.codec.chunk import ChunkCodec, ChunkEncoding, EncodedChunk
from stpcodec.codec.lookahead import Chain
from stpcodec.codec.parallel import Inline
from stpcodec.latents.gop import Picture
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes

LENGTHS = (1, 4, 1, 8, 2, 3)


class Shuffled(Executor):
    """Runs what it was given one by one in a random order, when asked to."""

    def __init__(self, seed: int) -> None:
        self.random, self.jobs = random.Random(seed), []  # type: ignore[var-annotated]

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, fn, args))
        return future

    def run(self) -> None:
        while self.jobs:
            future, fn, args = self.jobs.pop(self.random.randrange(len(self.jobs)))
            future.set_result(fn(*args))


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> ChunkCodec:
    return ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))


@pytest.fixture(scope="module")
def chunks() -> list[Planes]:
    frames, found, start = moving_planes(sum(LENGTHS), 64, 96, dy=1, dx=3), [], 0
    for length in LENGTHS:
        found.append(frames[start : start + length])
        start += length
    return found


@pytest.fixture(scope="module")
def expected(tiny: ChunkCodec, chunks: list[Planes]) -> list[EncodedChunk]:
    history, found = None, []
    for chunk in chunks:
        found.append(tiny.encode(chunk, quality=60, history=history))
        history = found[-1].history
    return found


def assert_same(found: list[EncodedChunk], expected: list[EncodedChunk]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.streams == other.streams
        assert torch.equal(one.reconstruction.y, other.reconstruction.y)


def test_nothing_is_kept_of_what_was_coded(tiny: ChunkCodec, chunks: list[Planes]) -> None:
    """Without the garbage collector: a long video would fill the memory until it comes by."""
    gc.collect()
    gc.disable()
    try:
        with ThreadPoolExecutor(2) as pool:
            chain, seen = Chain(tiny, quality=60, pool=pool), []
            coming = []
            for chunk in chunks:
                frames = chunk.map(torch.clone)
                seen.append(weakref.ref(frames.y))
                coming.append(chain.add(frames))
                del frames
            while coming:
                coming.pop(0).result()
        assert [frames() for frames in seen[:-2]] == [None] * (len(chunks) - 2)
    finally:
        gc.enable()


def test_in_the_callers_thread(tiny: ChunkCodec, chunks: list[Planes], expected: list[EncodedChunk]) -> None:
    chain = Chain(tiny, quality=60, pool=Inline())
    coming = [chain.add(chunk) for chunk in chunks]
    assert all(future.done() for future in coming)
    assert_same([future.result() for future in coming], expected)


def test_every_picture_has_a_quality_of_its_own(tiny: ChunkCodec, chunks: list[Planes]) -> None:
    first = tiny.encode(chunks[0], quality=60, history=None)
    plain = tiny.encode(chunks[1], quality=60, history=first.history)
    chain = Chain(tiny, quality=60, pool=Inline())
    chain.add(chunks[0])
    mixed = chain.add(chunks[1], [60, 61, 60, 63]).result()
    found, usual = ([picture.quality for picture in chunk.latents.pictures] for chunk in (mixed, plain))
    assert [one - other for one, other in zip(found, usual, strict=True)] == [0, 1, 0, 3]
    again = tiny.decode_latents(
        mixed.streams, frame_count=4, height=64, width=96, quality=60, previous=first.latents
    )
    assert [picture.quality for picture in again.pictures] == found
    for picture, coded in zip(again.pictures, mixed.latents.pictures, strict=True):
        assert torch.equal(picture.y, coded.y)
    with pytest.raises(ValueError, match="2 qualities for the 4 pictures"):
        chain.add(chunks[1], [60, 61]).result()


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order(tiny: ChunkCodec, chunks: list[Planes], expected: list[EncodedChunk], seed: int) -> None:
    pool = Shuffled(seed)
    chain = Chain(tiny, quality=60, pool=pool)
    coming = [chain.add(chunk) for chunk in chunks]
    assert not any(future.done() for future in coming)
    pool.run()
    assert_same([future.result(timeout=0) for future in coming], expected)


@pytest.mark.parametrize("workers", [1, 3])
def test_in_threads(tiny: ChunkCodec, chunks: list[Planes], expected: list[EncodedChunk], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        chain = Chain(tiny, quality=60, pool=pool)
        assert_same([future.result() for future in [chain.add(chunk) for chunk in chunks]], expected)


def test_the_next_anchor_does_not_wait_for_pictures_between(
    tiny: ChunkCodec, chunks: list[Planes], monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors, between, code = [threading.Event() for _ in range(3)], threading.Event(), ChunkEncoding.code

    def held(self: ChunkEncoding, picture: Picture) -> None:
        if picture.depth:
            assert between.wait(timeout=60)
        code(self, picture)
        if not picture.depth:
            next(event for event in anchors if not event.is_set()).set()

    monkeypatch.setattr(ChunkEncoding, "code", held)
    with ThreadPoolExecutor(3) as pool:
        chain = Chain(tiny, quality=60, pool=pool)
        coming = [chain.add(chunk) for chunk in chunks[:3]]
        assert anchors[2].wait(timeout=60), "all anchors are coded"
        assert not coming[1].done()
        between.set()
        assert [len(future.result().reconstruction) for future in coming] == [1, 4, 1]


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_with_its_chunk(
    tiny: ChunkCodec, chunks: list[Planes], monkeypatch: pytest.MonkeyPatch, depth: int, workers: int
) -> None:
    code = ChunkEncoding.code

    def failing(self: ChunkEncoding, picture: Picture) -> None:
        if len(self.frames) == 8 and picture.depth == depth:
            raise MemoryError("no room")
        code(self, picture)

    monkeypatch.setattr(ChunkEncoding, "code", failing)
    with ThreadPoolExecutor(workers) if workers else Inline() as pool:
        chain = Chain(tiny, quality=60, pool=pool)
        coming = [chain.add(chunk) for chunk in chunks]
        for number, future in enumerate(coming):
            if number == 3 or (number > 3 and depth == 0):
                with pytest.raises(MemoryError, match="no room"):
                    future.result(timeout=60)
            else:
                assert len(future.result(timeout=60).reconstruction) == LENGTHS[number]


def test_a_chunk_that_cannot_be(tiny: ChunkCodec, chunks: list[Planes]) -> None:
    chain = Chain(tiny, quality=60, pool=Inline())
    assert chain.add(chunks[0]).result().streams
    with pytest.raises(ValueError, match="a chunk of 0 frames"):
        chain.add(chunks[0][:0]).result()


def test_a_pool_that_was_shut_down(tiny: ChunkCodec, chunks: list[Planes]) -> None:
    pool = ThreadPoolExecutor(1)
    chain = Chain(tiny, quality=60, pool=pool)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        chain.add(chunks[0]).result(timeout=60)


def test_a_signal_is_not_held_until_somebody_asks(
    tiny: ChunkCodec, chunks: list[Planes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the caller's own thread: other tiles of large frames take minutes."""
    chain = Chain(tiny, quality=50, pool=Inline())
    chain.add(chunks[0])

    def interrupted(self: ChunkEncoding, picture: Picture) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ChunkEncoding, "code", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain.add(chunks[1])


def test_frames_that_nobody_looks_at_are_not_kept(
    tiny: ChunkCodec, chunks: list[Planes], expected: list[EncodedChunk]
) -> None:
    chain = Chain(tiny, quality=60, pool=Inline(), shown=False)
    found = [chain.add(chunk).result() for chunk in chunks[:2]]
    assert [chunk.streams for chunk in found] == [chunk.streams for chunk in expected[:2]]
    assert all(len(chunk.reconstruction) == 0 for chunk in found)
