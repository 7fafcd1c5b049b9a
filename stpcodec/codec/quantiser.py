"""Rate-distortion-optimised quantisation of latents, compiled by Numba: the encoder's alone."""

from __future__ import annotations

import numpy as np
from numba import float32, int32

from stpcodec.compiled import compiled
from stpcodec.latents.quantise import SIXTEENTHS


@compiled()
def quantise(y, at, means, table, weights, bits, area, most):  # type: ignore[no-untyped-def]
    """int32 symbols of latents y (float32, in steps) at the flat positions `at`, given means in sixteenths.

    The rounded value or the next one towards zero, whichever costs less: weights·(error in steps)² + bits. weights
    float32 of every latent, or per channel of `area` positions each, empty to round alone; bits ``[rows, 2·L + 2]``,
    table: its row for each symbol. Looks at each symbol alone: what it does to the prior of later steps is left out.
    Symbols are at most `most`.
    """
    symbols = np.empty(at.shape[0], np.int32)
    largest, each = (bits.shape[1] - 2) // 2, weights.shape[0] == y.shape[0]
    for number in range(at.shape[0]):
        wanted = y[at[number]] - float32(means[number]) / float32(SIXTEENTHS)
        rounded = np.rint(wanted)
        size = int32(min(abs(rounded), float32(most)))
        if 0 < size <= largest and weights.shape[0]:
            weight, sign = weights[at[number] if each else at[number] // area], 1 if rounded > 0 else -1
            line, best, start = bits[table[number]], float32(np.inf), size
            for other in range(start, start - 2, -1):
                error = abs(wanted) - float32(other)
                cost = weight * error * error + line[sign * other + largest]
                if cost < best:
                    best, size = cost, int32(other)
        symbols[number] = size if rounded > 0 else -size
    return symbols
