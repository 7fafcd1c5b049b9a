"""Decoded clips on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.training import cache
from stpcodec.training.cache import cache_path, ensure_cached, ensure_half, ensure_retimed, find_media, split_planes
from tests.codec.clips import pictures, write_video
from tests.training.material import triples, write_clip


def test_media_are_found_below_folders_and_by_name(tmp_path: Path) -> None:
    wanted = [tmp_path / "a/one.mp4", tmp_path / "a/deep/two.MKV", tmp_path / "b/three.png"]
    for path in [*wanted, tmp_path / "a/notes.txt", tmp_path / "a/mp4"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_media([tmp_path / "a", tmp_path / "b/three.png"]) == sorted(wanted)


@pytest.mark.parametrize("kind", ["empty", "missing", "text"])
def test_folders_without_videos_are_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind
    if kind != "missing":
        folder.mkdir()
    if kind == "text":
        (folder / "readme.txt").write_text("hello")
    with pytest.raises(InputError, match=f"{kind}: no video or picture"):
        find_media([folder])


def test_planes_are_stored_exactly(tmp_path: Path) -> None:
    """Lossless source, odd at the far edges: cut to multiples of sixteen at its top left."""
    frames = triples(3, 70, 90, dx=1, seed=0)
    source = write_video(tmp_path / "x.mkv", frames, codec="ffv1")  # type: ignore[arg-type]
    path = ensure_cached(source, tmp_path / "cache")
    assert path is not None
    stacked = np.load(path)
    assert stacked.shape == (3, 64 * 3 // 2, 80)
    assert stacked.dtype == np.uint8
    for plane, index, scale in zip(split_planes(stacked), range(3), (1, 2, 2), strict=True):
        wanted = np.stack([frame[index][: 64 // scale, : 80 // scale] for frame in frames])
        np.testing.assert_array_equal(plane, wanted)


def test_ten_bits_become_eight(tmp_path: Path) -> None:
    frames = pictures(2, height=64, width=64, bit_depth=10)
    path = ensure_cached(write_video(tmp_path / "x.mkv", frames), tmp_path / "cache")
    assert path is not None
    np.testing.assert_array_equal(split_planes(np.load(path))[0][0], frames[0][0] >> 2)


def test_a_clip_is_decoded_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, folder = write_clip(tmp_path / "x.mp4"), tmp_path / "cache"
    first = ensure_cached(source, folder)
    monkeypatch.setattr(cache, "_decode", lambda path: pytest.fail("decoded again"))
    assert ensure_cached(source, folder) == first == cache_path(source, folder)
    os.utime(source, (1, 1))
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere/x.mp4"
    copy.write_bytes(source.read_bytes())
    assert cache_path(source, folder) == first == cache_path(copy, folder)
    changed = bytearray(source.read_bytes())
    changed[len(changed) // 2] ^= 1
    source.write_bytes(changed)
    assert cache_path(source, folder) != first


def test_large_files_are_told_apart_by_their_ends(tmp_path: Path) -> None:
    """Of more than a megabyte only samples count, the first and the last bytes among them."""
    content, paths = bytearray(3 << 20), []
    for position in (0, -1, None):
        if position is not None:
            content[position] ^= 1
        source = tmp_path / "x.mp4"
        source.write_bytes(content)
        paths.append(cache_path(source, tmp_path))
        source.write_bytes(content + b"\0")
        paths.append(cache_path(source, tmp_path))
    assert len(set(paths)) == 4
    assert paths[2] == paths[4]


@pytest.mark.parametrize("kind", ["small", "text", "cut", "folder"])
def test_what_cannot_be_used_is_left_out(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "x.mp4"
    if kind == "small":
        write_clip(source, height=48, width=112)
    elif kind == "text":
        source.write_text("not a video")
    elif kind == "folder":
        source.mkdir()
    else:
        source.write_bytes(write_clip(tmp_path / "whole.mp4").read_bytes()[:100])
    assert ensure_cached(source, tmp_path / "cache") is None
    assert not list(tmp_path.glob("cache/*"))


def test_long_clips_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_FRAMES", 4)
    path = ensure_cached(write_clip(tmp_path / "x.mp4", count=7), tmp_path / "cache")
    assert path is not None
    assert len(np.load(path)) == 4


def test_half_a_clip_is_the_mean_of_its_samples(tmp_path: Path) -> None:
    clip = ensure_cached(write_clip(tmp_path / "a.mp4", count=2, height=144, width=176), tmp_path / "cache")
    assert clip is not None
    half = ensure_half(clip)
    assert half is not None
    for whole, halved in zip(split_planes(np.load(clip)), split_planes(np.load(half)), strict=True):
        rows, columns = halved.shape[1:]
        blocks = whole[:, : 2 * rows, : 2 * columns].reshape(2, rows, 2, columns, 2).astype(int)
        np.testing.assert_array_equal(halved, (blocks.sum((2, 4)) + 2) // 4)
    assert split_planes(np.load(half))[0].shape == (2, 64, 80)
    before = half.stat().st_mtime_ns
    assert ensure_half(clip) == half
    assert half.stat().st_mtime_ns == before


def test_small_clips_are_not_halved(tmp_path: Path) -> None:
    clip = ensure_cached(write_clip(tmp_path / "a.mp4", count=1, height=112, width=176), tmp_path / "cache")
    assert clip is not None
    assert ensure_half(clip) is None


def test_a_clip_in_another_time_is_backwards_or_twice_as_fast(tmp_path: Path) -> None:
    """Either by its name, and backwards where too little would be left."""
    kinds = {}
    for number in range(8):
        clip, planes = tmp_path / f"{number}.npy", np.arange(11 * 96 * 64, dtype=np.uint8).reshape(11, 96, 64)
        np.save(clip, planes)
        found = ensure_retimed(clip)
        assert found == ensure_retimed(clip)
        assert found is not None
        fast = found.stem == f"{number}{cache.FAST}"
        assert fast or found.stem == f"{number}{cache.BACK}"
        np.testing.assert_array_equal(np.load(found), planes[::2] if fast else planes[::-1])
        kinds[fast] = clip
    assert set(kinds) == {True, False}
    np.save(kinds[True], planes[:8])
    short = ensure_retimed(kinds[True])
    assert short is not None
    assert short.stem.endswith(cache.BACK)
    np.save(kinds[True], planes[:1])
    assert ensure_retimed(kinds[True]) is None
