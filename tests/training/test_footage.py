"""Pieces of a user's videos: from everywhere in them, none across a cut, the last part apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.training import footage as module
from stpcodec.training.cache import split_planes
from stpcodec.training.footage import Footage, cut_footage, remove_footage
from tests.codec.clips import write_video
from tests.training.material import triples, write_clip


def cut(sources: list[Path], folder: Path, *, hold_out: bool = True) -> tuple[Footage, list[str]]:
    said: list[str] = []
    return cut_footage(sources, folder, hold_out=hold_out, say=said.append), said


def numbered(path: Path, frames: int) -> Path:
    """A still picture whose brightness tells the frame's number: 20 + 2n, with some texture."""
    texture = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 8
    grey = np.full((32, 32), 128, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames_of = [((texture + 20 + 2 * n).astype(np.uint8), grey, grey) for n in range(frames)]
    return write_video(path, frames_of, codec="ffv1")  # type: ignore[arg-type]


def numbers(piece: Path) -> list[int]:
    y, _, _ = split_planes(np.load(piece))
    return [round((float(frame.min()) - 20) / 2) for frame in y]


def test_the_last_fifth_of_the_pieces_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_FRAMES", 10)
    found, _ = cut([numbered(tmp_path / "a.mkv", 100)], tmp_path / "pieces")
    assert [n for piece in found.learned for n in numbers(piece)] == list(range(80))
    assert [n for piece in found.held_out for n in numbers(piece)] == list(range(80, 100))


@pytest.mark.parametrize(("frames", "held_out"), [(21, 7), (24, 7), (45, 9), (49, 10), (53, 11), (33, 8)])
def test_of_a_short_video_the_last_frames_are(tmp_path: Path, frames: int, held_out: int) -> None:
    """53: the last piece is too short, so some of the one before come along; 33: too short to be cut, so all of it."""
    found, _ = cut([numbered(tmp_path / "a.mkv", frames)], tmp_path / "pieces")
    learned = [n for piece in found.learned for n in numbers(piece)]
    apart = [n for piece in found.held_out for n in numbers(piece)]
    assert learned + apart == list(range(frames))
    assert len(apart) == held_out


def test_without_holding_out_all_is_learned(tmp_path: Path) -> None:
    found, _ = cut([numbered(tmp_path / "a.mkv", 30)], tmp_path / "pieces", hold_out=False)
    assert [numbers(piece) for piece in found.learned] == [list(range(25)), list(range(25, 30))]
    assert found.held_out == []


def test_a_long_video_is_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows its length before its end; what is left of the rest is deleted from the disk."""
    monkeypatch.setattr(module, "PIECE_FRAMES", 2)
    monkeypatch.setattr(module, "MOST_PIECES", 8)
    found, _ = cut([numbered(tmp_path / "a.mkv", 100)], tmp_path / "pieces", hold_out=False)
    assert [numbers(piece)[0] for piece in found.learned] == [0, 16, 32, 48, 64, 80, 96]
    assert len(list((tmp_path / "pieces").glob("*.npy"))) == 7


def test_no_piece_crosses_a_cut(tmp_path: Path) -> None:
    shots = [frame for seed in range(3) for frame in triples(8, 64, 64, dx=1, seed=20 * seed)]
    write_video(tmp_path / "a.mkv", shots, codec="ffv1")  # type: ignore[arg-type]
    found, _ = cut([tmp_path / "a.mkv"], tmp_path / "pieces", hold_out=False)
    assert [len(np.load(piece)) for piece in found.learned] == [8, 8, 8]


def test_large_frames_give_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of luma and chroma of one place, somewhere else for the next piece."""
    monkeypatch.setattr(module, "PIECE_FRAMES", 2)
    monkeypatch.setattr(module, "WINDOW_HEIGHT", 64)
    monkeypatch.setattr(module, "WINDOW_WIDTH", 64)
    y = (np.arange(128)[:, None] + np.arange(160)[None]).astype(np.uint8)
    chroma = y[::2, ::2].copy()
    write_video(tmp_path / "a.mkv", [(y, chroma, chroma)] * 12, codec="ffv1")  # type: ignore[arg-type]
    found, _ = cut([tmp_path / "a.mkv"], tmp_path / "pieces", hold_out=False)
    corners = set()
    for piece in found.learned:
        luma, u, v = split_planes(np.load(piece))
        assert luma.shape == (2, 64, 64)
        assert np.array_equal(luma[:, ::2, ::2], u)
        assert np.array_equal(u, v)
        corners.add(int(luma[0, 0, 0]))
    assert len(corners) > 1


def test_pictures_are_learned_from(tmp_path: Path) -> None:
    write_clip(tmp_path / "in/still.mkv", count=1)
    numbered(tmp_path / "in/video.mkv", 24)
    found, _ = cut([tmp_path / "in"], tmp_path / "pieces")
    assert sorted(len(np.load(piece)) for piece in found.learned) == [1, 17]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    numbered(tmp_path / "in/good.mkv", 24)
    (tmp_path / "in/bad.mkv").write_text("not a video")
    _, said = cut([tmp_path / "in"], tmp_path / "pieces")
    assert len(said) == 1
    assert "bad.mkv: left out" in said[0]


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no video or picture found"):
        cut([tmp_path / "in"], tmp_path / "pieces")
    (tmp_path / "in/bad.mkv").write_text("not a video")
    with pytest.raises(InputError, match="none of the 1 files can be learned from"):
        cut([tmp_path / "in"], tmp_path / "pieces")
    numbered(tmp_path / "short.mkv", 20)
    with pytest.raises(InputError, match=r"too short to hold a part out.*--validation"):
        cut([tmp_path / "short.mkv"], tmp_path / "pieces")


def test_the_same_videos_are_cut_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = numbered(tmp_path / "a.mkv", 24)
    first, _ = cut([source], tmp_path / "pieces")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_cut", None)
        assert cut([source], tmp_path / "pieces")[0] == first
    first.held_out[0].unlink()
    assert cut([source], tmp_path / "pieces")[0] == first, "not all of them are there: once more"
    numbered(source, 30)
    again, _ = cut([source], tmp_path / "pieces")
    assert sum(len(np.load(piece)) for piece in (*again.learned, *again.held_out)) == 30


def test_an_interrupted_cut_starts_again(tmp_path: Path) -> None:
    calls = []

    def poll() -> None:
        calls.append(1)
        if len(calls) == 27:
            raise KeyboardInterrupt

    source = numbered(tmp_path / "a.mkv", 49)
    with pytest.raises(KeyboardInterrupt):
        cut_footage([source], tmp_path / "pieces", hold_out=True, say=lambda line: None, poll=poll)
    found, _ = cut([source], tmp_path / "pieces")
    assert sum(len(np.load(piece)) for piece in (*found.learned, *found.held_out)) == 49


def test_only_what_was_made_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "pieces"
    cut([numbered(tmp_path / "a.mkv", 24)], folder)
    (folder / "mine.npy").write_text("")
    remove_footage(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.npy"]
    (folder / "mine.npy").unlink()
    remove_footage(folder)
    assert not folder.exists()
    remove_footage(folder)
