"""Compiled steps of latent_coder.py: from a step's scale indices to what is coded, and from symbols to latents."""

from __future__ import annotations

import numpy as np

from stpcodec.compiled import compiled
from stpcodec.latents.quantise import SIXTEENTHS

exact = compiled()


@exact
def coded_places(index, y):  # type: ignore[no-untyped-def]
    """Of index uint8 and y int32 ``[N]``, flattened: the positions int64 ``[K]`` whose index is above 0, their indices,
    and what y has there, their means."""
    count = 0
    for place in range(len(index)):
        count += index[place] > 0
    at, tables, means = np.empty(count, np.int64), np.empty(count, np.uint8), np.empty(count, np.int32)
    number = 0
    for place in range(len(index)):
        if index[place]:
            at[number], tables[number], means[number] = place, index[place], y[place]
            number += 1
    return at, tables, means


@exact
def add_symbols(y, at, symbols):  # type: ignore[no-untyped-def]
    """To latents in sixteenths, flattened."""
    for number in range(len(at)):
        y[at[number]] += SIXTEENTHS * symbols[number]
