"""The pipeline with the fake codec: what goes in comes out, at the right times, from bounded work."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.codec.events import Progress
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, InputError, ModelError, OutputError, UsageError
from stpcodec.video.reader import VideoReader
from tests.codec.clips import Triple, pictures, write_video, write_y4m, y4m
from tests.codec.damage import remove_segment
from tests.codec.fake_codec import FakeChunkCodec

pytestmark = pytest.mark.usefixtures("fake_codec")


def frames_of(path: Path) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    with VideoReader(path) as reader:
        return [(frame.pts, frame.y, frame.u, frame.v) for frame in reader]


def assert_same_pictures(path: Path, expected: list[Triple]) -> None:
    found = frames_of(path)
    assert len(found) == len(expected)
    for (_, y, u, v), triple in zip(found, expected, strict=True):
        for ours, theirs in zip((y, u, v), triple, strict=True):
            assert int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 6, 23])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_any_length_comes_back(tmp_path: Path, count: int, bit_depth: int) -> None:
    clip = pictures(count, height=37, width=51, bit_depth=bit_depth)
    source = write_y4m(tmp_path / "in.y4m", clip)
    report = encode(source, tmp_path / "x.stp", quality=100, segment_frames=10)
    assert report.frames == count
    assert report.segments == -(-count // 10)
    assert report.bytes_written == (tmp_path / "x.stp").stat().st_size
    assert decode(tmp_path / "x.stp", tmp_path / "out.y4m").frames == count
    assert_same_pictures(tmp_path / "out.y4m", clip)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (2, 33)])
def test_tiny_frames(tmp_path: Path, height: int, width: int) -> None:
    clip = pictures(3, height=height, width=width)
    encode(write_y4m(tmp_path / "in.y4m", clip), tmp_path / "x.stp", quality=100)
    decode(tmp_path / "x.stp", tmp_path / "out.y4m")
    assert_same_pictures(tmp_path / "out.y4m", clip)


def test_segments_open_at_scene_cuts(tmp_path: Path) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(20, height=96, width=128, cut_at=7))
    encode(source, tmp_path / "x.stp", quality=100)
    with StpReader(tmp_path / "x.stp") as stream:
        assert [entry.first_frame for entry in stream.segments] == [0, 7]


def test_uneven_times_are_kept_exactly(tmp_path: Path) -> None:
    times = [0, 33, 67, 150, 151, 400, 433, 1000]
    source = write_video(tmp_path / "in.mkv", pictures(len(times)), times=times)
    encode(source, tmp_path / "x.stp", segment_frames=3)
    with StpReader(tmp_path / "x.stp") as stream:
        pts = [p for n in range(len(stream.segments)) for p in stream.read_segment(n).pts]
        assert [p * Fraction(*stream.header.time_base) for p in pts] == [Fraction(t, 1000) for t in times]


def test_tiles_come_back_without_seams(tmp_path: Path) -> None:
    clip = pictures(6, height=160, width=304)
    encode(write_y4m(tmp_path / "in.y4m", clip), tmp_path / "x.stp", quality=100, tile=128)
    with StpReader(tmp_path / "x.stp") as stream:
        assert (stream.header.tile, stream.header.tile_overlap) == (128, 64)
    decode(tmp_path / "x.stp", tmp_path / "out.y4m")
    assert_same_pictures(tmp_path / "out.y4m", clip)


def test_a_span_of_time_decodes_only_its_segments(tmp_path: Path, fake_codec: FakeChunkCodec) -> None:
    clip = pictures(40)
    encode(write_y4m(tmp_path / "in.y4m", clip), tmp_path / "x.stp", quality=100, segment_frames=10)
    report = decode(tmp_path / "x.stp", tmp_path / "out.y4m", start=0.5, end=0.9)  # frames 12.5 to 22.5
    assert report.segments == 2
    assert report.frames == 10
    assert_same_pictures(tmp_path / "out.y4m", clip[13:23])


def test_the_ends_of_a_span_are_half_open(tmp_path: Path) -> None:
    clip = pictures(20)
    encode(write_y4m(tmp_path / "in.y4m", clip, rate=Fraction(10)), tmp_path / "x.stp", quality=100, segment_frames=8)
    assert decode(tmp_path / "x.stp", tmp_path / "a.y4m", start=0.1, end=0.3).frames == 2
    assert_same_pictures(tmp_path / "a.y4m", clip[1:3])
    assert decode(tmp_path / "x.stp", tmp_path / "b.y4m", start=1.9).frames == 1
    assert decode(tmp_path / "x.stp", tmp_path / "c.y4m", end=100).frames == 20


@pytest.mark.parametrize(("start", "end"), [(5.0, None), (0.5, 0.5), (0.6, 0.5), (None, 0.0), (float("nan"), None)])
def test_empty_spans_are_usage_errors(tmp_path: Path, start: float | None, end: float | None) -> None:
    encode(write_y4m(tmp_path / "in.y4m", pictures(5)), tmp_path / "x.stp")
    with pytest.raises(UsageError):
        decode(tmp_path / "x.stp", tmp_path / "out.y4m", start=start, end=end)
    assert not (tmp_path / "out.y4m").exists()


def test_verify_reports_psnr_of_every_plane(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(9), times=[0, 1, 50, 60, 90, 100, 101, 102, 200])
    coarse = encode(source, tmp_path / "a.stp", quality=1, verify=True).psnr_db
    fine = encode(source, tmp_path / "b.stp", quality=100, verify=True).psnr_db
    assert coarse is not None
    assert fine is not None
    assert set(fine) == {"y", "u", "v", "yuv"}
    assert 20 < coarse["y"] < 40 < fine["y"]
    assert fine["yuv"] == pytest.approx((6 * fine["y"] + fine["u"] + fine["v"]) / 8)


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    events: list[Progress] = []
    source = write_y4m(tmp_path / "in.y4m", pictures(11))
    encode(source, tmp_path / "x.stp", verify=True, progress=events.append)
    decode(tmp_path / "x.stp", tmp_path / "out.y4m", progress=events.append)
    for phase in ("encode", "verify", "decode"):
        counts = [event.frames_done for event in events if event.phase == phase]
        assert counts == sorted(counts)
        assert counts[-1] == 11
    assert max(event.bytes_written for event in events if event.phase == "encode") > 0


def test_standard_input_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    clip = pictures(6)

    class Stdin:
        buffer = io.BytesIO(y4m(clip))

    monkeypatch.setattr("sys.stdin", Stdin)
    encode("-", tmp_path / "x.stp", quality=100)
    capfdbinary.readouterr()
    decode(tmp_path / "x.stp", "-")
    (tmp_path / "out.y4m").write_bytes(capfdbinary.readouterr().out)
    assert_same_pictures(tmp_path / "out.y4m", clip)


def test_encoding_to_standard_output(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(6))
    encode(source, tmp_path / "x.stp")
    capfdbinary.readouterr()
    encode(source, "-")
    assert capfdbinary.readouterr().out == (tmp_path / "x.stp").read_bytes()


def test_encoding_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(9), sound=True)
    encode(source, tmp_path / "a.stp")
    encode(source, tmp_path / "b.stp")
    assert (tmp_path / "a.stp").read_bytes() == (tmp_path / "b.stp").read_bytes()


def test_impossible_options(tmp_path: Path) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(2))
    for wrong in (
        {"quality": 0},
        {"quality": 101},
        {"segment_frames": 0},
        {"segment_frames": 257},
        {"threads": 0},
        {"tile": 100},
    ):
        with pytest.raises(UsageError):
            encode(source, tmp_path / "x.stp", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="file names"):
        encode("-", tmp_path / "x.stp", verify=True)
    with pytest.raises(UsageError, match="no video format"):
        decode(tmp_path / "x.stp", tmp_path / "out.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]


def test_a_source_that_fails_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(20))
    real = VideoReader.__iter__

    def broken(self: VideoReader) -> object:
        for number, frame in enumerate(real(self)):
            if number == 12:
                raise InputError(f"{self.path}: damaged")
            yield frame

    monkeypatch.setattr(VideoReader, "__iter__", broken)
    with pytest.raises(InputError, match="damaged"):
        encode(source, tmp_path / "x.stp", segment_frames=5)
    assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]


def test_warns_once_when_the_disk_will_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("stpcodec.codec.output.OutputFile.free_bytes", lambda self: 10)
    # a count of frames as MP4 has it, so that a size can be predicted
    source = write_video(tmp_path / "in.mp4", pictures(20), codec="libx264")
    encode(source, tmp_path / "x.stp", segment_frames=4, warn=warnings.append)
    assert len([line for line in warnings if "MB are free" in line]) == 1


def test_no_space_for_raw_video_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_codec: FakeChunkCodec
) -> None:
    encode(write_y4m(tmp_path / "in.y4m", pictures(6)), tmp_path / "x.stp")

    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(OutputError, match="MB free"):
        decode(tmp_path / "x.stp", tmp_path / "out.y4m")
    assert not (tmp_path / "out.y4m").exists()


def test_other_weights_are_a_model_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(write_y4m(tmp_path / "in.y4m", pictures(3)), tmp_path / "x.stp")
    monkeypatch.setattr("tests.codec.conftest.FAKE_SHA256", "cd" * 32)
    with pytest.raises(ModelError, match="not here"):
        decode(tmp_path / "x.stp", tmp_path / "out.y4m")
    assert not (tmp_path / "out.y4m").exists()


class TestDamage:
    """Four segments of five frames; the third is damaged, or the end is missing."""

    @pytest.fixture
    def stp(self, tmp_path: Path) -> Path:
        encode(write_y4m(tmp_path / "in.y4m", pictures(20), rate=Fraction(10)), tmp_path / "x.stp", segment_frames=5)
        return tmp_path / "x.stp"

    def damage(self, stp: Path, segment: int) -> None:
        with StpReader(stp) as stream:
            entry = stream.segments[segment]
        data = bytearray(stp.read_bytes())
        data[entry.offset + entry.length - 5] ^= 0x10
        stp.write_bytes(data)

    def test_a_damaged_segment_is_named_and_nothing_written(self, stp: Path, tmp_path: Path) -> None:
        self.damage(stp, 2)
        with pytest.raises(CorruptSegment, match="segment 2"):
            decode(stp, tmp_path / "out.y4m")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.y4m", "x.stp"]

    def test_the_others_decode(self, stp: Path, tmp_path: Path) -> None:
        self.damage(stp, 2)
        assert decode(stp, tmp_path / "a.y4m", end=1.0).frames == 10
        assert decode(stp, tmp_path / "b.y4m", start=1.5).frames == 5

    def test_a_file_with_a_hole_and_no_index_says_what_is_intact(self, stp: Path, tmp_path: Path) -> None:
        remove_segment(stp, 2, index=False)
        with pytest.raises(CorruptFile, match=r"intact: 0\.000 to 1\.000 s"):
            decode(stp, tmp_path / "a.y4m")
        assert decode(stp, tmp_path / "b.y4m", start=0, end=1.0).frames == 10

    def test_integers_that_decode_to_something_else(
        self, stp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = FakeChunkCodec.decode_latents

        def wrong(self: FakeChunkCodec, *args: object, **named: object) -> object:
            latents = real(self, *args, **named)  # type: ignore[arg-type]
            latents.integers["y"] = latents.integers["y"] + 1
            return latents

        monkeypatch.setattr(FakeChunkCodec, "decode_latents", wrong)
        with pytest.raises(CorruptSegment, match="latents hash"):
            decode(stp, tmp_path / "out.y4m")
        assert not (tmp_path / "out.y4m").exists()
