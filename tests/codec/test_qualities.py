"""Qualities between two whole numbers, and lower ones: which picture has which."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.codec.ceiling import Ceiling
from stpcodec.codec.encoder import encode
from stpcodec.codec.models import codec_of_file
from stpcodec.codec.qualities import Qualities, tidy
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.targets import encode_to
from stpcodec.codec.verify import verify
from stpcodec.codec.windows import frame_costs, windows
from stpcodec.container import StpReader
from stpcodec.errors import TargetUnreachable, UsageError
from tests.codec.clips import pictures, write_video


@pytest.mark.parametrize(("value", "better"), [(52, 0), (52.25, 25), (52.4, 40), (52.99, 99)])
def test_as_many_pictures_are_better_as_the_fraction_says(value: float, better: int) -> None:
    for first_frame in (0, 129, 1000):
        pictures = [Qualities(value).of_picture(first_frame, number) for number in range(100)]
        assert abs(pictures.count(53) - better) <= (value != 52)
        assert set(pictures) <= {52, 53}


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_they_are_spread_evenly(stride: int) -> None:
    """Also the anchors of chunks of one length among themselves."""
    for start in range(8):
        pictures = [Qualities(30.5).of_picture(0, start + stride * number) for number in range(16)]
        assert 6 <= pictures.count(31) <= 10


def test_a_higher_quality_makes_no_picture_worse() -> None:
    def all_of(hundredths: int) -> list[int]:
        return [Qualities(hundredths / 100).of_picture(7, number) for number in range(150)]

    for hundredths in range(4990, 5120):
        lower, higher = all_of(hundredths), all_of(hundredths + 1)
        assert lower != higher
        assert all(one <= other for one, other in zip(lower, higher, strict=True))


def test_a_segment_can_have_less() -> None:
    qualities = Qualities(60, {128: 40.0})
    assert [qualities.of_picture(first, 0) for first in (0, 128, 256)] == [60, 40, 60]
    assert qualities.of_file == 60
    assert qualities.remark == "less in 1 segments"


@pytest.mark.parametrize("value", [0.99, 100.01, float("nan")])
def test_out_of_range(value: float) -> None:
    for make in (lambda: Qualities(value), lambda: Qualities(50, {0: value})):
        with pytest.raises(UsageError):
            make()


def test_written_as_people_do() -> None:
    assert [str(tidy(value)) for value in (52.0, 52.40000001, 1)] == ["52", "52.4", "1"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 frames, three seconds, one scene cut."""
    return write_video(tmp_path_factory.mktemp("qualities") / "in.mkv", pictures(75, cut_at=40))


def test_files_lie_between_their_neighbours_and_decode(source: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (50, 50.5, 51):
        target = tmp_path / f"{quality}.stp"
        sizes.append(encode(source, target, quality=quality, model="dct").bytes_written)
        verify(target, deep=True).raise_if_bad()
        with StpReader(target) as stream:
            assert stream.header.quality == int(quality)
            assert stream.header.encoder.endswith("quality 50.5") == (quality == 50.5)
    assert sizes[0] < sizes[1] < sizes[2]


def test_pictures_of_a_chunk_differ(tiny_weights: Path, tmp_path: Path) -> None:
    """A model with motion has pictures of its own for the frames of a chunk; they are counted through the segment."""
    source = write_video(tmp_path / "in.mkv", pictures(20, height=64, width=64, cut_at=14))

    def of_pictures(quality: float) -> list[list[int]]:
        target, found = tmp_path / "x.stp", list[list[int]]()
        encode(source, target, quality=quality, model=str(tiny_weights), overwrite=True, threads=1, jobs=1)
        with StpReader(target) as stream:
            loaded = codec_of_file(stream.header, model=str(tiny_weights))
            codec = SegmentCodec(stream.header, loaded.codec, loaded.device)
            for number in range(len(stream.segments)):
                chunks = codec.latents(stream.read_segment(number))
                found.append([picture.quality for (part,) in chunks for picture in part.latents.pictures])
        return found

    mixed = Qualities(50.4)
    plain, found = of_pictures(50), of_pictures(50.4)
    assert [len(segment) for segment in plain] == [14, 6]
    for first_frame, one, other in zip((0, 14), plain, found, strict=True):
        better = [mixed.of_picture(first_frame, number) - 50 for number in range(len(one))]
        assert [b - a for a, b in zip(one, other, strict=True)] == better


@pytest.mark.usefixtures("quick_workers")
def test_jobs_do_not_change_the_bytes(source: Path, tmp_path: Path) -> None:
    qualities = Qualities(50.3, {40: 20})
    made = []
    for jobs in (1, 2):
        encode(source, tmp_path / f"{jobs}.stp", quality=qualities, model="dct", jobs=jobs, threads=1)
        made.append((tmp_path / f"{jobs}.stp").read_bytes())
    assert made[0] == made[1]


def test_a_leftover_of_another_mix_is_not_continued(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "a.stp", quality=50.2, model="dct")
    (tmp_path / ".b.stp.partial").write_bytes((tmp_path / "a.stp").read_bytes())
    said: list[str] = []
    encode(source, tmp_path / "b.stp", quality=50.6, model="dct", resume=True, warn=said.append)
    assert "other options" in said[0]


def test_windows_hold_one_second(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "a.stp", model="dct", segment_frames=20)
    with StpReader(tmp_path / "a.stp") as stream:
        costs = frame_costs(stream)
        entries = stream.segments
    assert [float(cost.seconds) for cost in costs] == pytest.approx([0.04 * n for n in range(75)])
    for entry in entries:
        assert sum(cost.size_bytes for cost in costs if cost.segment == entry.first_frame) == entry.length
    found = windows(costs)
    assert len(found) == 75
    assert found[0].bits == pytest.approx(8 * sum(cost.size_bytes for cost in costs[:25]))
    assert found[0].segments == (0, 20)


def test_no_second_is_above_the_ceiling(source: Path, tmp_path: Path) -> None:
    def encode_at(path: Path, qualities: Qualities, measure: bool):
        return encode(source, path, quality=qualities, model="dct", segment_frames=20, overwrite=True)

    target = tmp_path / "out.stp"
    encode_at(target, Qualities(70), False)
    with StpReader(target) as stream:
        before = max(window.bits for window in windows(frame_costs(stream)))
    limit = 0.8 * before
    report = encode_to(
        None, source, target, encode_at, quality=70, ceiling=Ceiling(limit), model="dct", overwrite=True
    )
    with StpReader(target) as stream:
        after = max(window.bits for window in windows(frame_costs(stream)))
    assert after <= limit
    assert report.peak_bits == after > 0.6 * limit
    assert 0 < report.lowered <= report.encode.segments
    with pytest.raises(TargetUnreachable, match=r"nearest is .* at quality 1 "):
        encode_to(None, source, tmp_path / "low.stp", encode_at, quality=70, ceiling=Ceiling(1000), model="dct")
    assert not (tmp_path / "low.stp").exists()
