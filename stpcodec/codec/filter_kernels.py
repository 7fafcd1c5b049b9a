"""Compiled search for a loop filter's integers (filter_choice.py), in float64, sums in the order that is written."""

from __future__ import annotations

import math

import numpy as np

from stpcodec.compiled import compiled
from stpcodec.latents.loop_filter import LARGEST_WEIGHT

exact = compiled()


@exact
def rounded(ideal, inverse, before, prices, weights):  # type: ignore[no-untyped-def]
    """Fills weights int64 ``[n]``, one after the other, each leaving what is best for the rest: the ideal float64
    ``[n]`` of a Gaussian with covariance `inverse` ``[n, n]``, conditioned on those that are chosen. Both are used up.

    before: the weights that hold; prices float32 ``[2·L + 2]``: bits of each change, the last one of those beyond.
    """
    count = len(ideal)
    column = np.empty(count)
    for number in range(count):
        spread = inverse[number, number]
        weights[number] = _cheapest(ideal[number], 1 / spread, before[number], before[number], prices)
        moved = weights[number] - ideal[number]
        for other in range(count):
            column[other] = inverse[other, number] / spread
        for other in range(count):
            ideal[other] += column[other] * moved
        line = inverse[number].copy()
        for row in range(count):
            for other in range(count):
                inverse[row, other] -= column[row] * line[other]
        inverse[number, number] = 1.0


@exact
def improved(gram, left, before, prices, weights, sweeps):  # type: ignore[no-untyped-def]
    """Moves each weight to where error and bits are least, the others standing still; up to `sweeps` times all of them.
    gram float64 ``[n, n]``; left ``[n]``: slope less gram·weights, kept so."""
    count = len(weights)
    for _ in range(sweeps):
        moved = False
        for number in range(count):
            sensitivity = gram[number, number] + 1e-9
            there = weights[number] + left[number] / sensitivity
            chosen = _cheapest(there, sensitivity, weights[number], before[number], prices)
            if chosen != weights[number]:
                for other in range(count):
                    left[other] -= gram[other, number] * (chosen - weights[number])
                weights[number], moved = chosen, True
        if not moved:
            return


@exact
def _cheapest(ideal, sensitivity, now, before, prices):  # type: ignore[no-untyped-def]
    """Of integers near the ideal, the one now and the one before: least error and bits."""
    largest = (len(prices) - 2) // 2
    best, least = now, np.inf
    low = math.floor(min(max(ideal, -LARGEST_WEIGHT), LARGEST_WEIGHT - 1))
    for tried in (before, now, low, low + 1):
        change = abs(tried - before)
        if change > largest:
            price = float(prices[-1]) + 2 * math.log2(change)
        else:
            price = float(prices[largest + tried - before])
        cost = sensitivity * (tried - ideal) ** 2 + price
        if cost < least:
            best, least = tried, cost
    return best
