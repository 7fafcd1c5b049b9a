"""Symbols in the order of their tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.entropy.order import by_table


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
@given(count=st.integers(0, 300), rows=st.integers(1, 200), seed=st.integers(0, 99))
def test_is_a_stable_sort(kind: type, count: int, rows: int, seed: int) -> None:
    index = np.random.default_rng(seed).integers(0, rows, count).astype(kind)
    order, starts = by_table(index, rows)
    np.testing.assert_array_equal(order, np.argsort(index, kind="stable"))
    np.testing.assert_array_equal(starts, np.searchsorted(np.sort(index), np.arange(rows + 1)))
