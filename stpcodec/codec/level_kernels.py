"""Compiled coding of a grid of levels (latents/levels.py): contexts and range coder in one, value by value."""

from __future__ import annotations

import numpy as np
from numba import int32

from stpcodec.codec.choice_kernels import IMPOSSIBLE
from stpcodec.compiled import compiled
from stpcodec.entropy.range_kernels import DONE, decode_symbols, encode_symbols
from stpcodec.latents.levels import LARGEST_LEVEL

exact = compiled()


@exact
def decode_levels(words, escapes, state, cumulative, before, levels):  # type: ignore[no-untyped-def]
    """Fills levels int32 ``[rows, columns]``; before: those that held until then, of no size where there are none."""
    value = np.empty(1, np.int32)
    for row in range(levels.shape[0]):
        for column in range(levels.shape[1]):
            context, expected = _expected(before, levels, row, column)
            outcome = decode_symbols(words, escapes, state, cumulative, context, value)
            if outcome != DONE:
                return outcome
            found = expected + value[0]
            if abs(found) > LARGEST_LEVEL:
                return IMPOSSIBLE
            levels[row, column] = found
    return DONE


@exact
def encode_levels(state, cumulative, before, levels, words, escapes):  # type: ignore[no-untyped-def]
    """The mirror; words, escapes: as of encode_symbols. Nothing of it is escaped."""
    count, value = 0, np.empty(1, np.int32)
    for row in range(levels.shape[0]):
        for column in range(levels.shape[1]):
            context, expected = _expected(before, levels, row, column)
            value[0] = levels[row, column] - expected
            written, _ = encode_symbols(state, cumulative, value, context, words[count:], escapes)
            count += written
    return count, 0


@exact
def level_contexts(before, levels, contexts, changes):  # type: ignore[no-untyped-def]
    """Fills contexts and changes int32, both of the shape of levels: what is coded, by which table."""
    for row in range(levels.shape[0]):
        for column in range(levels.shape[1]):
            context, expected = _expected(before, levels, row, column)
            contexts[row, column], changes[row, column] = context[0], levels[row, column] - expected


@exact
def _expected(before, levels, row, column):  # type: ignore[no-untyped-def]
    """(context int32 ``[1]``, the level that is most likely). Only what lies before in order of coding is looked at."""
    context = np.empty(1, np.int32)
    if before.size:
        changed = 0
        if row:
            changed += levels[row - 1, column] != before[row - 1, column]
        if column:
            changed += levels[row, column - 1] != before[row, column - 1]
        context[0] = 3 + changed
        return context, before[row, column]
    left = levels[row, column - 1] if column else (levels[row - 1, column] if row else int32(0))
    above = levels[row - 1, column] if row else left
    corner = levels[row - 1, column - 1] if row and column else left
    # The median of left, above and what goes on evenly from both (LOCO-I, Weinberger et al. 2000).
    lower, upper = min(left, above), max(left, above)
    if corner >= upper:
        expected = lower
    elif corner <= lower:
        expected = upper
    else:
        expected = left + above - corner
    context[0] = min(upper - lower, int32(2))
    return context, expected
