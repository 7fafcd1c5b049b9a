from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.evaluation.exhibit import choose
from stpcodec.evaluation.pictures import (
    Album,
    Window,
    cut,
    fit,
    frames_shown,
    load_planes,
    save_planes,
    webp,
    window_of,
)  # fmt: skip
from stpcodec.video.frames import Frame
from tests.evaluation.clip_maker import info_of, moving_frames
from tests.evaluation.test_points import POINT


def rgb_of(picture: bytes) -> np.ndarray:
    with av.open(io.BytesIO(picture)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_the_middle_of_a_large_frame_and_all_of_a_small_one() -> None:
    assert window_of(176, 144) == Window(0, 0, 176, 144)
    assert window_of(1920, 1080) == Window(640, 360, 640, 360)
    window = window_of(645, 363)
    assert (window.x % 2, window.y % 2, window.width, window.height) == (0, 0, 640, 360)


def test_frames_spread_over_the_clip() -> None:
    assert frames_shown(49) == (8, 24, 40)
    assert frames_shown(2) == (0, 1)
    assert frames_shown(1) == (0,)


def test_an_album_keeps_what_it_was_told_to() -> None:
    album = Album((1, 3), Window(10, 20, 31, 17))
    frames = list(moving_frames(5))
    for number, frame in enumerate(frames):
        album(number, frame)
    kept = album.sequence()
    assert len(kept) == 2
    assert np.array_equal(kept[1].y, frames[3].y[20:37, 10:41])
    assert np.array_equal(kept[1].v, frames[3].v[10:19, 5:21])


def test_planes_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "planes.npz"
    frames = [cut(f, Window(0, 0, 33, 21)) for f in moving_frames(2, bit_depth=10)]
    save_planes(path, frames)
    for ours, theirs in zip(load_planes(path), frames, strict=True):
        assert all(np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in "yuv")
    assert [p.name for p in path.parent.iterdir()] == ["planes.npz"]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="remove it"):
        load_planes(path)


@pytest.mark.parametrize("quality", [None, 95])
@pytest.mark.parametrize(("space", "red"), [(2, (81, 90, 240)), (1, (63, 102, 240))], ids=["bt601", "bt709"])
def test_colours_are_those_of_the_clip(quality: int | None, space: int, red: tuple[int, int, int]) -> None:
    """Pure red in limited range, by the clip's own matrix."""
    y, u, v = (np.full(size, value, np.uint8) for size, value in zip(((32, 32), (16, 16), (16, 16)), red, strict=True))
    seen = rgb_of(webp(Frame(y, u, v, pts=0), replace(info_of(), color_space=space), quality=quality))
    assert np.abs(seen[8:24, 8:24].astype(int) - [255, 0, 0]).max() < 14
    y[:], u[:], v[:] = 235, 128, 128
    white = rgb_of(webp(Frame(y, u, v, pts=0), replace(info_of(), color_space=space), quality=quality))
    assert white.min() >= 248


def test_ten_bits_look_like_eight() -> None:
    eight = next(iter(moving_frames(1)))
    ten = Frame(*(p.astype(np.uint16) << 2 for p in (eight.y, eight.u, eight.v)), pts=0)
    a, b = (rgb_of(webp(f, info_of(bit_depth=d), quality=None)).astype(int) for f, d in ((eight, 8), (ten, 10)))
    assert np.abs((a - b).mean(axis=(0, 1))).max() < 1  # single samples differ: chroma is interpolated differently


def test_pictures_stay_within_the_budget() -> None:
    rows = [list(moving_frames(3)), list(moving_frames(3))]
    sizes, qualities, counts = [], [], []
    for budget in (10**6, 6000, 2500, 900, 0):
        shown = fit((1, 4, 7), rows, info_of(), budget_bytes=budget)
        sizes.append(sum(len(file) for row in shown.files for file in row))
        qualities.append(shown.quality)
        counts.append(len(shown.numbers))
        assert sizes[-1] <= budget
        assert [len(row) for row in shown.files] == [counts[-1]] * 2
    assert qualities[0] is None
    assert counts[0] == 3
    assert qualities[1] is not None
    assert counts[-1] == 0
    assert counts == sorted(counts, reverse=True)
    one = fit((1, 4, 7), rows, info_of(), budget_bytes=max(sizes[3], 900))
    assert one.numbers in ((), (4,), (1, 7))


def test_what_is_shown_side_by_side() -> None:
    def curve(codec: str, *rates: int) -> list:
        return [replace(POINT, codec=codec, setting=10 * n, payload_bytes=rate) for n, rate in enumerate(rates, 1)]

    points = curve("dct", 500, 900, 4000) + curve("stp-s", 100, 400, 1000) + curve("x264", 3000, 830, 300, 90)
    chosen = choose(points, ["stp-s", "dct"])
    assert [(p.codec, p.setting) for p in chosen] == [("stp-s", 20), ("dct", 20), ("x264", 30)]
    assert [(p.codec, p.payload_bytes) for p in choose(curve("x264", 90, 10, 30), [])] == [("x264", 30)]
    assert choose([], ["stp-s"]) == []
