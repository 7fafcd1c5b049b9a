"""Small real clips and a codec simple enough to predict, for the tests of this room."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stpcodec.evaluation.ffmpeg import NotAvailable, with_encoder, with_filter
from stpcodec.evaluation.subjects import Coded
from stpcodec.video.frames import Frame, VideoInfo
from stpcodec.video.reader import VideoReader
from stpcodec.video.writer import VideoWriter


def moving_frames(count: int, *, width: int = 64, height: int = 48, bit_depth: int = 8) -> Iterator[Frame]:
    """A smooth texture that moves by one and a half samples a frame, with a little noise."""
    dice = np.random.default_rng(7)
    top = (1 << bit_depth) - 1
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    for index in range(count):
        planes = []
        for divisor in (1, 2, 2):
            rows, columns = -(-height // divisor), -(-width // divisor)
            y, x = np.mgrid[0:rows, 0:columns].astype(np.float64) * divisor
            wave = np.sin((x + 1.5 * index) / 5) + np.cos((y - index) / 7 + divisor) + np.sin((x + y) / 11)
            value = top * (0.5 + 0.13 * wave) + dice.normal(0, top / 100, wave.shape)
            planes.append(np.clip(np.rint(value), 0, top).astype(dtype))
        yield Frame(*planes, pts=index)


def info_of(*, width: int = 64, height: int = 48, bit_depth: int = 8) -> VideoInfo:
    rate = Fraction(25)
    return VideoInfo("test", width, height, bit_depth, time_base=1 / rate, average_rate=rate)


def write_clip(path: Path, count: int, **size: int) -> Path:
    """A lossless Matroska file of `count` moving frames."""
    with VideoWriter(path, info_of(**size), vcodec="ffv1") as writer:
        for frame in moving_frames(count, **size):
            writer.write(frame)
    return path


def needs(*, ffmpeg_filter: str = "", ffmpeg_encoder: str = "") -> pytest.MarkDecorator:
    """Skips where the ffmpeg program of the `bench` extra is missing, or was built without this."""
    try:
        with_filter(ffmpeg_filter) if ffmpeg_filter else with_encoder(ffmpeg_encoder)
    except NotAvailable as error:
        return pytest.mark.skip(reason=str(error))
    return pytest.mark.skipif(False, reason="")


class StepCodec:
    """Rounds samples to a multiple of a step that shrinks as quality grows; counts what it is asked to do."""

    def __init__(self, name: str = "steps", *, worst_step: int = 64) -> None:
        self.name = name
        self.version = "1"
        self.worst_step = worst_step
        self.encodes = 0

    def encode(self, source: Path, target: Path, *, quality: int) -> Coded:
        self.encodes += 1
        step = max(1, round(self.worst_step * (1 - quality / 100)))
        with VideoReader(source) as reader:
            frames = [(f.y // step, f.u // step, f.v // step, f.pts) for f in reader]
            target.write_bytes(zlib.compress(pickle.dumps((reader.info, step, frames)), 9))
        size = target.stat().st_size
        return Coded(size + 1000, size, self.stored_pts([frame[3] for frame in frames]))

    def stored_pts(self, pts: list[int]) -> tuple[int, ...]:
        return tuple(pts)

    def decode(self, source: Path, target: Path, *, cheap: bool = False) -> None:
        info, step, frames = pickle.loads(zlib.decompress(source.read_bytes()))
        with VideoWriter(target, info) as writer:
            for frame in self.decoded(frames, step):
                writer.write(frame)

    def decoded(self, frames: list[tuple], step: int) -> Iterator[Frame]:
        for y, u, v, pts in frames:
            yield Frame(*((p * step + step // 2).astype(np.uint8) for p in (y, u, v)), pts=pts)
