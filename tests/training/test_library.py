"""Pictures of a place, found in footage of it; none where nothing comes again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.errors import InputError
from stpcodec.model.library import eight_bits
from stpcodec.model.planes import Planes
from stpcodec.training.footage import PIECE_FRAMES
from stpcodec.training.library import MOST_PIECES, choose_library, first_pieces, gather
from tests.codec.clips import Triple, write_video
from tests.tiny_model import moving_planes

HEIGHT, WIDTH = 64, 96


def place(seed: int = 1) -> Planes:
    return eight_bits(moving_planes(1, HEIGHT, WIDTH, seed=seed))


def visited(scene: Planes, x: int) -> Planes:
    frame = scene.map(torch.clone)
    frame.y[:, 24:40, x : x + 16] = 242
    return frame


def samples(planes: Planes) -> Triple:
    y, u, v = (plane[0].numpy() for plane in (planes.y, planes.u, planes.v))
    return y, u, v


def error(one: Planes, other: Planes) -> float:
    return float((one.y.float() - other.y.float()).abs().max())


def test_what_passes_is_not_in_the_picture() -> None:
    found = choose_library([visited(place(), 16 * number) for number in range(5)])
    assert len(found) == 1
    assert error(found[0], place()) < 1


def test_two_places_are_two_pictures_and_sizes_do_not_mix() -> None:
    views = [visited(place(seed), 16 * number) for seed in (1, 2) for number in range(4)]
    small = [eight_bits(moving_planes(1, 32, 48, seed=3))] * 3
    found = choose_library(views + small)
    assert sorted((picture.height, picture.width) for picture in found) == [(32, 48), (HEIGHT, WIDTH), (HEIGHT, WIDTH)]
    large = [picture for picture in found if picture.height == HEIGHT]
    assert sorted(min(error(picture, place(seed)) for picture in large) < 1 for seed in (1, 2)) == [True, True]
    assert len(choose_library(views + small, 1)) == 1


def test_where_nothing_comes_again_there_is_none() -> None:
    assert choose_library([]) == []
    assert choose_library([place()]) == []
    assert choose_library([place(seed) for seed in range(6)]) == []


def video(path: Path, count: int) -> Path:
    scene = place()
    return write_video(path, [samples(visited(scene, 4 * number % 80)) for number in range(count)], codec="ffv1")


def test_the_last_part_is_held_out(tmp_path: Path) -> None:
    source = video(tmp_path / "long.mkv", 150)
    scenery = gather([source], hold_out=True)
    assert 20 < len(scenery.views) <= MOST_PIECES
    assert [len(piece) for piece in scenery.held_out] == [PIECE_FRAMES]
    last = [samples(visited(place(), 4 * number % 80))[0] for number in range(150 - PIECE_FRAMES, 150)]
    for frame, y in zip(scenery.held_out[0], last, strict=True):
        assert np.array_equal(frame.y, y)
    learned = gather([source], hold_out=False)
    assert len(learned.views) > len(scenery.views)
    assert learned.held_out == []


@pytest.mark.parametrize(("count", "held_out"), [(40, 8), (24, 7), (12, 0)])
def test_short_videos_keep_less_of_it_or_nothing(tmp_path: Path, count: int, held_out: int) -> None:
    scenery = gather([video(tmp_path / "short.mkv", count)], hold_out=True)
    assert [len(piece) for piece in scenery.held_out] == ([held_out] if held_out else [])
    assert len(scenery.views) == -(-(count - held_out) // 4)


def test_views_are_spread_evenly_over_many_videos(tmp_path: Path) -> None:
    for number in range(10):
        video(tmp_path / f"{number}.mkv", 60)
    scenery = gather([tmp_path], hold_out=True)
    assert 30 <= len(scenery.views) <= MOST_PIECES
    assert 1 <= len(scenery.held_out) <= 4


def test_a_file_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    video(tmp_path / "a.mkv", 40)
    (tmp_path / "b.mkv").write_bytes(b"not a video at all" * 100)
    said: list[str] = []
    assert len(gather([tmp_path], hold_out=True, say=said.append).views) == 8
    assert len(said) == 1
    assert "b.mkv: no library pictures of it" in said[0]
    with pytest.raises(InputError):
        gather([tmp_path / "missing.mkv"], hold_out=True)


def test_first_pieces_are_the_first_frames(tmp_path: Path) -> None:
    pieces = first_pieces([video(tmp_path / "a.mkv", 40)])
    assert [len(piece) for piece in pieces] == [PIECE_FRAMES]
    assert np.array_equal(pieces[0][0].y, samples(visited(place(), 0))[0])
