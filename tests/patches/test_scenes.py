"""Synthetic shots: random textures that move, flash, fade and cut. Figures on real clips: scene_cut_figures.py."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.patches.scenes import SceneCutDetector


def texture(seed: int, height: int = 180, width: int = 320, margin: int = 160) -> np.ndarray:
    """Smooth noise of several scales, 16 to 235, larger than a frame by `margin` on each side; float."""
    noise = np.random.default_rng(seed)
    shape = (height + 2 * margin, width + 2 * margin)
    total = np.zeros(shape)
    for size in (8, 24, 64):
        grid = noise.normal(size=(shape[0] // size + 2, shape[1] // size + 2))
        total += np.kron(grid, np.ones((size, size)))[: shape[0], : shape[1]] * size**0.5
    total -= total.min()
    return 16 + 219 * total / total.max()


def shot(
    seed: int, frames: int, *, step: tuple[int, int] = (1, 3), height: int = 180, width: int = 320
) -> list[np.ndarray]:
    """A camera moving over a texture by `step` samples a frame; uint8."""
    picture = texture(seed, height, width)
    return [
        picture[160 + i * step[0] :, 160 + i * step[1] :][:height, :width].round().astype(np.uint8)
        for i in range(frames)
    ]


def cuts(frames: Iterable[np.ndarray]) -> list[int]:
    detector = SceneCutDetector()
    return [number for number, y in enumerate(frames) if detector.push(y)]


@pytest.mark.parametrize("step", [(0, 0), (1, 3), (-4, 12), (10, -16)])
def test_cuts_between_moving_shots(step: tuple[int, int]) -> None:
    frames = [y for seed in range(4) for y in shot(seed, 9, step=step)]
    assert cuts(frames) == [0, 9, 18, 27]


def test_ten_bit_is_the_same_picture() -> None:
    frames = [y for seed in range(3) for y in shot(seed, 8)]
    assert cuts(y.astype(np.uint16) * 4 for y in frames) == cuts(frames) == [0, 8, 16]


def test_flashes_are_no_cuts() -> None:
    frames = shot(1, 30)
    for number in (9, 10, 20):
        frames[number] = np.clip(frames[number] * 1.4 + 40, 0, 255).astype(np.uint8)
    assert cuts(frames) == [0]


def test_an_empty_frame_is_no_cut_but_what_follows_may_be() -> None:
    frames = shot(1, 30)
    frames[12] = np.full_like(frames[12], 235)
    assert cuts(frames) == [0]
    assert cuts([*frames[:13], *shot(2, 9)]) == [0, 13]


@pytest.mark.parametrize("ground", [16, 235])
def test_fades_out_are_no_cuts(ground: int) -> None:
    frames = [
        (ground + (y - float(ground)) * min(1, (24 - i) / 12)).round().astype(np.uint8)
        for i, y in enumerate(shot(2, 24))
    ]
    assert cuts(frames) == [0]


def test_what_is_always_new_is_no_cut() -> None:
    noise = np.random.default_rng(0)
    snow = [noise.integers(0, 256, (90, 160)).astype(np.uint8) for _ in range(30)]
    assert len(cuts(snow)) <= 2
    flat = [np.clip(100 + noise.normal(0, 8, (180, 320)), 0, 255).astype(np.uint8) for _ in range(30)]
    assert len(cuts(flat)) <= 2


def test_caption_is_no_cut() -> None:
    frames = shot(3, 20)
    for y in frames[10:]:
        y[140:165, 60:260] = np.where(np.arange(200) // 5 % 2, 235, 16)
    assert cuts(frames) == [0]


def test_shots_have_a_least_length() -> None:
    frames = [y for seed in range(8) for y in shot(seed, 2)]
    detector = SceneCutDetector(min_shot_frames=4)
    found = [number for number, y in enumerate(frames) if detector.push(y)]
    assert all(b - a >= 4 for a, b in pairwise(found))


def test_another_shape_is_another_shot() -> None:
    assert cuts([*shot(1, 5), *shot(1, 5, height=64)]) == [0, 5]


@given(st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_any_size(height: int, width: int, ten_bit: bool) -> None:
    noise = np.random.default_rng(height * 100 + width)
    frame = noise.integers(0, 256, (height, width)).astype(np.uint16 if ten_bit else np.uint8)
    assert cuts([frame] * 10) == [0]


def test_time_does_not_grow_with_the_frame() -> None:
    def seconds(scale: int) -> float:
        frames = [np.kron(y, np.ones((scale, scale), np.uint8)) for y in shot(1, 12, height=90, width=160)]
        best = 9.0
        for _ in range(3):
            start = time.perf_counter()
            cuts(frames)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(12) < 12 * seconds(2) + 0.05  # 36 times the samples
