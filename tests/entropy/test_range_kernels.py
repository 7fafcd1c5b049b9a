"""Our range coder against constriction's, whose words the format has: the same tables, the same bytes."""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import WHOLE, TableSet, gaussian_counts

LARGEST = 6
QUEUE = constriction.stream.queue


def model(counts: np.ndarray) -> Any:
    floats = counts.astype(np.float64)
    return constriction.stream.model.Categorical(floats / floats.sum(), perfect=False, lazy=False)


def some_counts(kind: str, rows: int, random: np.random.Generator) -> np.ndarray:
    """One symbol of a "steep" row has nearly all, so that carries run far and words hold many symbols."""
    shape = (rows, 2 * LARGEST + 2)
    if kind == "flat":
        return random.integers(1, 50, shape)
    if kind == "wide":
        return np.maximum(1, 2.0 ** (23.9 * random.random(shape))).astype(np.int64)
    steep = np.ones(shape, np.int64)
    steep[np.arange(rows), random.integers(0, shape[1], rows)] = WHOLE - 1
    return steep


@pytest.mark.parametrize("kind", ["flat", "wide", "steep"])
@given(counts=st.lists(st.integers(0, 400), max_size=4), likely=st.booleans(), seed=st.integers(0, 10**6))
def test_words_are_constrictions(kind: str, counts: list[int], likely: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    tables = TableSet(some_counts(kind, 3, random))
    shares = tables.counts / tables.counts.sum(1, keepdims=True)
    ours, theirs = SymbolEncoder(), QUEUE.RangeEncoder()
    parts = []
    for count in counts:
        index = np.sort(random.integers(0, 3, count))
        if likely:
            symbols = [random.choice(shares.shape[1] - 1, p=shares[row, :-1] / shares[row, :-1].sum()) for row in index]
        else:
            symbols = random.integers(0, shares.shape[1] - 1, count).tolist()
        values = np.array(symbols, np.int32) - LARGEST
        ours.encode(values, tables, index)
        for row, symbol in zip(index.tolist(), symbols, strict=True):
            theirs.encode(int(symbol), model(tables.counts[row]))
        parts.append((values, index))
    data = ours.finish()
    words = theirs.get_compressed()
    if sum(counts):
        assert data[-4 * len(words) :] == words.astype("<u4").tobytes()
    decoder = SymbolDecoder(data)
    for values, index in parts:
        np.testing.assert_array_equal(decoder.decode(tables, index), values)


@pytest.mark.parametrize("kind", ["flat", "wide"])
def test_shares_are_constrictions(kind: str) -> None:
    """Of every symbol, from the state behind its coding alone."""
    tables = TableSet(np.vstack((some_counts(kind, 8, np.random.default_rng(1)), [gaussian_counts(0.3, LARGEST)])))
    scale = (2**64 - 1) // WHOLE
    for counts, cumulative in zip(tables.counts, tables.cumulative.tolist(), strict=True):
        for symbol in range(len(counts)):
            coder = QUEUE.RangeEncoder()
            coder.encode(symbol, model(counts))
            _, (lower, width) = coder.pos()
            left, right = cumulative[symbol : symbol + 2]
            if scale * (right - left) >= 2**32:  # otherwise a word has left already
                assert (lower, width) == (scale * left, scale * (right - left))


def test_shares_are_whole_and_none_is_empty() -> None:
    for kind in ("flat", "wide", "steep"):
        cumulative = TableSet(some_counts(kind, 50, np.random.default_rng(2))).cumulative.astype(np.int64)
        assert (np.diff(cumulative, axis=1) >= 1).all()
        assert (cumulative[:, 0] == 0).all()
        assert (cumulative[:, -1] == WHOLE).all()


def test_a_carry_runs_through_all_words_that_wait() -> None:
    """A likely symbol that ends just above the middle of everything holds words back for long."""
    tables = TableSet(np.array([[(1 << 23) - 1, 1 << 23, 1, 1]] * 2))
    random = np.random.default_rng(3)
    values = np.concatenate((np.zeros(3000), random.integers(-1, 2, 3000))).astype(np.int32)
    for count in range(1, 6000, 97):
        index = np.zeros(count, np.int32)
        ours, theirs = SymbolEncoder(), QUEUE.RangeEncoder()
        ours.encode(values[:count], tables, index)
        theirs.encode(values[:count] + 1, model(tables.counts[0]))
        words = theirs.get_compressed()
        assert ours.finish()[-4 * len(words) :] == words.astype("<u4").tobytes()
