"""stpcodec/video/sidecar.py: every other stream of a file, bit-exact, whatever the source container."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from stpcodec.errors import InputError, OutputError
from stpcodec.video import extract_sidecar
from tests.video import media


def extract(source: Path, target: Path) -> tuple[bool, list[str]]:
    warnings: list[str] = []
    return extract_sidecar(source, target, warn=warnings.append), warnings


def tracks(path: Path) -> list[media.Track]:
    """As `media.probe`, for files without video."""
    found = []
    with av.open(str(path)) as container:
        packets: dict[int, list[av.Packet]] = {s.index: [] for s in container.streams}
        for packet in container.demux():
            if packet.size and bytes(packet) != b"\0\0":
                packets[packet.stream_index].append(packet)
        for stream in container.streams:
            if not (stream.type == "data" and int(stream.discard) == 48):
                found.append(media.describe_track(stream, packets[stream.index]))
    return found


@pytest.mark.parametrize("make", [media.make_mp4_with_everything, media.make_mkv_with_everything])
def test_everything_but_the_video_stays_bit_exact(tmp_path: Path, make: object) -> None:
    source = make(tmp_path / ("a.mp4" if "mp4" in make.__name__ else "a.mkv"))
    found, warnings = extract(source, tmp_path / "sidecar")
    assert found
    assert warnings == []
    expected = [t for t in media.probe(source).tracks if t.codec != "h264"]
    kept = tracks(tmp_path / "sidecar")
    assert len(kept) == len(expected) >= 3
    # Covers and fonts come last in some containers; nothing else may differ: bytes, times, languages, titles.
    for track in expected:
        assert track in kept
    with av.open(str(tmp_path / "sidecar")) as container:
        chapters = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
    assert chapters == [(Fraction(start, 1000), title) for start, _, title in media.CHAPTERS]


def test_a_video_alone_has_no_sidecar(tmp_path: Path) -> None:
    source = media.make_video(tmp_path / "a.mp4", 3, metadata={"title": "only tags"})
    assert extract(source, tmp_path / "sidecar") == (False, [])
    assert not (tmp_path / "sidecar").exists()


def test_chapters_alone_are_a_sidecar(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=media.FAST)
        stream.width, stream.height = 32, 32
        chapter = {"id": 1, "start": 0, "end": 40, "time_base": Fraction(1, 1000), "metadata": {"title": "a=b;\nc"}}
        output.set_chapters([chapter])
        output.mux(stream.encode(media.picture(0, 32, 32)))
        output.mux(stream.encode(None))
    found, _ = extract(tmp_path / "a.mkv", tmp_path / "sidecar")
    assert found
    with av.open(str(tmp_path / "sidecar")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["a=b;\nc"]


def test_a_second_video_track_is_kept(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        streams = []
        for size in (64, 32):
            stream = output.add_stream("libx264", rate=25, options=media.FAST)
            stream.width = stream.height = size
            streams.append((stream, size))
        for index in range(5):
            for stream, size in streams:
                frame = media.picture(index, size, size)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream, _ in streams:
            output.mux(stream.encode(None))
    found, _ = extract(tmp_path / "a.mkv", tmp_path / "sidecar")
    assert found
    kept = tracks(tmp_path / "sidecar")
    assert [t.kind for t in kept] == ["video"]
    assert kept[0].packets == media.probe(tmp_path / "a.mkv").tracks[1].packets


def test_delayed_sound_stays_delayed(tmp_path: Path) -> None:
    source = media.make_sound_and_video(tmp_path / "a.mp4", sound_starts_at=Fraction(1, 2))
    extract(source, tmp_path / "sidecar")
    assert tracks(tmp_path / "sidecar") == media.probe(source).of("audio")


def test_a_transport_stream_keeps_its_times(tmp_path: Path) -> None:
    source = media.make_sound_and_video(tmp_path / "a.ts")
    extract(source, tmp_path / "sidecar")
    kept, expected = tracks(tmp_path / "sidecar")[0], media.probe(source).of("audio")[0]
    assert len(kept.packets) == len(expected.packets)
    for found, time in zip(kept.times, expected.times, strict=True):
        assert abs(found[0] - time[0]) < Fraction(1, 20000)
    # MP4 takes AAC without the 7-byte ADTS header that transport streams put before every packet.
    assert [p[7:] for p in expected.packets] == list(kept.packets)


def test_what_no_container_holds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = media.make_mp4_with_everything(tmp_path / "a.mp4")
    monkeypatch.setattr("stpcodec.video.sidecar.can_hold", lambda name, stream: stream.type != "subtitle")
    found, warnings = extract(source, tmp_path / "sidecar")
    assert found
    assert len(warnings) == 1
    assert "track 3 (subtitle mov_text, fra)" in warnings[0]
    assert [t.kind for t in tracks(tmp_path / "sidecar")] == ["audio", "audio"]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        extract(tmp_path / "no.mp4", tmp_path / "sidecar")
    source = media.make_mp4_with_everything(tmp_path / "a.mp4", frames=3)
    with pytest.raises(OutputError, match="cannot be written"):
        extract(source, tmp_path / "no" / "sidecar")
    assert extract_sidecar("-", tmp_path / "sidecar") is False
