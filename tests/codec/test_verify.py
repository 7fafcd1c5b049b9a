from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.codec.encoder import encode
from stpcodec.codec.verify import Problem, verify
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, InputError, VerificationFailed
from tests.codec.clips import pictures, write_video
from tests.codec.fake_codec import FakeChunkCodec

pytestmark = pytest.mark.usefixtures("fake_codec")


@pytest.fixture
def stp(tmp_path: Path) -> Path:
    """Four segments of five frames, 40 ms apart, with sound."""
    source = write_video(tmp_path / "in.mkv", pictures(20), sound=True)
    encode(source, tmp_path / "x.stp", segment_frames=5)
    return tmp_path / "x.stp"


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("deep", [False, True])
def test_an_intact_file(stp: Path, deep: bool) -> None:
    report = verify(stp, deep=deep)
    assert report.intact
    assert (report.segments, report.frames, report.decoded) == (4, 20, deep)
    assert report.size_bytes == stp.stat().st_size
    report.raise_if_bad()


def test_pixels_are_made_only_when_deep(stp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FakeChunkCodec, *args: object, **named: object) -> None:
        raise AssertionError("synthesised")

    monkeypatch.setattr(FakeChunkCodec, "synthesise", refuse)
    assert verify(stp).intact
    with pytest.raises(AssertionError, match="synthesised"):
        verify(stp, deep=True)


def test_a_damaged_segment_is_named_by_bytes_and_times(stp: Path) -> None:
    with StpReader(stp) as stream:
        entry = stream.segments[2]
    flip(stp, entry.offset + entry.length - 5)
    seen: list[Problem] = []
    report = verify(stp, on_problem=seen.append)
    (problem,) = report.problems
    assert seen == [problem]
    assert problem.damaged
    assert (problem.offset, problem.length) == (entry.offset, entry.length)
    assert problem.start_seconds == pytest.approx(0.4)
    assert problem.end_seconds == pytest.approx(0.6)
    assert "0.400 s to 0.600 s" in str(problem)
    with pytest.raises(CorruptFile):
        report.raise_if_bad()


def test_a_damaged_sidecar_is_found(stp: Path) -> None:
    with StpReader(stp) as stream:
        sidecar = next(finding for finding in stream.check() if finding.kind == "sidecar")
    flip(stp, sidecar.offset + sidecar.length - 100)
    (problem,) = verify(stp).problems
    assert "sidecar" in str(problem)
    assert problem.start_seconds is None


def test_a_file_cut_off_is_damaged(stp: Path) -> None:
    with StpReader(stp) as stream:
        entry = stream.segments[3]
    stp.write_bytes(stp.read_bytes()[: entry.offset + 10])
    report = verify(stp)
    assert report.segments == 3
    assert any(problem.damaged for problem in report.problems)


def test_intact_bytes_that_decode_to_something_else(stp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FakeChunkCodec.decode_latents

    def wrong(self: FakeChunkCodec, *args: object, **named: object) -> object:
        latents = real(self, *args, **named)  # type: ignore[arg-type]
        latents.integers["v"] = latents.integers["v"] + 1
        return latents

    monkeypatch.setattr(FakeChunkCodec, "decode_latents", wrong)
    report = verify(stp)
    assert len(report.problems) == 4
    assert not any(problem.damaged for problem in report.problems)
    with pytest.raises(VerificationFailed, match="another device"):
        report.raise_if_bad()


def test_what_is_no_stp_file(tmp_path: Path) -> None:
    (tmp_path / "x.stp").write_bytes(b"not at all")
    with pytest.raises(CorruptFile, match=r"not a \.stp file"):
        verify(tmp_path / "x.stp")
    with pytest.raises(InputError):
        verify(tmp_path / "missing.stp")
