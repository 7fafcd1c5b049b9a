"""Frames are let go of while the next ones come: memory does not grow with the length of the video."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader
from stpcodec.video.writer import VideoWriter
from tests.codec.clips import pictures, write_y4m

pytestmark = pytest.mark.usefixtures("fake_codec")

FRAMES = 200
BOUND = 40
"""A chunk being coded, two waiting, one being made, and the decoder's queue: well under this."""


class Living:
    """Counts the frames that someone still holds."""

    def __init__(self) -> None:
        self._count = 0
        self.most = 0

    def watch(self, frame: Frame) -> None:
        self._count += 1
        self.most = max(self.most, self._count)
        weakref.finalize(frame, self._gone)

    def _gone(self) -> None:
        self._count -= 1


def watched(real: Callable[..., Iterator[Frame]], living: Living) -> Callable[..., Iterator[Frame]]:
    def iterate(self: object) -> Iterator[Frame]:
        for frame in real(self):
            living.watch(frame)
            yield frame
            del frame

    return iterate


def test_the_encoder_holds_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    living = Living()
    monkeypatch.setattr(VideoReader, "__iter__", watched(VideoReader.__iter__, living))
    source = write_y4m(tmp_path / "in.y4m", pictures(FRAMES, height=16, width=16))
    assert encode(source, tmp_path / "x.stp", segment_frames=100).frames == FRAMES
    assert 4 <= living.most < BOUND


def test_the_decoder_holds_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(FRAMES, height=16, width=16))
    encode(source, tmp_path / "x.stp", segment_frames=100)
    living = Living()
    made = Frame.__init__

    def init(self: Frame, *args: object, **named: object) -> None:
        made(self, *args, **named)  # type: ignore[arg-type]
        living.watch(self)

    written = []
    monkeypatch.setattr(Frame, "__init__", init)
    monkeypatch.setattr(VideoWriter, "write", lambda self, frame: written.append(frame.pts))
    decode(tmp_path / "x.stp", tmp_path / "out.y4m")
    assert written == list(range(FRAMES))
    assert 4 <= living.most < BOUND
