"""Cutting and joining copy segments bit for bit; times, sound and tags go with them, and nothing else is accepted."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from stpcodec.codec.encoder import encode
from stpcodec.codec.splice import concat, cut
from stpcodec.codec.verify import verify
from stpcodec.container import Segment, StpReader
from stpcodec.errors import CorruptFile, InputError, StpError, UsageError
from tests.codec.clips import pictures, write_video, write_y4m
from tests.codec.damage import cut_behind, flip_segment

pytestmark = pytest.mark.usefixtures("fake_codec")


@pytest.fixture
def stp(tmp_path: Path) -> Path:
    """Four segments of five frames, 40 ms apart, with sound in packets of 20 ms."""
    return make(tmp_path, "x.stp")


def make(
    folder: Path, name: str, *, frames: int = 20, sound: bool = True, quality: int = 50, **options: object
) -> Path:
    source = write_video(folder / "in.mkv", pictures(frames), sound=sound, **options)  # type: ignore[arg-type]
    encode(source, folder / name, segment_frames=5, quality=quality)
    source.unlink()
    return folder / name


def segments(path: Path) -> list[Segment]:
    with StpReader(path) as stream:
        assert stream.complete
        return [stream.read_segment(number) for number in range(len(stream.segments))]


def sound(path: Path, scratch: Path) -> list[tuple[Fraction, bytes]]:
    """(time, bytes) of every packet of the sidecar."""
    with StpReader(path) as stream:
        scratch.write_bytes(b"".join(stream.sidecar_pieces()))
    with av.open(str(scratch)) as container:
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux() if p.size]


def packets(found: list[tuple[Fraction, bytes]]) -> list[bytes]:
    return [data for _, data in found]


def test_a_cut_goes_outward_to_the_ends_of_segments(stp: Path, tmp_path: Path) -> None:
    report = cut(stp, tmp_path / "part.stp", start=0.25, end=0.55)
    assert (report.frames, report.segments, report.start_seconds, report.end_seconds) == (10, 2, 0.2, 0.6)
    assert report.bytes_written == (tmp_path / "part.stp").stat().st_size
    whole, part = segments(stp), segments(tmp_path / "part.stp")
    assert [s.chunks for s in part] == [s.chunks for s in whole[1:3]]
    assert [s.latents_hash for s in part] == [s.latents_hash for s in whole[1:3]]
    assert [s.first_frame for s in part] == [0, 5]
    assert [s.pts for s in part] == [tuple(pts - 200 for pts in s.pts) for s in whole[1:3]]
    assert verify(tmp_path / "part.stp", deep=True).intact


def test_sound_is_cut_with_the_picture(stp: Path, tmp_path: Path) -> None:
    report = cut(stp, tmp_path / "part.stp", start=0.25, end=0.55)
    assert report.sidecar_bytes > 0
    whole = sound(stp, tmp_path / "a.mkv")
    kept = sound(tmp_path / "part.stp", tmp_path / "b.mkv")
    expected = [(time - Fraction(1, 5), data) for time, data in whole if Fraction(1, 5) <= time < Fraction(3, 5)]
    assert kept == expected
    assert len(kept) == 20
    assert cut(stp, tmp_path / "mute.stp", start=0.25, picture_only=True).sidecar_bytes == 0


def test_an_end_that_is_the_end_of_a_segment_takes_no_more(stp: Path, tmp_path: Path) -> None:
    assert cut(stp, tmp_path / "part.stp", start=0.2, end=0.4).segments == 1


@pytest.mark.parametrize("at", [0.2, 0.4, 0.6])
def test_cut_and_joined_again_is_the_same(stp: Path, tmp_path: Path, at: float) -> None:
    cut(stp, tmp_path / "1.stp", end=at)
    cut(stp, tmp_path / "2.stp", start=at)
    warnings: list[str] = []
    report = concat([tmp_path / "1.stp", tmp_path / "2.stp"], tmp_path / "again.stp", warn=warnings.append)
    assert warnings == []
    assert segments(tmp_path / "again.stp") == segments(stp)
    assert sound(tmp_path / "again.stp", tmp_path / "a.mkv") == sound(stp, tmp_path / "b.mkv")
    assert (report.files, report.frames, report.segments) == (2, 20, 4)
    assert report.duration_seconds == pytest.approx(0.8)


def test_the_whole_is_the_same_file(stp: Path, tmp_path: Path) -> None:
    cut(stp, tmp_path / "cut.stp")
    concat([stp], tmp_path / "concat.stp")
    assert (tmp_path / "cut.stp").read_bytes() == stp.read_bytes()
    assert (tmp_path / "concat.stp").read_bytes() == stp.read_bytes()


def test_a_file_joined_to_itself_goes_on_where_it_ended(stp: Path, tmp_path: Path) -> None:
    concat([stp, stp, stp], tmp_path / "three.stp")
    found = segments(tmp_path / "three.stp")
    assert [pts for s in found for pts in s.pts] == [40 * n for n in range(60)]
    assert [s.first_frame for s in found] == list(range(0, 60, 5))
    heard = sound(tmp_path / "three.stp", tmp_path / "a.mkv")
    assert packets(heard) == 3 * packets(sound(stp, tmp_path / "b.mkv"))
    assert [time for time, _ in heard] == [Fraction(n, 50) for n in range(120)]
    assert verify(tmp_path / "three.stp", deep=True).intact


def test_sound_beyond_the_picture_does_not_run_into_the_next_file(tmp_path: Path) -> None:
    make(tmp_path, "long.stp", frames=20)
    cut(tmp_path / "long.stp", tmp_path / "short.stp", end=0.4, picture_only=True)
    make(tmp_path, "odd.stp", frames=7, times=[0, 40, 80, 120, 160, 165, 170])  # ends at 175, its sound at 200 or so
    warnings: list[str] = []
    concat([tmp_path / "odd.stp", tmp_path / "short.stp", tmp_path / "odd.stp"], tmp_path / "out.stp",
           warn=warnings.append)  # fmt: skip
    assert len(warnings) == 1
    assert "short.stp: has no sound" in warnings[0]
    times = [time for time, _ in sound(tmp_path / "out.stp", tmp_path / "a.mkv")]
    assert times == sorted(times)
    gap = [after - before for before, after in pairwise(times)]
    assert sum(step > Fraction(1, 10) for step in gap) == 1  # where the silent file is shown


def test_chapters_are_joined_where_they_were_cut(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(20))
    with av.open(str(source)) as plain, av.open(str(tmp_path / "chapters.mkv"), "w") as output:
        video = output.add_stream_from_template(plain.streams.video[0])
        base = Fraction(1, 1000)
        output.set_chapters([
            {"id": 1, "start": 0, "end": 500, "time_base": base, "metadata": {"title": "one"}},
            {"id": 2, "start": 500, "end": 800, "time_base": base, "metadata": {"title": "two"}},
        ])  # fmt: skip
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
    encode(tmp_path / "chapters.mkv", tmp_path / "x.stp", segment_frames=5)
    cut(tmp_path / "x.stp", tmp_path / "1.stp", end=0.4)
    cut(tmp_path / "x.stp", tmp_path / "2.stp", start=0.4)
    concat([tmp_path / "1.stp", tmp_path / "2.stp"], tmp_path / "again.stp")

    def chapters(name: str) -> list[tuple[float, float, str]]:
        with StpReader(tmp_path / name) as stream:
            (tmp_path / "sidecar").write_bytes(b"".join(stream.sidecar_pieces()))
        with av.open(str(tmp_path / "sidecar")) as container:
            return [
                (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
                for c in container.chapters()
            ]

    assert chapters("2.stp") == [(0, 0.1, "one"), (0.1, 0.4, "two")]
    assert chapters("again.stp") == chapters("x.stp") == [(0, 0.5, "one"), (0.5, 0.8, "two")]


def test_what_was_coded_otherwise_is_refused(stp: Path, tmp_path: Path) -> None:
    make(tmp_path, "finer.stp", quality=60)
    source = write_y4m(tmp_path / "in.y4m", pictures(5))
    encode(source, tmp_path / "ticks.stp", segment_frames=5)
    for name, said in (("finer.stp", "quality 60 instead of 50"), ("ticks.stp", "time base")):
        with pytest.raises(UsageError, match=said) as caught:
            concat([stp, tmp_path / name], tmp_path / "out.stp")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.stp").exists()


def test_sound_of_another_kind_is_refused_or_left_out(stp: Path, tmp_path: Path) -> None:
    with_flac = tmp_path / "flac.mkv"
    source = write_video(tmp_path / "in.mkv", pictures(5), sound=True)
    with av.open(str(source)) as plain, av.open(str(with_flac), "w") as output:
        video = output.add_stream_from_template(plain.streams.video[0])
        audio = output.add_stream("flac", rate=8000, layout="mono")
        for packet in plain.demux():
            if packet.size and packet.stream.type == "video":
                packet.stream = video
                output.mux(packet)
            elif packet.stream.type == "audio":
                for frame in packet.decode():
                    output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    encode(with_flac, tmp_path / "flac.stp", segment_frames=5)
    with pytest.raises(UsageError, match=r"flac\.stp.*flac.*pcm_s16le.*--picture-only"):
        concat([stp, tmp_path / "flac.stp"], tmp_path / "out.stp")
    assert not (tmp_path / "out.stp").exists()
    assert concat([stp, tmp_path / "flac.stp"], tmp_path / "out.stp", picture_only=True).sidecar_bytes == 0


@pytest.mark.parametrize("break_it", [flip_segment, cut_behind])
def test_damaged_files_are_refused_and_leave_nothing(stp: Path, tmp_path: Path, break_it: object) -> None:
    break_it(stp, 1)  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CorruptFile):
        cut(stp, tmp_path / "out.stp")
    with pytest.raises(CorruptFile):
        concat([stp, stp], tmp_path / "out.stp")
    assert sorted(tmp_path.iterdir()) == before


def test_bad_input_has_its_error(stp: Path, tmp_path: Path) -> None:
    (tmp_path / "there.stp").write_bytes(b"mine")
    calls: list[tuple[type[StpError], object]] = [
        (UsageError, lambda: cut(stp, tmp_path / "there.stp")),
        (UsageError, lambda: cut(stp, stp, overwrite=True)),
        (UsageError, lambda: cut(stp, tmp_path / "out.stp", start=5)),
        (UsageError, lambda: cut(stp, tmp_path / "out.stp", start=0.5, end=0.5)),
        (InputError, lambda: cut(tmp_path / "missing.stp", tmp_path / "out.stp")),
        (UsageError, lambda: concat([stp, tmp_path / "there.stp"], tmp_path / "there.stp", overwrite=True)),
        (UsageError, lambda: concat([], tmp_path / "out.stp")),
        (CorruptFile, lambda: concat([stp, tmp_path / "there.stp"], tmp_path / "out.stp")),
    ]
    for kind, call in calls:
        with pytest.raises(kind):
            call()  # type: ignore[operator]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.stp", "x.stp"]
    assert (tmp_path / "there.stp").read_bytes() == b"mine"
