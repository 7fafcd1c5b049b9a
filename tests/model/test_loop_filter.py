"""The loop filter on pixels: against the specification, between its two implementations, and what a fit says."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.latents.loop_filter import FILTER_SIZE, LUMA_TERMS, SHIFTS
from stpcodec.model import loop_filter as module
from stpcodec.model import loop_filter_fit
from stpcodec.model.loop_filter import filtered
from stpcodec.model.loop_filter_fit import Fit, fit
from stpcodec.model.planes import Planes, join_frames
from stpcodec.model.rates import squared_error, squared_error_map
from tests.tiny_model import moving_planes

UNITS = np.array([2.0**-shift for shift in SHIFTS])


def picture(height: int, width: int, *, noise: float = 0.02, seed: int = 0) -> Planes:
    generator = torch.Generator().manual_seed(seed)
    clean = moving_planes(1, height, width, seed=seed)
    return clean.map(lambda plane: plane + noise * torch.randn(plane.shape, generator=generator)).clamp()


def draw(seed: int, largest: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (FILTER_SIZE,), generator=generator, dtype=torch.int32)


def at(plane: list[list[float]], row: int, column: int) -> float:
    return plane[min(max(row, 0), len(plane) - 1)][min(max(column, 0), len(plane[0]) - 1)]


def specified(plane: list[list[float]], row: int, column: int, kind: str, weights: list[float]) -> float:
    """A filtered sample as FORMAT.md §19 has it, sample by sample in Python's own numbers."""
    cut = (3 if kind == "y" else 2) / 255

    def s(down: int, right: int, y: int = row, x: int = column) -> float:
        return at(plane, y + down, x + right) + at(plane, y - down, x - right) - 2 * at(plane, y, x)

    def c(down: int, right: int) -> float:
        here = at(plane, row, column)
        sides = (at(plane, row + sign * down, column + sign * right) - here for sign in (1, -1))
        return sum(min(max(side, -cut), cut) for side in sides)

    own = at(plane, row, column)
    if kind != "y":
        terms = [f(*a) + f(*b) for f in (s, c) for a, b in (((0, 1), (1, 0)), ((1, 1), (1, -1)), ((0, 2), (2, 0)))]
        offset = weights[42 if kind == "u" else 43] / 255
        return min(max(own + sum(w * t for w, t in zip(weights[36:42], terms, strict=True)) + offset, 0), 1)
    cells_high, cells_wide = len(plane) // 2, len(plane[0]) // 2
    sums = [0.0] * 4
    for down in range(-1, 3):
        for right in range(-1, 3):
            # Of cells of 2×2 outside, the nearest inside.
            y = 2 * min(max(2 * (row // 4) + down, 0), cells_high - 1)
            x = 2 * min(max(2 * (column // 4) + right, 0), cells_wide - 1)
            for number, way in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
                sums[number] += sum(abs(s(*way, y + i, x + j)) for i in (0, 1) for j in (0, 1)) * 255 / 64
    h, v, d, e = sums
    a, b, m = (h - v) / (h + v + 0.25), (d - e) / (d + e + 0.25), min(max(math.log2(h + v + 0.25) / 5, 0), 1)
    terms = [
        s(0, 1) + s(1, 0), s(1, 1) + s(1, -1), s(0, 2) + s(2, 0), s(1, 2) + s(1, -2) + s(2, 1) + s(2, -1),
        s(0, 3) + s(3, 0), a * (s(0, 1) - s(1, 0)), a * (s(0, 2) - s(2, 0)),
        a * (s(1, 2) + s(1, -2) - s(2, 1) - s(2, -1)), a * (s(0, 3) - s(3, 0)), b * (s(1, 1) - s(1, -1)),
        b * (s(1, 2) + s(2, 1) - s(1, -2) - s(2, -1)), c(0, 1) + c(1, 0), c(1, 1) + c(1, -1), c(0, 2) + c(2, 0),
        a * (c(0, 1) - c(1, 0)), a * (c(0, 2) - c(2, 0)), b * (c(1, 1) - c(1, -1)), 1 / 255,
    ]  # fmt: skip
    sets = zip(weights[:18], weights[18:36], terms, strict=True)
    return min(max(own + sum(((1 - m) * quiet + m * busy) * term for quiet, busy, term in sets), 0), 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_are_those_of_the_specification(seed: int) -> None:
    frame, loop_filter = picture(16, 32, noise=0.01, seed=seed), draw(seed, largest=12)
    found = filtered(frame, loop_filter)
    weights = [n * unit for n, unit in zip(loop_filter.tolist(), UNITS, strict=True)]
    for kind in "yuv":
        plane = getattr(frame, kind)[0].double().tolist()
        expected = [[specified(plane, i, j, kind, weights) for j in range(len(plane[0]))] for i in range(len(plane))]
        made = getattr(found, kind)[0].double()
        assert float((made - torch.tensor(expected, dtype=torch.float64)).abs().max()) < 1e-5
        assert float((made - getattr(frame, kind)[0]).abs().mean()) > 1e-4


def by_torch(frames: Planes, loop_filter: Tensor, monkeypatch: pytest.MonkeyPatch) -> Planes:
    """As on a GPU."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "_is_compiled", lambda frames: False)
        return filtered(frames, loop_filter)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 112), (400, 64)])
def test_both_ways_to_compute_it_agree(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = join_frames([picture(height, width, seed=seed) for seed in (0, 1)])
    for seed in range(3):
        loop_filter = draw(seed)
        one, other = filtered(frames, loop_filter), by_torch(frames, loop_filter, monkeypatch)
        for kind in "yuv":
            assert float((getattr(one, kind) - getattr(other, kind)).abs().max()) < 2e-6


def test_without_weights_nothing_changes() -> None:
    frame = picture(48, 64)
    found = filtered(frame, torch.zeros(FILTER_SIZE, dtype=torch.int32))
    assert all(torch.equal(getattr(found, kind), getattr(frame, kind)) for kind in "yuv")


def test_frames_are_filtered_each_alone() -> None:
    parts, loop_filter = [picture(32, 48, seed=seed) for seed in (0, 1)], draw(0)
    both = filtered(join_frames(parts), loop_filter)
    for number, part in enumerate(parts):
        alone = filtered(part, loop_filter)
        assert all(torch.equal(getattr(both, kind)[number], getattr(alone, kind)[0]) for kind in "yuv")


def predicted(found: Fit, weights: np.ndarray) -> float:
    luma, chroma = weights[: 2 * LUMA_TERMS], weights[2 * LUMA_TERMS :]
    parts = zip((luma, chroma), found.grams, found.slopes, strict=True)
    return found.error + sum(float(w @ gram @ w - 2 * slope @ w) for w, gram, slope in parts)


def weighed_error(frame: Planes, original: Planes, weights: Tensor | None) -> float:
    if weights is None:
        return float(squared_error(frame, original)[0]) * frame.y.numel()
    return float((squared_error_map(frame, original, PATCH)[0] * weights).sum())


@pytest.mark.parametrize("weigh", [None, lambda: torch.linspace(0.2, 3, 12).view(3, 4)])
def test_a_fit_says_what_a_filter_leaves(
    weigh: Callable[[], Tensor] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly, where it looks at every line and nothing is cut off at black and white."""
    monkeypatch.setattr(loop_filter_fit, "FITTED_LINES", 1)
    original = picture(48, 64, noise=0).map(lambda plane: 0.3 + 0.4 * plane)
    generator = torch.Generator().manual_seed(3)
    decoded = original.map(lambda plane: plane + 0.02 * torch.randn(plane.shape, generator=generator) - 0.01)
    weights = None if weigh is None else weigh()
    found = fit(decoded, original, weights)
    assert found.error == pytest.approx(weighed_error(decoded, original, weights), rel=1e-4)
    for seed in range(4):
        loop_filter = draw(seed, largest=3)
        left = weighed_error(filtered(decoded, loop_filter), original, weights)
        assert predicted(found, loop_filter.numpy() * UNITS) == pytest.approx(left, rel=1e-3)


def test_the_best_weights_take_noise_and_a_wrong_brightness_away() -> None:
    original = picture(96, 128, noise=0).map(lambda plane: 0.3 + 0.4 * plane)
    generator = torch.Generator().manual_seed(3)
    decoded = original.map(lambda plane: plane + 0.015 * torch.randn(plane.shape, generator=generator) - 2.5 / 255)
    found = fit(decoded, original, None)
    ideal = [np.linalg.solve(gram + 1e-4 * np.diag(np.diag(gram)), slope)
             for gram, slope in zip(found.grams, found.slopes, strict=True)]  # fmt: skip
    loop_filter = torch.from_numpy((np.concatenate(ideal) / UNITS).round().clip(-255, 255).astype(np.int32))
    made = filtered(decoded, loop_filter)
    assert float(squared_error(made, original)[0]) < 0.35 * float(squared_error(decoded, original)[0])
    for kind in "yuv":
        assert abs(float((getattr(made, kind) - getattr(original, kind)).mean())) < 0.2 / 255
