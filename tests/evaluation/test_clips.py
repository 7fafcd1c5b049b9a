from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.evaluation.clips import file_hash, group_of, open_clip
from stpcodec.evaluation.request import find_clips
from stpcodec.video.reader import VideoReader
from tests.evaluation.clip_maker import moving_frames, write_clip


def test_a_whole_clip_is_used_in_place(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 5)
    clip = open_clip(path, frames=5, folder=tmp_path / "work")
    assert clip.path == path
    assert clip.frames == 5
    assert [float(s) for s in clip.seconds()] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert not (tmp_path / "work").exists()


def test_a_longer_clip_is_cut_without_loss(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 5)
    clip = open_clip(path, frames=3, folder=tmp_path / "work")
    assert clip.frames == 3
    assert clip.hash == file_hash(path)
    assert clip.name == "clip.mkv"
    with VideoReader(clip.path) as reader:
        for ours, theirs in zip(reader, moving_frames(3), strict=True):
            assert np.array_equal(ours.y, theirs.y)
            assert np.array_equal(ours.v, theirs.v)


def test_groups_come_from_the_index_beside_the_clip(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text(
        '{"file": "eval/a.mkv", "quality": "raw"}\n{"file": "eval/b.mkv", "quality": "good"}\n'
    )
    assert group_of(tmp_path / "a.mkv") == "raw"
    assert group_of(tmp_path / "b.mkv") == "compressed once"
    assert group_of(tmp_path / "c.mkv") == ""


def test_a_broken_index_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("not json\n")
    assert group_of(tmp_path / "a.mkv") == ""


def test_folders_stand_for_the_videos_in_them(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_clips([str(tmp_path)])] == ["a.mp4", "b.mkv"]
    with pytest.raises(InputError, match="no such file"):
        find_clips([str(tmp_path / "missing.mkv")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no videos in this folder"):
        find_clips([str(tmp_path / "empty")])
