"""Reader and sidecar, then writer: the same video comes out, in every container that can hold it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.video import VideoReader, VideoWriter, extract_sidecar
from tests.video import media


def round_trip(source: Path, target: Path, **options: object) -> list[str]:
    """What encode and decode do, without a codec in between."""
    warnings: list[str] = []
    sidecar = target.with_suffix(".sidecar")
    has_sidecar = extract_sidecar(source, sidecar, warn=warnings.append)
    with (
        VideoReader(source, warn=warnings.append) as reader,
        VideoWriter(
            target, reader.info, sidecar=sidecar if has_sidecar else None, warn=warnings.append, **options
        ) as writer,  # type: ignore[arg-type]
    ):
        for frame in reader:
            writer.write(frame)
    return warnings


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_mp4_with_everything(tmp_path_factory.mktemp("media") / "everything.mp4")


@pytest.fixture(scope="module")
def matroska(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_mkv_with_everything(tmp_path_factory.mktemp("media") / "everything.mkv")


def test_mp4_to_mp4_loses_nothing(everything: Path, tmp_path: Path) -> None:
    assert round_trip(everything, tmp_path / "b.mp4") == []
    before, after = media.probe(everything), media.probe(tmp_path / "b.mp4")
    assert after.video_times == before.video_times
    assert after.tracks[1:] == before.tracks[1:]  # bytes, times, language, title, disposition of each
    assert [t.language for t in after.tracks] == ["jpn", "eng", "deu", "fra"]
    assert after.tracks[0].title == before.tracks[0].title == "camera"
    assert after.chapters == before.chapters
    assert after.rotation == before.rotation == 90
    assert after.color == before.color
    assert after.sample_aspect_ratio == before.sample_aspect_ratio
    for key in ("title", "artist", "comment"):
        assert after.metadata[key] == before.metadata[key]


def test_mp4_to_mkv_keeps_all_that_matroska_holds(everything: Path, tmp_path: Path) -> None:
    warnings = round_trip(everything, tmp_path / "b.mkv")
    assert len(warnings) == 2
    assert "subrip" in warnings[0]
    assert "milliseconds" in warnings[1]
    before, after = media.probe(everything), media.probe(tmp_path / "b.mkv")
    half = Fraction(1, 2000)
    assert len(after.video_times) == len(before.video_times)
    assert all(abs(a - b) <= half for a, b in zip(after.video_times, before.video_times, strict=True))
    for found, expected in zip(after.of("audio"), before.of("audio"), strict=True):
        assert found.packets == expected.packets
        assert (found.language, found.title) == (expected.language, expected.title)
        # Sound and picture keep their distance: both are rounded, nothing is moved.
        assert all(abs(a[0] - b[0]) <= half for a, b in zip(found.times, expected.times, strict=True))
    assert after.of("audio")[1].disposition & av.stream.Disposition.hearing_impaired
    text = after.of("subtitle")[0]
    assert [p.decode() for p in text.packets] == [line for _, _, line in media.SUBTITLES]
    assert text.times == before.of("subtitle")[0].times
    assert text.language == "fra"
    assert after.chapters == before.chapters
    assert after.rotation == 90
    assert after.color == before.color
    assert after.sample_aspect_ratio == Fraction(4, 3)
    assert after.metadata["title"] == "Everything"
    assert after.metadata["ARTIST"] == "nobody"


def test_mp4_to_mov(everything: Path, tmp_path: Path) -> None:
    assert round_trip(everything, tmp_path / "b.mov") == []
    before, after = media.probe(everything), media.probe(tmp_path / "b.mov")
    assert after.video_times == before.video_times
    assert [(t.packets, t.times, t.title) for t in after.tracks[1:]] == [
        (t.packets, t.times, t.title) for t in before.tracks[1:]
    ]
    # QuickTime names languages by an older table.
    assert [t.language for t in after.tracks[1:]] == ["eng", "ger", "fra"]
    assert after.chapters == before.chapters
    assert after.rotation == 90


def test_mkv_to_mkv_loses_nothing(matroska: Path, tmp_path: Path) -> None:
    assert round_trip(matroska, tmp_path / "b.mkv") == []
    before, after = media.probe(matroska), media.probe(tmp_path / "b.mkv")
    assert after.video_times == before.video_times
    assert after.tracks[1:] == before.tracks[1:]
    assert {t.kind for t in after.tracks} == {"video", "audio", "subtitle", "attachment"}
    assert after.chapters == before.chapters
    assert after.metadata["CUSTOM_TAG"] == "kept"


def test_mkv_to_mp4_names_what_it_cannot_hold(matroska: Path, tmp_path: Path) -> None:
    warnings = round_trip(matroska, tmp_path / "b.mp4")
    assert sum("letters.ttf" in w for w in warnings) == 1
    assert sum("rewritten as mov_text" in w for w in warnings) == 1
    before, after = media.probe(matroska), media.probe(tmp_path / "b.mp4")
    assert after.video_times == before.video_times
    assert after.of("audio")[0].packets == before.of("audio")[0].packets
    assert abs(after.of("audio")[0].times[0][0] - before.of("audio")[0].times[0][0]) < Fraction(1, 1000)
    assert [p[2:].decode() for p in after.of("subtitle")[0].packets] == [s for _, _, s in media.SUBTITLES]
    assert after.of("subtitle")[0].disposition & av.stream.Disposition.forced
    cover = [t for t in after.of("video") if t.disposition & av.stream.Disposition.attached_pic]
    assert [t.packets for t in cover] == [(media.cover_picture(),)]
    assert after.chapters == before.chapters


def test_a_cover_and_free_tags_do_not_fit_one_mp4(matroska: Path, tmp_path: Path) -> None:
    warnings = round_trip(matroska, tmp_path / "b.mp4")
    after = media.probe(tmp_path / "b.mp4")
    assert sum("not both" in w for w in warnings) == 1
    assert after.metadata["title"] == "Matroska"


def test_y4m_has_the_frames_and_one_line_for_the_rest(everything: Path, tmp_path: Path) -> None:
    warnings = round_trip(everything, tmp_path / "b.y4m")
    assert len(warnings) == 2
    assert "audio" in warnings[0]
    assert "one frame rate" in warnings[1]
    with VideoReader(everything) as source, VideoReader(tmp_path / "b.y4m") as copy:
        for before, after in zip(source, copy, strict=True):
            np.testing.assert_array_equal(before.y, after.y)
            np.testing.assert_array_equal(before.v, after.v)


def test_a_late_start_keeps_sound_and_picture_together(tmp_path: Path) -> None:
    """A transport stream that begins far from zero: all of it moves by the same time."""
    source = media.make_sound_and_video(tmp_path / "a.ts", starts_at=Fraction(100))
    warnings = round_trip(source, tmp_path / "b.mp4")
    assert len(warnings) == 1
    assert "moved" in warnings[0]
    before, after = media.probe(source), media.probe(tmp_path / "b.mp4")
    assert after.video_times[0] < 1
    distance = [p.video_times[0] - p.of("audio")[0].times[0][0] for p in (before, after)]
    assert abs(distance[0] - distance[1]) < Fraction(1, 40000)  # less than one sample


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_takes_its_part_of_everything(everything: Path, tmp_path: Path, suffix: str) -> None:
    start, end = Fraction(3, 5), Fraction(6, 5)
    sidecar, target = tmp_path / "sidecar", tmp_path / f"part{suffix}"
    assert extract_sidecar(everything, sidecar)
    with VideoReader(everything) as reader:
        base = reader.info.time_base
        chosen = [f for f in reader if start <= f.pts * base < end]
        with VideoWriter(
            target, reader.info, sidecar=sidecar, start_seconds=start, end_seconds=end, warn=lambda _: None
        ) as writer:
            for frame in chosen:
                writer.write(frame)
    before, after = media.probe(everything), media.probe(target)
    origin = chosen[0].pts * base
    half = Fraction(1, 2000)
    assert after.video_times[0] == 0
    for found, frame in zip(after.video_times, chosen, strict=True):
        assert abs(found - (frame.pts * base - origin)) <= (half if suffix == ".mkv" else 0)
    for whole, part in zip(before.of("audio"), after.of("audio"), strict=True):
        inside = [
            (packet, time[0] - origin)
            for packet, time in zip(whole.packets, whole.times, strict=True)
            if origin <= time[0] < end
        ]
        assert part.packets == tuple(packet for packet, _ in inside)
        assert part.times[0][0] >= 0
        allowed = half if suffix == ".mkv" else Fraction(1, 40000)  # less than one sample
        assert all(abs(a[0] - b) <= allowed for a, (_, b) in zip(part.times, inside, strict=True))
    # "second line" is on screen from 0.5 to 0.9 s and is cut at the start, "third line" begins at 1.0 s.
    first, second = after.of("subtitle")[0].times
    assert first[0] == 0
    assert abs(first[1] - (Fraction(9, 10) - origin)) <= half
    assert abs(second[0] - (1 - origin)) <= half
    titles = [title for _, _, title in after.chapters]
    assert titles == [title for _, _, title in media.CHAPTERS]
    assert after.chapters[0][0] == 0
    assert abs(after.chapters[0][1] - (Fraction(7, 10) - origin)) <= half
    assert abs(after.chapters[1][1] - (end - origin)) <= half


def test_a_part_keeps_cover_and_font(matroska: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "sidecar"
    assert extract_sidecar(matroska, sidecar)
    for name in ("part.mp4", "part.mkv"):
        with VideoReader(matroska) as reader:
            chosen = [f for f in reader if f.pts >= 600]
            with VideoWriter(
                tmp_path / name, reader.info, sidecar=sidecar, start_seconds=0.6, warn=lambda _: None
            ) as writer:
                for frame in chosen:
                    writer.write(frame)
        after = media.probe(tmp_path / name)
        assert after.video_times[0] == 0
        assert len(after.video_times) == len(chosen)
        cover = [t for t in after.tracks if t.disposition & av.stream.Disposition.attached_pic]
        assert [t.packets for t in cover] == [(media.cover_picture(),)]
        assert len(after.of("attachment")) == (1 if name.endswith("mkv") else 0)
        assert 0 <= after.of("audio")[0].times[0][0] < Fraction(1, 40)


def test_memory_does_not_grow_with_a_long_sidecar(tmp_path: Path) -> None:
    """Sound is interleaved with the pictures, not collected until the end."""
    source = media.make_sound_and_video(tmp_path / "a.mkv", seconds=6)
    round_trip(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as container:
        times = [(p.stream.type, float((p.dts or p.pts or 0) * p.time_base)) for p in container.demux() if p.size]
    lead, latest = 0.0, {"audio": 0.0, "video": 0.0}
    for kind, time in times:
        latest[kind] = max(latest[kind], time)
        lead = max(lead, abs(latest["audio"] - latest["video"]))
    assert lead < 1.0
