"""Probability tables: what is refused, and Gaussians that are Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.entropy.tables import TableSet, gaussian_counts
from stpcodec.errors import ModelError


def test_columns_are_symbols_and_an_escape() -> None:
    tables = TableSet(np.ones((3, 12), dtype=np.int64))
    assert (tables.rows, tables.largest, tables.escape) == (3, 5, 11)


@pytest.mark.parametrize(
    "counts",
    [
        np.ones(12, dtype=np.int64),  # one row without its axis
        np.ones((2, 11), dtype=np.int64),  # odd: no escape column
        np.ones((2, 2), dtype=np.int64),  # nothing but zero and the escape
        np.ones((2, 12)),  # floats
        np.zeros((2, 12), dtype=np.int64),  # impossible symbols
        np.full((2, 12), 1 << 24, dtype=np.int64),  # no longer exact in every step
        -np.ones((2, 12), dtype=np.int64),
        np.ones((0, 12), dtype=np.int64),
    ],
    ids=["one axis", "odd", "too narrow", "float", "zero", "too large", "negative", "no rows"],
)
def test_tables_that_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(ModelError, match="probability tables") as caught:
        TableSet(counts)
    assert "\n" not in str(caught.value)


@given(scale=st.floats(0.1, 200), largest=st.integers(1, 300))
def test_gaussian_counts_are_a_distribution(scale: float, largest: int) -> None:
    counts = gaussian_counts(scale, largest)
    assert counts.shape == (2 * largest + 2,)
    assert counts.min() >= 1
    assert abs(int(counts.sum()) - (1 << 22)) <= counts.size, "the total is kept up to rounding and the floor of 1"
    symbols, mirrored = counts[:-1], counts[-2::-1]
    assert np.abs(symbols - mirrored).max() <= 1, "symmetric"
    assert (np.diff(counts[: largest + 1]) >= 0).all(), "falls from the middle"


@pytest.mark.parametrize("scale", [0.11, 1.0, 13.0, 160.0])
def test_gaussian_counts_have_the_scale_asked_for(scale: float) -> None:
    largest = 1000
    counts = gaussian_counts(scale, largest)[:-1] - 1.0
    values = np.arange(-largest, largest + 1)
    deviation = math.sqrt((counts * values**2).sum() / counts.sum())
    if scale < 0.5:
        # Narrower than a bin: P(|x| > 1/2) is what is left outside the middle one.
        outside = math.erfc(0.5 / (scale * math.sqrt(2)))
        assert 1 - counts[largest] / counts.sum() == pytest.approx(outside, abs=1e-6)
    else:
        # A unit bin adds the variance of a uniform distribution (Sheppard's correction).
        assert deviation == pytest.approx(math.sqrt(scale**2 + 1 / 12), rel=2e-3)


def test_escape_takes_the_tails() -> None:
    counts = gaussian_counts(10.0, 10)
    expected = math.erfc(10.5 / (10 * math.sqrt(2))) * (1 << 22)
    assert counts[-1] == pytest.approx(expected, abs=2)
