"""Which loop filter a picture gets: none, the one that holds, or one of its own, by what each saves and costs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.codec.filter_coder import encode_filter
from stpcodec.codec.filter_kernels import improved, rounded
from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.loop_filter import FILTER_SIZE, LUMA_TERMS, UNITS
from stpcodec.model.loop_filter_fit import Fit

LEAST_GAIN = 40.0
"""Bits that the best filter has to save beside the one that holds, before one is looked for that can be sent."""
RIDGE = 1e-4
"""Of its own square that is added to every term: where terms are nearly the same, none of their weights gets large."""
SWEEPS = 4
OVERHEAD = 24.0
"""Bits of a stream that a filter shares with the rest of its picture."""
PARTS = (slice(0, 2 * LUMA_TERMS), slice(2 * LUMA_TERMS, FILTER_SIZE))
_UNITS = np.array(UNITS)


def choose_filter(fit: Fit, held: Tensor | None, worth: float, tables: TableSet) -> tuple[Tensor | None, bool]:
    """(the filter that the picture gets, None for none; whether it is one of its own, which has to be sent).

    worth: bits of a squared error.
    """
    parts = [
        _Part(worth * np.outer(_UNITS[part], _UNITS[part]) * gram, worth * _UNITS[part] * slope)
        for part, gram, slope in zip(PARTS, fit.grams, fit.slopes, strict=True)
    ]
    best, saved = None, 0.0
    if held is not None:
        known = held.numpy().astype(np.float64)
        gain = sum(part.gain(known[where]) for part, where in zip(parts, PARTS, strict=True))
        if gain > 0:
            best, saved = held, gain
    if sum(part.most for part in parts) < saved + LEAST_GAIN:
        return best, False
    prices = tables.bits[0 if held is None else 1]
    before = np.zeros(FILTER_SIZE, np.int64) if held is None else held.numpy().astype(np.int64)
    found = [part.best(before[where], prices) for part, where in zip(parts, PARTS, strict=True)]
    sent = torch.from_numpy(np.concatenate(found).astype(np.int32))
    coder = SymbolEncoder()
    encode_filter(coder, sent, tables, before=held)
    gain = sum(part.gain(weights.astype(np.float64)) for part, weights in zip(parts, found, strict=True))
    gain -= 8 * len(coder.finish()) - OVERHEAD
    return (sent, True) if gain > saved else (best, False)


class _Part:
    """Of luma or of chroma: bits saved by weights n, in units of a filter's integers, are 2·slope·n − n·gram·n."""

    def __init__(self, gram: np.ndarray, slope: np.ndarray) -> None:
        self._gram, self._slope = gram, slope
        self._inverse = np.linalg.inv(gram + np.diag(RIDGE * np.diag(gram) + 1e-6))
        self._ideal = self._inverse @ slope
        self.most = self.gain(self._ideal)

    def gain(self, weights: np.ndarray) -> float:
        return float(2 * self._slope @ weights - weights @ self._gram @ weights)

    def best(self, before: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """int64 weights that save most beside what they cost as changes to those before."""
        weights = np.zeros(len(before), np.int64)
        rounded(self._ideal.copy(), self._inverse.copy(), before, prices, weights)
        improved(self._gram, self._slope - self._gram @ weights, before, prices, weights, SWEEPS)
        return weights
