from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xxhash

import stpcodec
from stpcodec.codec.encoder import encode
from stpcodec.codec.stpfile import StpFile
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, UsageError
from tests.codec.clips import pictures, write_video
from tests.codec.fake_codec import FakeChunkCodec

pytestmark = pytest.mark.usefixtures("fake_codec")

TIMES = [500 + 40 * index + (7 if index % 3 else 0) for index in range(23)]  # begins late, uneven


@pytest.fixture
def stp(tmp_path: Path) -> Path:
    source = write_video(tmp_path / "in.mkv", pictures(23), times=TIMES)
    encode(source, tmp_path / "x.stp", quality=100, segment_frames=9)
    return tmp_path / "x.stp"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames per chunk that was synthesised, in order."""
    calls: list[int] = []
    real = FakeChunkCodec.synthesise

    def count(self: FakeChunkCodec, latents: object, **named: object) -> object:
        planes, history = real(self, latents, **named)  # type: ignore[arg-type]
        calls.append(len(planes))
        return planes, history

    monkeypatch.setattr(FakeChunkCodec, "synthesise", count)
    return calls


def test_metadata_needs_no_model(stp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("loaded a model")

    monkeypatch.setattr("stpcodec.codec.models.load_codec", refuse)
    with stpcodec.open(stp) as file:
        assert isinstance(file, StpFile)
        assert (file.width, file.height, file.bit_depth) == (64, 48, 8)
        assert (file.quality, file.model, len(file)) == (100, "fake", 23)
        assert file.time_base == Fraction(1, 1000)
        assert file.duration_seconds == pytest.approx(0.92, abs=0.02)
        assert [entry.frame_count for entry in file.segments] == [9, 9, 5]
        assert file.complete
        assert file.size_bytes == stp.stat().st_size


def test_iterates_over_all_frames(stp: Path) -> None:
    with stpcodec.open(stp) as file:
        frames = list(file)
    assert [frame.pts for frame in frames] == TIMES
    for frame, (y, u, v) in zip(frames, pictures(23), strict=True):
        assert int(np.abs(frame.y.astype(int) - y.astype(int)).max()) <= 1
        assert frame.u.shape == u.shape
        assert frame.v.dtype == v.dtype == np.uint8


def test_every_frame_by_number_in_any_order(stp: Path) -> None:
    with stpcodec.open(stp) as file:
        in_order = list(file)
        for index in [22, 0, 13, 12, 12, 5, 9, 8, -1, -23]:
            np.testing.assert_array_equal(file.frame_at(index).y, in_order[index].y)
            assert file.frame_at(index).pts == TIMES[index]
        for index in (23, -24):
            with pytest.raises(IndexError):
                file.frame_at(index)


def test_rising_positions_decode_each_chunk_once(stp: Path, counted: list[int]) -> None:
    with stpcodec.open(stp) as file:
        for index in (0, 2, 2, 7, 8):
            file.frame_at(index)
    assert counted == [1, 4, 4]


def test_one_frame_decodes_only_its_segment(stp: Path, counted: list[int]) -> None:
    with stpcodec.open(stp) as file:
        file.frame_at(18)
    assert counted == [1]


def test_the_frame_shown_at_a_time(stp: Path) -> None:
    with stpcodec.open(stp) as file:
        assert file.frame_at_time(0).pts == TIMES[0]
        for index in range(23):
            begins = (TIMES[index] - TIMES[0]) / 1000
            assert file.frame_at_time(begins).pts == TIMES[index]
            assert file.frame_at_time(begins + 0.02).pts == TIMES[index]
        assert file.frame_at_time(1e6).pts == TIMES[-1]
        for wrong in (-0.1, float("nan")):
            with pytest.raises(UsageError):
                file.frame_at_time(wrong)


def test_latents_are_the_integers_that_were_hashed(stp: Path) -> None:
    with stpcodec.open(stp) as file, StpReader(stp) as stream:
        chunks = file.latents(1)
        assert [(chunk.first_frame, chunk.frame_count) for chunk in chunks] == [(9, 1), (10, 4), (14, 4)]
        hasher = xxhash.xxh3_128()
        for chunk in chunks:
            assert (chunk.y, chunk.x, chunk.height, chunk.width) == (0, 0, 48, 64)
            assert all(array.dtype == np.int16 for array in chunk.arrays.values())
            for name in ("y", "u", "v"):
                hasher.update(np.ascontiguousarray(chunk.arrays[name]).tobytes())
        assert hasher.digest() == stream.read_segment(1).latents_hash
        with pytest.raises(IndexError):
            file.latents(3)


def test_latents_of_tiles(tmp_path: Path) -> None:
    encode(write_video(tmp_path / "in.mkv", pictures(3, height=96, width=256)), tmp_path / "x.stp", tile=128)
    with stpcodec.open(tmp_path / "x.stp") as file:
        chunks = file.latents(0)
    assert len(chunks) == 2 * len({(chunk.y, chunk.x) for chunk in chunks}) > 2


def test_a_damaged_file_gives_what_is_intact(stp: Path) -> None:
    with StpReader(stp) as stream:
        entry = stream.segments[1]
    data = bytearray(stp.read_bytes())
    data[entry.offset + entry.length - 5] ^= 1
    stp.write_bytes(data)
    with stpcodec.open(stp) as file:
        assert file.frame_at(0).pts == TIMES[0]
        assert file.frame_at(22).pts == TIMES[22]
        with pytest.raises(CorruptSegment, match="segment 1"):
            file.frame_at(10)


def test_frames_missing_between_segments(stp: Path) -> None:
    """The second segment's record is cut out and the index with it."""
    with StpReader(stp) as stream:
        second, third = stream.segments[1:]
    data = stp.read_bytes()
    stp.write_bytes(data[: second.offset] + data[third.offset : third.offset + third.length])
    with stpcodec.open(stp) as file:
        assert not file.complete
        assert len(file) == 23
        assert file.frame_at(20).pts == TIMES[20]
        with pytest.raises(CorruptFile, match="frame 12 is missing"):
            file.frame_at(12)


def test_the_package_offers_what_it_says() -> None:
    for name in stpcodec.__all__:
        assert getattr(stpcodec, name) is not None
    with pytest.raises(AttributeError, match="bogus"):
        stpcodec.bogus  # noqa: B018
