"""What a damaged file has lost is filled; what it has kept is exact."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.codec.conceal import blend
from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.codec.verify import verify
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, UsageError
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader
from tests.codec.clips import pictures, write_video
from tests.codec.damage import cut_behind, flip, flip_segment, remove_segment
from tests.codec.fake_codec import FakeChunkCodec

pytestmark = pytest.mark.usefixtures("fake_codec")

TIMES = [40 * index + (7 if index % 3 == 1 else 0) for index in range(20)]


@pytest.fixture
def stp(tmp_path: Path) -> Path:
    """Four segments of five frames at uneven times, with sound."""
    source = write_video(tmp_path / "in.mkv", pictures(20), times=TIMES, sound=True)
    encode(source, tmp_path / "x.stp", segment_frames=5, quality=100)
    return tmp_path / "x.stp"


def decoded(path: Path, **options: object) -> tuple[list[tuple[int, np.ndarray]], list[str]]:
    """(time in ms, luma) of every frame, and the warnings."""
    warnings: list[str] = []
    target = path.with_name("out.mkv")
    decode(path, target, vcodec="ffv1", overwrite=True, warn=warnings.append, **options)  # type: ignore[arg-type]
    with VideoReader(target) as reader:
        return [(int(frame.pts * reader.info.time_base * 1000), frame.y) for frame in reader], warnings


def assert_same(found: list[tuple[int, np.ndarray]], expected: list[tuple[int, np.ndarray]]) -> None:
    assert [at for at, _ in found] == [at for at, _ in expected]
    for (_, ours), (_, theirs) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_intact_file_decodes_as_ever(stp: Path) -> None:
    plain, concealed = decoded(stp), decoded(stp, conceal=True)
    assert_same(concealed[0], plain[0])
    assert concealed[1] == plain[1] == []


@pytest.mark.parametrize("numbers", [(0,), (1,), (3,), (1, 2), (0, 1, 3)])
def test_damaged_segments_are_filled(stp: Path, numbers: tuple[int, ...]) -> None:
    expected, _ = decoded(stp)
    for number in numbers:
        flip_segment(stp, number)
    with pytest.raises(CorruptSegment):
        decoded(stp)
    found, warnings = decoded(stp, conceal=True)
    assert len(found) == 20
    intact = [i for i in range(20) if i // 5 not in numbers]
    assert_same([found[i] for i in intact], [expected[i] for i in intact])
    times = [at for at, _ in found]
    assert times == sorted(set(times))
    for i in range(20):
        assert abs(times[i] - TIMES[i]) <= 7  # evenly between first and last time, which the index has
    runs = [n for n in numbers if n - 1 not in numbers]
    assert len(warnings) == len(runs)
    assert f"frames {5 * runs[0]} to" in warnings[0]


def test_the_picture_blends_from_neighbour_to_neighbour(stp: Path) -> None:
    expected, _ = decoded(stp)
    flip_segment(stp, 1)
    found, _ = decoded(stp, conceal=True)
    a, b = expected[4], expected[10]
    for at, luma in found[5:10]:
        weight = (at - a[0]) / (b[0] - a[0])
        mixed = (1 - weight) * a[1].astype(float) + weight * b[1].astype(float)
        assert np.abs(luma - mixed).max() <= 0.5001


def test_ends_repeat_the_nearest_frame(stp: Path) -> None:
    expected, _ = decoded(stp)
    flip_segment(stp, 0)
    flip_segment(stp, 3)
    found, _ = decoded(stp, conceal=True)
    for _, luma in found[:5]:
        np.testing.assert_array_equal(luma, expected[5][1])
    for _, luma in found[15:]:
        np.testing.assert_array_equal(luma, expected[14][1])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_times_are_guessed_where_nothing_tells_them(stp: Path, number: int) -> None:
    """A segment and the index are gone: its frames are spread between its neighbours, or by the average rate."""
    expected, _ = decoded(stp)
    remove_segment(stp, number, index=False)
    with pytest.raises(CorruptFile, match="--conceal"):
        decoded(stp)
    found, warnings = decoded(stp, conceal=True)
    intact = [i for i in range(20) if i // 5 != number]
    assert_same([found[i] for i in intact], [expected[i] for i in intact])
    for i in range(20):
        assert abs(found[i][0] - TIMES[i]) <= 10
    assert len(warnings) == 2
    assert "cut off" in warnings[0]
    assert f"frames {5 * number} to {5 * number + 4}" in warnings[1]


def test_sound_is_kept(stp: Path, tmp_path: Path) -> None:
    def sound(path: Path) -> list[tuple[int | None, bytes]]:
        with av.open(str(path)) as container:
            return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0)]

    decode(stp, tmp_path / "a.mkv")
    flip_segment(stp, 2)
    decode(stp, tmp_path / "b.mkv", conceal=True, warn=lambda _: None)
    assert sound(tmp_path / "a.mkv") == sound(tmp_path / "b.mkv") != []


def test_a_damaged_sidecar_costs_the_sound_only(stp: Path, tmp_path: Path) -> None:
    with StpReader(stp) as stream:
        finding = next(finding for finding in stream.check() if finding.kind == "sidecar")
    flip(stp, finding.offset + finding.length - 100)
    with pytest.raises(CorruptFile, match="sidecar"):
        decoded(stp)
    found, warnings = decoded(stp, conceal=True)
    assert [at for at, _ in found] == TIMES
    assert any("sound" in line for line in warnings)


def test_a_span_within_a_gap(stp: Path) -> None:
    expected, _ = decoded(stp)
    remove_segment(stp, 1, index=False)
    found, warnings = decoded(stp, conceal=True, start=0.28, end=0.36)
    assert len(found) == 2
    assert len(warnings) == 1
    found, warnings = decoded(stp, conceal=True, start=0.0, end=0.2)
    assert_same(found, expected[:5])
    assert warnings == []
    with pytest.raises(UsageError, match="no frame"):
        decoded(stp, conceal=True, start=0.3, end=0.301)


def test_a_span_reaches_for_the_nearest_intact_frames(stp: Path) -> None:
    expected, _ = decoded(stp)
    for number in (1, 2, 3):
        flip_segment(stp, number)
    found, warnings = decoded(stp, conceal=True, start=0.6, end=0.7)
    assert len(found) == 3
    assert len(warnings) == 1
    for _, luma in found:
        np.testing.assert_array_equal(luma, expected[4][1])
    flip_segment(stp, 0)
    with pytest.raises(CorruptFile, match="no segment there is intact"):
        decoded(stp, conceal=True)


def test_segments_that_decode_to_something_else_are_lost_too(stp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = decoded(stp)
    real, calls = FakeChunkCodec.decode_latents, []

    def wrong(self: FakeChunkCodec, *args: object, **named: object) -> object:
        latents = real(self, *args, **named)  # type: ignore[arg-type]
        calls.append(named["frame_count"])
        if len(calls) == 2:  # second chunk of the first segment, whenever it is decoded
            latents.integers["y"] = latents.integers["y"] + 1
        return latents

    monkeypatch.setattr(FakeChunkCodec, "decode_latents", wrong)
    found, warnings = decoded(stp, conceal=True)
    assert_same(found[5:], expected[5:])
    assert len(warnings) == 1
    assert "frames 0 to 4" in warnings[0]


@pytest.mark.parametrize("extra", [0, 1, 29, 60, 200])
def test_a_cut_off_file_decodes_up_to_its_last_complete_segment(stp: Path, extra: int) -> None:
    expected, _ = decoded(stp)
    cut_behind(stp, 1, extra=extra)
    for options in ({}, {"conceal": True}, {"start": 0.0, "end": 9.0}):
        found, warnings = decoded(stp, **options)
        assert_same(found, expected[:10])
        assert len(warnings) == 1
        assert "10 frames" in warnings[0]
        assert "cut off, is still being written" in warnings[0]
    assert decoded(stp, end=0.3)[1] == []  # all that was asked for is there
    with pytest.raises(CorruptFile, match="intact"):
        decoded(stp, start=0.9)


def test_only_the_index_is_lost(stp: Path) -> None:
    expected, _ = decoded(stp)
    flip(stp, stp.stat().st_size - 20)
    found, warnings = decoded(stp)
    assert_same(found, expected)
    assert len(warnings) == 1


def test_verify_gives_byte_and_time_ranges_of_lost_segments(stp: Path) -> None:
    entry = flip_segment(stp, 1)
    (problem,) = verify(stp).problems
    assert (problem.offset, problem.length) == (entry.offset, entry.length)
    assert (problem.start_seconds, problem.end_seconds) == (pytest.approx(0.2), pytest.approx(0.407))


def test_blend_rounds_and_keeps_the_depth() -> None:
    def frame(value: int, pts: int) -> Frame:
        plane = np.full((2, 2), value, np.uint16)
        return Frame(y=plane, u=plane, v=plane, pts=pts)

    mixed = blend(frame(1000, 10), frame(1023, 14), 11, duration=1)
    assert (mixed.pts, mixed.duration, mixed.y.dtype) == (11, 1, np.uint16)
    assert int(mixed.v[0, 0]) == round(1000 + Fraction(23, 4))
