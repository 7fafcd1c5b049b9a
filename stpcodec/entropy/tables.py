"""Probability tables: integer counts that encoder and decoder turn into the same coder models.

A table row holds counts of the symbols -L..L and of the escape. Rows of one `TableSet` share L.
Counts are integers below 2**24, so the float64 division that makes probabilities of them is exact to the last
bit on every IEEE machine, and so is the quantisation after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stpcodec.errors import ModelError

LARGEST_COUNT = 1 << 24
WHOLE = 1 << 24
"""Parts that the symbols of a table share."""


@dataclass(frozen=True)
class TableSet:
    """counts: int64 ``[rows, 2·L + 2]``, all at least 1; the last column is the escape."""

    counts: np.ndarray

    def __post_init__(self) -> None:
        counts = self.counts
        if (
            counts.ndim != 2
            or counts.shape[0] < 1
            or counts.shape[1] < 4
            or counts.shape[1] % 2
            or not np.issubdtype(counts.dtype, np.integer)
        ):
            raise ModelError(
                f"probability tables of shape {counts.shape} and type {counts.dtype}: not [rows, 2L + 2] integers"
            )
        if counts.min() < 1 or counts.max() >= LARGEST_COUNT:
            raise ModelError(f"probability tables hold counts {counts.min()}..{counts.max()}, allowed are 1..2**24 - 1")

    @cached_property
    def cumulative(self) -> np.ndarray:
        """uint32 ``[rows, 2·L + 3]``: of 2**24 parts those before each symbol, and all of them.

        Every symbol has one part, the others are shared out by the counts, the sum before each symbol rounded down: in
        float64, which is rounded alike everywhere, in constriction's order of operations (`Categorical`, not perfect).
        """
        counts = self.counts.astype(np.float64)
        symbols = counts.shape[1]
        sums = np.cumsum(counts / counts.sum(1, keepdims=True), axis=1)
        parts = np.floor(sums[:, :-1] * ((WHOLE - symbols) / sums[:, -1:])) + np.arange(1, symbols)
        edges = np.zeros((self.rows, 1)), parts, np.full((self.rows, 1), WHOLE)
        return np.concatenate(edges, axis=1).astype(np.uint32)

    @property
    def rows(self) -> int:
        return int(self.counts.shape[0])

    @property
    def largest(self) -> int:
        """L: symbols beyond ±L are escaped."""
        return int(self.counts.shape[1] - 2) // 2

    @cached_property
    def bits(self) -> np.ndarray:
        """float32 ``[rows, 2·L + 2]``: what each symbol costs."""
        counts = self.counts.astype(np.float64)
        return (-np.log2(counts / counts.sum(1, keepdims=True))).astype(np.float32)

    @property
    def escape(self) -> int:
        return int(self.counts.shape[1]) - 1


def gaussian_counts(scale: float, largest: int, total: int = 1 << 22) -> np.ndarray:
    """Counts ``[2·largest + 2]`` of a zero-mean Gaussian in unit bins, tails beyond ±largest on the escape."""
    edges = [0.5 * math.erfc(-(k - 0.5) / (scale * math.sqrt(2))) for k in range(-largest, largest + 2)]
    probability = np.append(np.diff(edges), edges[0] + 1 - edges[-1])
    return np.maximum(1, np.round(probability * total)).astype(np.int64)
