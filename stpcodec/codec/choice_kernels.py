"""Compiled coding of a grid of choices (latents/blend.py): contexts and range coder in one, since each half of a row is
what the next one's contexts look at."""

from __future__ import annotations

import numpy as np

from stpcodec.compiled import compiled
from stpcodec.entropy.range_kernels import DONE, decode_symbols, encode_symbols
from stpcodec.latents.blend import CHOICES

IMPOSSIBLE = 100
"""Beside what decode_symbols says: a choice that does not exist."""

exact = compiled()


@exact
def decode_choices(words, escapes, state, cumulative, choice):  # type: ignore[no-untyped-def]
    """Fills choice int32 ``[h, w]`` of zeros."""
    for row in range(choice.shape[0]):
        for half in range(min(2, choice.shape[1])):
            contexts = _contexts(choice, row, half)
            values = np.empty(len(contexts), np.int32)
            outcome = decode_symbols(words, escapes, state, cumulative, contexts, values)
            if outcome != DONE:
                return outcome
            for number in range(len(values)):
                found = values[number] + 1
                if found < 0 or found >= CHOICES:
                    return IMPOSSIBLE
                choice[row, 2 * number + half] = found
    return DONE


@exact
def encode_choices(state, cumulative, choice, words, escapes):  # type: ignore[no-untyped-def]
    """choice int32 ``[h, w]``; the rest as of encode_symbols. Nothing of it is escaped."""
    count = 0
    for row in range(choice.shape[0]):
        for half in range(min(2, choice.shape[1])):
            values = choice[row, half::2] - np.int32(1)
            written, _ = encode_symbols(
                state, cumulative, values, _contexts(choice, row, half), words[count:], escapes
            )
            count += written
    return count, 0


@exact
def _contexts(choice, row, half):  # type: ignore[no-untyped-def]
    """Of the even or odd columns of a row: blend.walk_blend."""
    width = choice.shape[1]
    contexts = np.empty((width - half + 1) // 2, np.int32)
    for number in range(len(contexts)):
        column = 2 * number + half
        above = choice[row - 1, column] if row else 0
        if half:
            first, last = choice[row, column - 1], choice[row, column + 1] if column + 1 < width else 0
        else:
            first = choice[row - 1, column - 1] if row and column else 0
            last = choice[row - 1, column + 1] if row and column + 1 < width else 0
        contexts[number] = (above * CHOICES + first) * CHOICES + last + half * CHOICES**3
    return contexts
