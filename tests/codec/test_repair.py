"""Repair keeps every intact segment and sidecar piece, says what is lost, and makes a sound file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.codec.repair import RepairReport, repair
from stpcodec.codec.verify import verify
from stpcodec.container import Segment, StpReader
from stpcodec.errors import CorruptFile, InputError, UsageError
from tests.codec.clips import pictures, write_video
from tests.codec.damage import cut_behind, entries_of, flip, flip_segment, remove_segment

pytestmark = pytest.mark.usefixtures("fake_codec")


@pytest.fixture
def stp(tmp_path: Path) -> Path:
    """Four segments of five frames, 40 ms apart, with sound."""
    source = write_video(tmp_path / "in.mkv", pictures(20), sound=True)
    encode(source, tmp_path / "x.stp", segment_frames=5)
    source.unlink()
    return tmp_path / "x.stp"


def contents(path: Path) -> tuple[list[Segment], bytes]:
    with StpReader(path) as stream:
        return [stream.read_segment(n) for n in range(len(stream.segments))], b"".join(stream.sidecar_pieces())


def repaired(path: Path) -> tuple[RepairReport, Path]:
    """Repair into a new file, which must be sound, and leave the damaged one as it is."""
    before, target = path.read_bytes(), path.with_name("repaired.stp")
    report = repair(path, target)
    assert path.read_bytes() == before
    assert verify(target).intact
    assert report.bytes_written == target.stat().st_size
    return report, target


def test_an_intact_file_stays_as_it_is(stp: Path) -> None:
    report, target = repaired(stp)
    assert report.losses == ()
    assert (report.segments, report.frames, report.frames_lost, report.cut_off) == (4, 20, 0, False)
    assert target.read_bytes() == stp.read_bytes()


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_segment_is_left_out(stp: Path, number: int) -> None:
    segments, sidecar = contents(stp)
    entry = flip_segment(stp, number)
    report, target = repaired(stp)
    kept, kept_sidecar = contents(target)
    assert [s.pts for s in kept] == [s.pts for i, s in enumerate(segments) if i != number]
    assert [s.chunks for s in kept] == [s.chunks for i, s in enumerate(segments) if i != number]
    assert [s.first_frame for s in kept] == [0, 5, 10]
    assert kept_sidecar == sidecar
    damaged, lost = report.losses
    assert (damaged.offset, damaged.length) == (entry.offset, entry.length)
    assert (lost.offset, lost.length) == (entry.offset, entry.length)
    assert (lost.first_frame, lost.end_frame) == (5 * number, 5 * number + 5)
    assert lost.start_seconds == pytest.approx(0.2 * number)
    assert lost.end_seconds == pytest.approx(0.2 * number + (0.2 if number < 3 else 0.161))
    assert f"frames {5 * number} to {5 * number + 4}" in str(lost)
    assert report.frames_lost == 5


def test_a_cut_off_file(stp: Path) -> None:
    cut_behind(stp, 1, extra=50)
    report, target = repaired(stp)
    assert (report.segments, report.frames, report.cut_off) == (2, 10, True)
    assert "no index says" in str(report.losses[-1])
    with StpReader(target) as stream:
        assert stream.complete


@pytest.mark.parametrize("index", [True, False])
def test_a_removed_segment(stp: Path, index: bool) -> None:
    remove_segment(stp, 1, index=index)
    report, _ = repaired(stp)
    assert (report.segments, report.frames, report.frames_lost) == (3, 15, 5)
    lost = next(loss for loss in report.losses if loss.first_frame is not None)
    assert (lost.first_frame, lost.end_frame) == (5, 10)


def test_records_out_of_place_are_put_right(stp: Path) -> None:
    """Two swapped segments of different lengths: the index fits the file, but not what stands where."""
    expected = contents(stp)
    a, b = entries_of(stp)[1:3]
    data = stp.read_bytes()
    first, second = (data[e.offset : e.offset + e.length] for e in (a, b))
    stp.write_bytes(data[: a.offset] + second + first + data[b.offset + b.length :])
    report, target = repaired(stp)
    assert report.segments == 4
    assert report.frames_lost == 0
    assert contents(target) == expected


def test_a_damaged_sidecar_keeps_its_length(stp: Path, tmp_path: Path) -> None:
    _, sidecar = contents(stp)
    with StpReader(stp) as stream:
        finding = next(finding for finding in stream.check() if finding.kind == "sidecar")
    flip(stp, finding.offset + finding.length - 100)
    report, target = repaired(stp)
    assert report.segments == 4
    assert any("sidecar" in str(loss) for loss in report.losses)
    assert contents(target)[1] == b""  # its only piece; what follows the last intact one is not made up
    assert len(sidecar) > 0
    decode(target, tmp_path / "out.mkv")


def test_nothing_is_overwritten(stp: Path, tmp_path: Path) -> None:
    (tmp_path / "there.stp").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        repair(stp, tmp_path / "there.stp")
    assert (tmp_path / "there.stp").read_bytes() == b"mine"
    repair(stp, tmp_path / "there.stp", overwrite=True)
    assert verify(tmp_path / "there.stp").intact
    with pytest.raises(UsageError, match="same file"):
        repair(stp, stp, overwrite=True)


def test_nothing_to_keep_leaves_nothing(stp: Path, tmp_path: Path) -> None:
    for number in range(4):
        flip_segment(stp, number)
    with pytest.raises(CorruptFile, match="no intact segment"):
        repair(stp, tmp_path / "out.stp")
    (tmp_path / "text.stp").write_bytes(b"not at all")
    with pytest.raises(CorruptFile, match=r"not a \.stp file"):
        repair(tmp_path / "text.stp", tmp_path / "out.stp")
    with pytest.raises(InputError, match="no such file"):
        repair(tmp_path / "missing.stp", tmp_path / "out.stp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.stp", "x.stp"]
