"""How well a loop filter would do: what an encoder chooses one by (codec/filter_choice.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.latents.loop_filter import CHROMA_TERMS, LUMA_TERMS
from stpcodec.model.bands import cut
from stpcodec.model.loop_filter import padded
from stpcodec.model.loop_filter_kernels import BLOCK, OFFSET, chroma_terms, describe, luma_terms
from stpcodec.model.planes import Planes
from stpcodec.model.rates import CHROMA_WEIGHT, LUMA_WEIGHT
from stpcodec.model.side_by_side import side_by_side

FITTED_LINES = 2
"""One line of so many is looked at."""


@dataclass(frozen=True)
class Fit:
    """What a filter's weights w are worth: the error of a picture is `error − 2·slope·w + w·gram·w`, in squared 8-bit
    errors weighed as rates.squared_error does, summed over the picture; of luma and of chroma alone, as each has
    weights of its own.

    gram float64 ``[2·LUMA_TERMS]²``, ``[CHROMA_TERMS + 2]²``.
    """

    grams: tuple[np.ndarray, np.ndarray]
    slopes: tuple[np.ndarray, np.ndarray]
    error: float


def fit(decoded: Planes, original: Planes, weights: Tensor | None) -> Fit:
    """Of frames on any device, by one line in FITTED_LINES. weights: PictureTask.weights."""
    decoded, original = decoded.to("cpu"), original.to("cpu")
    share = None if weights is None else weights.cpu()
    luma = _moments(decoded.y, original.y, share, LUMA_WEIGHT / 8, 2 * LUMA_TERMS)
    chroma = np.zeros((CHROMA_TERMS + 3, CHROMA_TERMS + 3))
    for number, name in enumerate(("u", "v")):
        one, other = getattr(decoded, name), getattr(original, name)
        # The plane's own offset, the last of its terms, has a place among those of both.
        places = [*range(CHROMA_TERMS), CHROMA_TERMS + number, CHROMA_TERMS + 2]
        chroma[np.ix_(places, places)] += _moments(one, other, share, 4 * CHROMA_WEIGHT / 8, CHROMA_TERMS + 1)
    grams, slopes = ([part(luma), part(chroma)] for part in (_gram, _slope))
    return Fit((grams[0], grams[1]), (slopes[0], slopes[1]), float(luma[-1, -1] + chroma[-1, -1]))


def _gram(moments: np.ndarray) -> np.ndarray:
    return moments[:-1, :-1]


def _slope(moments: np.ndarray) -> np.ndarray:
    return moments[:-1, -1]


def _moments(decoded: Tensor, original: Tensor, share: Tensor | None, weight: float, terms: int) -> np.ndarray:
    """float64 ``[terms + 1]²``: products of all terms and, last, of what is missing, summed over planes
    ``[N, H, W]``."""
    side = PATCH if terms == 2 * LUMA_TERMS else PATCH // 2
    total = np.zeros((terms + 1, terms + 1))
    sources = padded(decoded)
    for number in range(len(decoded)):

        def of_band(start: int, stop: int, number: int = number) -> np.ndarray:
            source = sources[number].numpy()
            # A row of patches at a time, which stays in the processor's cache.
            found = torch.empty(terms + 1, side // FITTED_LINES, decoded.shape[2])
            blocks = np.empty((3, side // BLOCK, decoded.shape[2] // BLOCK), np.float32)
            flat, sums = found.view(terms + 1, -1), np.zeros((terms + 1, terms + 1))
            for row in range(start, stop):
                if side == PATCH:
                    describe(source, side // BLOCK * row, blocks)
                    luma_terms(source, blocks, side // BLOCK * row, FITTED_LINES, found.numpy())
                else:
                    chroma_terms(source, side * row, FITTED_LINES, found.numpy())
                    found[terms - 1] = OFFSET
                lines = slice(side * row, side * (row + 1), FITTED_LINES)
                torch.sub(original[number, lines], decoded[number, lines], out=found[-1])
                if share is not None:
                    found *= share[row].sqrt().repeat_interleave(side)
                sums += (flat @ flat.T).numpy()
            return sums

        bands = [partial(of_band, band.start, band.stop) for band in cut(decoded.shape[1] // side, 0)]
        total += sum(side_by_side(bands))
    return total * (weight * 255.0**2 * FITTED_LINES)
