"""A file that changes, fails or goes away while it is read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from av.container import InputContainer

from stpcodec.errors import InputError
from stpcodec.video import VideoReader
from stpcodec.video import reader as reader_module
from stpcodec.video.source import open_input
from stpcodec.video.steady import SteadySource
from tests.codec.clips import pictures, write_y4m
from tests.video import media

Change = Callable[[Path], object]


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"FRAME\n")


def rewrite(path: Path) -> None:
    """In place, as many bytes."""
    data, times = path.read_bytes(), path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"short")
    other.replace(path)


def read_while(path: Path, change: Change, *, strict: bool = False) -> tuple[int, list[str]]:
    """(frames, warnings) of a video that is changed behind its second frame."""
    warnings: list[str] = []
    count = 0
    with VideoReader(path, strict=strict, warn=warnings.append) as reader:
        for _ in reader:
            count += 1
            if count == 2:
                change(path)
    return count, warnings


# Larger than what FFmpeg reads ahead, so that the frames behind the cut are really not there.
@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_y4m(tmp_path / "in.y4m", pictures(12, height=120, width=160))


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4"])
def test_a_file_that_loses_its_end_is_no_shorter_video(suffix: str, video: Path, tmp_path: Path) -> None:
    if suffix != ".y4m":
        video = media.make_video(tmp_path / f"in{suffix}", 60, 160, 120, codec="libx264")
    with pytest.raises(InputError, match=rf"in{suffix}: lost its end while it was read .*encode it again"):
        read_while(video, shorten)


@pytest.mark.parametrize(("change", "says"), [(append, "grew from"), (rewrite, "was written to")])
def test_other_changes_are_named(change: Change, says: str, video: Path) -> None:
    count, warnings = read_while(video, change)
    assert count == 12
    assert len(warnings) == 1
    assert says in warnings[0]


def test_other_changes_are_errors_if_strict(video: Path) -> None:
    with pytest.raises(InputError, match="was written to"):
        read_while(video, rewrite, strict=True)


@pytest.mark.parametrize("change", [Path.unlink, replace, lambda path: None])
def test_what_is_open_is_read_to_its_end(change: Change, video: Path) -> None:
    assert read_while(video, change) == (12, [])


def test_pipes_and_sequences_say_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("-", str(tmp_path / "%04d.png"), "udp://here:1", str(tmp_path / "pipe"), str(tmp_path), "a\0b"):
        source = SteadySource(name)
        assert source.change() is None
        source.require_readable()


def fail_at_the_third_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops there, as with a device that fails."""

    class Failing:
        def __init__(self, container: InputContainer) -> None:
            self._container = container

        def __getattr__(self, name: str) -> object:
            return getattr(self._container, name)

        def demux(self, stream: object) -> Iterator[object]:
            for number, packet in enumerate(self._container.demux(stream)):  # type: ignore[call-overload]
                if number == 2:
                    raise av.error.OSError(errno.EIO, "Input/output error")
                yield packet

    monkeypatch.setattr(reader_module, "open_input", lambda path, strict: Failing(open_input(path, strict=strict)))


def test_a_format_that_ends_early_is_a_warning(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at_the_third_packet(monkeypatch)
    count, warnings = read_while(video, lambda path: None)
    assert count == 2
    assert "reading stopped" in warnings[0]


def test_a_device_that_fails_is_an_error(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at_the_third_packet(monkeypatch)
    with pytest.raises(InputError, match=r"in\.y4m: cannot be read to its end: No such file"):
        read_while(video, Path.unlink)
