"""What symbols cost by their tables: the length of a stream shared out among the symbols in it."""

from __future__ import annotations

import numpy as np

from stpcodec.entropy.tables import TableSet

_PARTS = 1 << 24


def symbol_bits(values: np.ndarray, tables: TableSet, index: np.ndarray) -> np.ndarray:
    """Bits of each of `values` as `SymbolEncoder.encode` codes them, float64 of their shape.

    −log2 of the probability that the coder has, and eight bits for every byte of an escape. Their sum is the length of
    the stream but for its rounding up to words.
    """
    flat, rows = values.reshape(-1).astype(np.int64), index.reshape(-1)
    escaped = np.abs(flat) > tables.largest
    symbols = np.where(escaped, tables.escape, flat + tables.largest)
    bits = -np.log2(_probabilities(tables)[rows, symbols])
    for place in np.flatnonzero(escaped).tolist():
        code = 2 * (abs(int(flat[place])) - tables.largest - 1) + 1
        bits[place] += 8 * -(-code.bit_length() // 7)
    return bits.reshape(values.shape)


def _probabilities(tables: TableSet) -> np.ndarray:
    """float64 of the counts' shape: of 2**24 parts every symbol has one, so that all can be coded, and the rest
    is shared out. That is much to a symbol that was counted once."""
    counts = tables.counts.astype(np.float64)
    share = counts / counts.sum(1, keepdims=True)
    return (1 + share * (_PARTS - counts.shape[1])) / _PARTS
