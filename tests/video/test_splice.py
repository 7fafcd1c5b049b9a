"""stpcodec/video/splice.py on sidecars with AAC or Opus, subtitles, chapters, a font and a cover."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from stpcodec.video import extract_sidecar
from stpcodec.video.splice import SidecarPart, cut_sidecar, join_sidecars
from tests.video import media

AT = Fraction(4, 5)
LENGTH = Fraction(3, 2)


def packets(path: Path) -> dict[int, list[tuple[int | None, bytes]]]:
    """(time, bytes) by track; without the empty subtitles that MP4 has between two."""
    found: dict[int, list[tuple[int | None, bytes]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and bytes(packet) != b"\0\0":
                found.setdefault(packet.stream_index, []).append((packet.pts, bytes(packet)))
    return found


@pytest.mark.parametrize("make", [media.make_mp4_with_everything, media.make_mkv_with_everything])
def test_two_parts_joined_are_the_whole(tmp_path: Path, make: object) -> None:
    source = make(tmp_path / ("a.mp4" if "mp4" in make.__name__ else "a.mkv"))  # type: ignore[operator,attr-defined]
    whole, first, second, joined = (tmp_path / name for name in ("whole", "first", "second", "joined"))
    extract_sidecar(source, whole)
    warnings: list[str] = []
    cut_sidecar(whole, first, start=None, end=AT, name="first", warn=warnings.append)
    cut_sidecar(whole, second, start=AT, end=None, name="second", warn=warnings.append)
    assert warnings == []
    parts = [
        SidecarPart(first, Fraction(0), AT, Fraction(0), "first"),
        SidecarPart(second, Fraction(0), LENGTH - AT, AT, "second"),
    ]
    assert join_sidecars(parts, joined, warn=warnings.append)
    assert warnings in ([], ["second: attachments and covers are those of first alone"])
    expected, found = packets(whole), packets(joined)
    subtitle = 2 if source.suffix == ".mp4" else 1
    # the second of three is shown across the cut, and so becomes two
    first_text, across, last = expected.pop(subtitle)
    pieces = found.pop(subtitle)
    assert [data for _, data in pieces] == [first_text[1], across[1], across[1], last[1]]
    assert [pieces[0], pieces[1], pieces[3]] == [first_text, across, last]
    assert found == expected
    with av.open(str(joined)) as container:
        chapters = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
    assert chapters == [(Fraction(start, 1000), title) for start, _, title in media.CHAPTERS]


def test_no_sidecar_at_all(tmp_path: Path) -> None:
    parts = [SidecarPart(None, Fraction(0), Fraction(1), Fraction(n), f"{n}") for n in range(2)]
    assert not join_sidecars(parts, tmp_path / "joined", warn=lambda _: None)
    assert not (tmp_path / "joined").exists()
