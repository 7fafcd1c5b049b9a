"""A device whose memory runs out, without one: the segment is coded again by the processor, which is said once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stpcodec.codec import reserve
from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.codec.models import LoadedCodec
from stpcodec.codec.reserve import Reserve, with_reserve
from stpcodec.codec.segments import SegmentCodec, SegmentStream
from stpcodec.container import Segment, StpReader
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader
from tests.codec.clips import pictures, write_y4m
from tests.codec.fake_codec import FakeChunkCodec


class SmallDevice(FakeChunkCodec):
    """Its memory runs out at the calls of these numbers, counted from 1 over both ways."""

    def __init__(self, *failing: int) -> None:
        self.failing, self.calls = failing, 0

    def _count(self) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def encode(self, *args, **named):  # type: ignore[no-untyped-def]
        self._count()
        return super().encode(*args, **named)

    def synthesise(self, *args, **named):  # type: ignore[no-untyped-def]
        self._count()
        return super().synthesise(*args, **named)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_y4m(tmp_path / "in.y4m", pictures(24))


@pytest.fixture
def stp(source: Path, fake_codec: FakeChunkCodec, tmp_path: Path) -> Path:
    encode(source, tmp_path / "x.stp", segment_frames=9)
    return tmp_path / "x.stp"


def on_device(codec: SegmentCodec, device: SmallDevice, warned: list[str]) -> SegmentCodec:
    """The codec as if it were a GPU's, with itself as the processor's."""
    known = LoadedCodec(codec.codec, torch.device("cpu"), "fake", "")
    other = replace(codec, codec=device, device=torch.device("meta"))
    guarded = with_reserve(other, lambda: known, warned.append)
    return replace(guarded, device=torch.device("cpu"))  # where its tensors are


def segments_of(stp: Path, codec: ChunkCodec) -> tuple[SegmentCodec, list[Segment]]:
    with StpReader(stp) as stream:
        return SegmentCodec(stream.header, codec, torch.device("cpu")), list(map(stream.read_segment, range(3)))


@pytest.mark.parametrize("failing", [(), (1,), (2,), (4,), (9,), (1, 2, 3)])
def test_encoding(failing: tuple[int, ...], source: Path, stp: Path, fake_codec: FakeChunkCodec) -> None:
    plain, expected = segments_of(stp, fake_codec)  # type: ignore[arg-type]
    device, warned, found = SmallDevice(*failing), list[str](), list[Segment]()
    stream = SegmentStream(on_device(plain, device, warned), found.append)
    with VideoReader(source) as reader:
        frames = list(reader)
    for first in (0, 9, 18):
        part = frames[first : first + 9]
        stream.add(part[:1], opens_segment=True)
        for start in range(1, len(part), 4):
            stream.add(part[start : start + 4], opens_segment=False)
    stream.finish()
    assert found == expected
    assert len(warned) == bool(failing)
    assert all("its memory ran out, the rest is done by the processor" in text for text in warned)
    if failing:
        assert device.calls == failing[0], "it is left alone afterwards"


@pytest.mark.parametrize("failing", [(), (1,), (3,), (5,)])
def test_decoding(failing: tuple[int, ...], stp: Path, fake_codec: FakeChunkCodec) -> None:
    plain, segments = segments_of(stp, fake_codec)  # type: ignore[arg-type]
    warned: list[str] = []
    guarded = on_device(plain, SmallDevice(*failing), warned)
    for segment in segments:
        found, expected = list(guarded.frames(segment)), list(plain.frames(segment))
        assert [frame.pts for frame in found] == [frame.pts for frame in expected]
        assert all((one.y == other.y).all() for one, other in zip(found, expected, strict=True))
    assert len(warned) == bool(failing)


def test_other_errors_are_not_for_the_processor(stp: Path, fake_codec: FakeChunkCodec) -> None:
    plain, segments = segments_of(stp, fake_codec)  # type: ignore[arg-type]

    def broken() -> Iterator[Frame]:
        raise RuntimeError("device-side assert")
        yield

    guard = Reserve(lambda: plain, torch.device("meta"), lambda text: None)
    with pytest.raises(RuntimeError, match="assert"):
        list(guard.frames(segments[0], broken))
    assert guard.codec is None


def test_the_processor_has_no_reserve(stp: Path, fake_codec: FakeChunkCodec) -> None:
    plain, _ = segments_of(stp, fake_codec)  # type: ignore[arg-type]
    assert with_reserve(plain, lambda: pytest.fail("loaded"), print) is plain


def test_the_conductors_have_one(source: Path, stp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both end in the same files with a device that fails in its first picture."""
    from stpcodec.codec import decoder, encoder

    warned: list[str] = []

    def guarded(codec: SegmentCodec, load, warn):  # type: ignore[no-untyped-def]
        device = replace(codec, codec=SmallDevice(1), device=torch.device("meta"))
        return replace(reserve.with_reserve(device, load, warn), device=torch.device("cpu"))

    for conductor in (encoder, decoder):
        monkeypatch.setattr(conductor, "with_reserve", guarded)
    encode(source, tmp_path / "again.stp", segment_frames=9, warn=warned.append)
    assert (tmp_path / "again.stp").read_bytes() == stp.read_bytes()
    decode(stp, tmp_path / "out.y4m", warn=warned.append)
    assert len(warned) == 2


def test_frames_are_kept_only_while_the_device_codes() -> None:
    class Whole:
        coded_bytes = 0

        def __init__(self, *, fails: bool = False) -> None:
            self.fails, self.added = fails, 0

        def add(self, frames: Sequence[Frame]) -> None:
            self.added += 1
            if self.fails and self.added == 2:
                raise torch.OutOfMemoryError

        def close(self) -> Segment:
            raise NotImplementedError

    other = Whole()
    builder = reserve._SecondTry(Whole(fails=True), lambda: other)
    for _ in range(5):
        builder.add([])
    assert other.added == 5
    assert builder._kept == []
