"""stpcodec/video/source.py: what cannot be opened is refused in one line that says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stpcodec.errors import InputError
from stpcodec.video import VideoReader
from tests.video import media

TEXT = b"name,value\none,1\ntwo,2\n" * 20
SUBTITLES = b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n"


def refusal(path: object) -> str:
    with pytest.raises(InputError) as caught:
        VideoReader(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", TEXT, "text file"),
        ("text.txt", TEXT, "text file"),  # libavformat would play it as ANSI art
        ("table.csv", TEXT, "text file"),
        ("page.html", b"<html><body>no</body></html>", "text file"),
        ("words.srt", SUBTITLES, "no video stream"),
        ("noise.mp4", bytes(range(256)) * 20, "not a video"),
        ("zeros.mkv", bytes(5000), "not a video"),
    ],
)
def test_files_that_are_no_video(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert says in refusal(path)


def test_missing_file_and_missing_sequence(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "no.mp4")
    assert "no numbered image" in refusal(tmp_path / "no_%03d.png")
    assert "no file matches" in refusal(tmp_path / "no*.png")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.mp4", "a.m4a", "a.mkv"])
def test_sound_only(tmp_path: Path, name: str) -> None:
    assert "no video stream (only audio)" in refusal(media.make_audio_only(tmp_path / name))


def test_mp4_cut_before_its_index(tmp_path: Path) -> None:
    assert "cut off" in refusal(media.make_truncated(tmp_path / "a.mp4", index_first=False))


def test_a_stream_without_any_frame(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.y4m", 1, codec="wrapped_avframe", options={})
    path.write_bytes(path.read_bytes().split(b"FRAME")[0])
    assert "no frame" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mp4", 1)
    path.chmod(0)
    assert "cannot be opened" in refusal(path)


def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    path = media.make_audio_only(tmp_path / "a.mp4")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        refusal(path)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before
