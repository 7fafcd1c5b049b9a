"""Prices of symbols add up to the length of the stream."""

from __future__ import annotations

import numpy as np
import pytest

from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.entropy.cost import symbol_bits
from stpcodec.entropy.tables import TableSet, gaussian_counts


@pytest.mark.parametrize("spread", [0.3, 4.0, 60.0])
def test_prices_add_up_to_the_stream(spread: float) -> None:
    """60: most values are escaped."""
    random = np.random.default_rng(1)
    tables = TableSet(np.stack([gaussian_counts(scale, 20) for scale in (0.2, 1.0, 5.0)]))
    values = np.rint(random.normal(0, spread, (3, 2000))).astype(np.int32)
    index = np.broadcast_to(np.arange(3)[:, None], values.shape)
    coder = SymbolEncoder()
    coder.encode(values, tables, index)
    bits = symbol_bits(values, tables, index)
    assert bits.shape == values.shape
    assert bits.sum() == pytest.approx(8 * len(coder.finish()), rel=1e-4, abs=64)
