"""A killed encode goes on where it was, and gives the file that it would have given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stpcodec.cli.main import run
from stpcodec.codec.encoder import encode
from stpcodec.codec.events import Progress
from stpcodec.codec.partial import claim
from stpcodec.errors import InputError, UsageError
from tests.codec.clips import pictures, write_video, write_y4m
from tests.codec.fake_codec import FakeChunkCodec

PARTIAL = ".x.stp.partial"


class Killed(BaseException):
    pass


def kill_at(frame: int) -> object:
    def progress(event: Progress) -> None:
        if event.phase == "encode" and event.frames_done >= frame:
            raise Killed

    return progress


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mkv", pictures(23), sound=True)


@pytest.fixture
def whole(source: Path, tmp_path: Path, fake_codec: FakeChunkCodec) -> bytes:
    encode(source, tmp_path / "whole.stp", segment_frames=5)
    data = (tmp_path / "whole.stp").read_bytes()
    (tmp_path / "whole.stp").unlink()
    return data


def interrupt(source: Path, target: Path, frame: int, **options: object) -> None:
    with pytest.raises(Killed):
        encode(source, target, segment_frames=5, resume=True, progress=kill_at(frame), warn=str, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", [1, 5, 6, 11, 17, 23])
def test_the_same_file_as_an_uninterrupted_run(source: Path, tmp_path: Path, whole: bytes, frame: int) -> None:
    interrupt(source, tmp_path / "x.stp", frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARTIAL, "in.mkv"]
    report = encode(source, tmp_path / "x.stp", segment_frames=5, resume=True)
    assert (tmp_path / "x.stp").read_bytes() == whole
    assert (report.frames, report.segments) == (23, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "x.stp"]


def test_interrupted_again_and_again(source: Path, tmp_path: Path, whole: bytes) -> None:
    for frame in (6, 8, 12, 16, 17, 23):
        interrupt(source, tmp_path / "x.stp", frame)
    encode(source, tmp_path / "x.stp", segment_frames=5, resume=True)
    assert (tmp_path / "x.stp").read_bytes() == whole


def test_only_what_is_missing_is_coded(
    source: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(source, tmp_path / "x.stp", 18)
    coded: list[int] = []
    real = FakeChunkCodec.encode

    def count(self: FakeChunkCodec, frames: object, **named: object) -> object:
        coded.append(len(frames))  # type: ignore[arg-type]
        return real(self, frames, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeChunkCodec, "encode", count)
    encode(source, tmp_path / "x.stp", segment_frames=5, resume=True)
    assert sum(coded) == 13  # from frame 10 on: the last of three complete segments is coded again, as a proof


def test_a_run_killed_while_it_copied(source: Path, tmp_path: Path, whole: bytes) -> None:
    """Both files are there: the longer one counts."""
    interrupt(source, tmp_path / "x.stp", 18)
    done = (tmp_path / PARTIAL).read_bytes()
    for short, long in ((PARTIAL, PARTIAL + ".before"), (PARTIAL + ".before", PARTIAL)):
        (tmp_path / short).write_bytes(done[:700])
        (tmp_path / long).write_bytes(done)
        encode(source, tmp_path / "x.stp", segment_frames=5, resume=True, overwrite=True)
        assert (tmp_path / "x.stp").read_bytes() == whole
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "x.stp"]


def test_other_options_start_anew(source: Path, tmp_path: Path, whole: bytes) -> None:
    interrupt(source, tmp_path / "x.stp", 18, quality=20)
    warnings: list[str] = []
    encode(source, tmp_path / "x.stp", segment_frames=5, resume=True, warn=warnings.append)
    assert (tmp_path / "x.stp").read_bytes() == whole
    assert len(warnings) == 1
    assert "other options" in warnings[0]


def test_nothing_to_resume_is_said(source: Path, tmp_path: Path, whole: bytes) -> None:
    warnings: list[str] = []
    encode(source, tmp_path / "x.stp", segment_frames=5, resume=True, warn=warnings.append)
    assert (tmp_path / "x.stp").read_bytes() == whole
    assert "no interrupted encode" in warnings[0]


def test_another_source_is_refused(tmp_path: Path, fake_codec: FakeChunkCodec) -> None:
    """Same name and geometry, other pictures; and one that ends before the leftover does."""
    source = write_y4m(tmp_path / "in.y4m", pictures(23))
    for frames, words in ((pictures(24)[1:], "do not come out"), (pictures(8), "other segments")):
        write_y4m(source, pictures(23))
        interrupt(source, tmp_path / "x.stp", 18)
        write_y4m(source, frames)
        with pytest.raises(InputError, match=words):
            encode(source, tmp_path / "x.stp", segment_frames=5, resume=True)
        assert not (tmp_path / "x.stp").exists()
        encode(source, tmp_path / "x.stp", segment_frames=5)
        (tmp_path / "x.stp").unlink()
        assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]


def test_a_running_encode_is_left_alone(source: Path, tmp_path: Path, whole: bytes) -> None:
    running = claim(tmp_path / "x.stp", resume=False)
    assert running is not None
    running.path.write_bytes(b"its bytes")
    encode(source, tmp_path / "x.stp", segment_frames=5)
    assert (tmp_path / "x.stp").read_bytes() == whole
    assert running.path.read_bytes() == b"its bytes"
    running.release()


def test_links_are_not_followed(source: Path, tmp_path: Path, whole: bytes) -> None:
    """Nor is a second name of the output, as a crash between link and unlink leaves it, emptied."""
    (tmp_path / "precious").write_bytes(b"mine")
    for make in (os.symlink, os.link):
        (tmp_path / PARTIAL).unlink(missing_ok=True)
        make(tmp_path / "precious", tmp_path / PARTIAL)
        encode(source, tmp_path / "x.stp", segment_frames=5, resume=True, overwrite=True, warn=str)
        assert (tmp_path / "precious").read_bytes() == b"mine"
        assert (tmp_path / "x.stp").read_bytes() == whole


def test_streams_cannot_be_resumed(source: Path, fake_codec: FakeChunkCodec) -> None:
    with pytest.raises(UsageError, match="resume"):
        encode(source, "-", resume=True)


def test_kill_minus_nine(tmp_path: Path) -> None:
    """A real process, the model `dct`, killed once it has written something."""
    source = write_video(tmp_path / "in.mkv", pictures(60, height=144, width=176), sound=True)
    command = [sys.executable, "-m", "stpcodec.cli.main", "encode", str(source)]
    options = ["--model", "dct", "--segment-frames", "4", "--threads", "1", "-q"]
    assert run(["encode", str(source), str(tmp_path / "whole.stp"), *options]) == 0
    partial = tmp_path / PARTIAL
    process = subprocess.Popen([*command, str(tmp_path / "x.stp"), *options])
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 30_000):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "x.stp").exists()
    assert partial.exists()
    assert run(["encode", str(source), str(tmp_path / "x.stp"), *options, "--resume"]) == 0
    assert (tmp_path / "x.stp").read_bytes() == (tmp_path / "whole.stp").read_bytes()
    assert not partial.exists()
