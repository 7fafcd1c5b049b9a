"""The quantiser against every value there is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.codec.quantiser import quantise

CHANNELS, AREA, LARGEST = 3, 8, 20


def draw(seed: int, spread: float) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    y = (random.normal(size=CHANNELS * AREA) * spread).astype(np.float32)
    at = np.flatnonzero(random.random(y.size) < 0.7)
    means = random.integers(-40, 41, at.size, np.int32)
    table = random.integers(0, 4, at.size).astype(np.uint8)
    bits = np.abs(np.arange(-LARGEST, LARGEST + 2)) * np.array([[0.1], [0.5], [1.5], [4]]) + 0.3
    return y, at, means, table, random.uniform(0.05, 3, CHANNELS).astype(np.float32), bits.astype(np.float32)


@given(seed=st.integers(0, 500), spread=st.sampled_from([0.5, 4.0, 15.0, 200.0]), each=st.booleans())
def test_the_cheaper_of_two(seed: int, spread: float, each: bool) -> None:
    y, at, means, table, weights, bits = draw(seed, spread)
    every = np.repeat(weights, AREA)
    if each:
        every = every * np.random.default_rng(seed).uniform(0.1, 3, every.shape).astype(np.float32)
    found = quantise(y, at, means, table, every if each else weights, bits, AREA, 100)
    wanted = y[at].astype(np.float64) - means / 16
    for number, symbol in enumerate(found.tolist()):
        x = wanted[number]
        rounded = int(np.clip(np.rint(x), -100, 100))
        sign = 1 if rounded >= 0 else -1
        if not 0 < abs(rounded) <= LARGEST:
            assert symbol == rounded
            continue
        costs = {
            sign * size: every[at[number]] * (abs(x) - size) ** 2 + bits[table[number], sign * size + LARGEST]
            for size in (abs(rounded) - 1, abs(rounded))
        }
        assert costs[symbol] <= min(costs.values()) + 1e-3


@given(seed=st.integers(0, 100))
def test_rounds_where_nothing_is_weighed(seed: int) -> None:
    y, at, means, table, _, bits = draw(seed, 5.0)
    none = np.zeros(0, np.float32)
    found = quantise(y, at, means, table, none, bits, AREA, 100)
    np.testing.assert_array_equal(found, np.rint(y[at] - means.astype(np.float32) / np.float32(16)).astype(int))
