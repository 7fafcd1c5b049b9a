"""`stpcodec decode x.stp - | PROGRAM -` and the reverse, with an ffmpeg program at the other end of the pipe."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

import stpcodec
from stpcodec.cli import main
from stpcodec.evaluation.ffmpeg import NotAvailable, find_ffmpeg
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures, write_video

TIMES = [0, 40, 45, 130, 131, 400, 433, 466, 900, 1000]
"""Milliseconds, of a variable frame rate."""
AS_THEY_ARE = ["-i", "-", "-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"]
"""Of the pictures; otherwise ffmpeg makes an even frame rate of them."""
STPCODEC = [sys.executable, "-c", "import sys; from stpcodec.cli.main import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def ffmpeg() -> list[str]:
    try:
        found = find_ffmpeg()
    except NotAvailable as error:
        pytest.skip(str(error))
    return [found.path, "-hide_banner", "-loglevel", "error"]


@pytest.fixture(scope="module")
def stp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of variable frame rate and odd size, with sound."""
    folder = tmp_path_factory.mktemp("pipes")
    clip = write_video(folder / "clip.mkv", pictures(10, height=49, width=67), times=TIMES, sound=True)
    assert main.run(["encode", str(clip), str(folder / "clip.stp"), "--model", "dct", "-q"]) == 0
    return folder / "clip.stp"


@pytest.fixture(scope="module")
def digests(stp: Path) -> list[str]:
    """MD5 of every decoded frame's planes."""
    with stpcodec.open(stp) as video:
        return [md5(frame) for frame in video]


def md5(frame: Frame) -> str:
    return hashlib.md5(b"".join(plane.tobytes() for plane in (frame.y, frame.u, frame.v))).hexdigest()


def piped(first: list[str], second: list[str]) -> str:
    """Standard output of `first | second`; both end well."""
    with subprocess.Popen(first, stdout=subprocess.PIPE) as writer:
        reader = subprocess.run(second, stdin=writer.stdout, capture_output=True, timeout=150)
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.wait(60) == 0
    assert reader.returncode == 0, reader.stderr.decode()
    return reader.stdout.decode()


def frames_of(listing: str) -> list[tuple[Fraction, str]]:
    """(seconds, MD5) of the lines of `ffmpeg -f framemd5`."""
    base = Fraction(next(line for line in listing.splitlines() if line.startswith("#tb 0:")).split(":")[1].strip())
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines() if not line.startswith("#")]
    return [(int(pts) * base, digest) for _, _, pts, _, _, digest in rows]


def test_y4m_into_ffmpeg(stp: Path, ffmpeg: list[str], digests: list[str]) -> None:
    listing = piped([*STPCODEC, "decode", str(stp), "-", "-q"], [*ffmpeg, "-i", "-", "-f", "framemd5", "-"])
    assert [digest for _, digest in frames_of(listing)] == digests


def test_nut_keeps_the_times_and_the_sound(
    stp: Path, ffmpeg: list[str], digests: list[str], tmp_path: Path
) -> None:
    decode = [*STPCODEC, "decode", str(stp), "-", "--format", "nut", "-q"]
    both = [*ffmpeg, *AS_THEY_ARE, "-map", "0:a", "-f", "framemd5", str(tmp_path / "sound")]
    found = frames_of(piped(decode, both))
    assert [digest for _, digest in found] == digests
    assert [seconds for seconds, _ in found] == [Fraction(time, 1000) for time in TIMES]
    sound = frames_of((tmp_path / "sound").read_text())
    assert sound[0][0] == 0
    assert sound[-1][0] > Fraction(9, 10)


def test_a_span_begins_at_zero(stp: Path, ffmpeg: list[str]) -> None:
    decode = [*STPCODEC, "decode", str(stp), "-", "--format", "nut", "--start", "0.131", "--end", "0.5", "-q"]
    assert [seconds for seconds, _ in frames_of(piped(decode, [*ffmpeg, *AS_THEY_ARE]))] == [
        Fraction(time - 131, 1000) for time in TIMES[4:8]
    ]


def test_matroska_on_a_pipe(stp: Path, ffmpeg: list[str]) -> None:
    decode = [*STPCODEC, "decode", str(stp), "-", "--format", "mkv", "--vcodec", "ffv1", "-q"]
    assert len(frames_of(piped(decode, [*ffmpeg, "-i", "-", "-map", "0:v", "-f", "framemd5", "-"]))) >= 10


def test_ffmpeg_into_encode(stp: Path, ffmpeg: list[str], tmp_path: Path) -> None:
    make = [*ffmpeg, "-f", "lavfi", "-i", "testsrc=duration=0.4:size=64x48:rate=25", "-pix_fmt", "yuv420p",
            "-f", "yuv4mpegpipe", "-"]  # fmt: skip
    piped(make, [*STPCODEC, "encode", "-", str(tmp_path / "out.stp"), "--model", "dct", "-q"])
    with stpcodec.open(tmp_path / "out.stp") as video:
        assert (len(video), video.width, video.height) == (10, 64, 48)


def test_what_cannot_be_is_one_line(stp: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("mp4", "mov"):
        done = subprocess.run([*STPCODEC, "decode", str(stp), "-", "--format", name], capture_output=True)
        assert done.returncode == 2
        assert done.stderr.decode().count("\n") == 1
        assert f"{name} cannot be written to a pipe" in done.stderr.decode()
    assert main.run(["decode", str(stp), "--out-dir", str(tmp_path), "--format", "nut"]) == 2
    assert "--to" in capfd.readouterr().err
