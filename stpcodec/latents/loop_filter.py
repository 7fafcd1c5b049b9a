"""The integers of the adaptive loop filter: what corrects a decoded picture before others are predicted from it.

A Wiener filter that the encoder fits to the picture (the adaptive loop filter of VVC: Tsai et al. 2013, Karczewicz et
al. 2021). Not one filter for each of many classes of blocks, as there: one whose weights follow how busy a block is,
and which way its structure runs, in proportion. That takes few numbers, and no rounding error ever makes another class
of a block.

    filter[0:18]     luma, where nothing happens        weights, see model/loop_filter.py
    filter[18:36]    luma, where much happens           between them by how much does
    filter[36:42]    u and v
    filter[42:44]    u alone, v alone                   what is added everywhere

A picture's filter holds for what is predicted from it, until a picture says another one.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA_TERMS, CHROMA_TERMS = 18, 6
FILTER_SIZE = 2 * LUMA_TERMS + CHROMA_TERMS + 2
LARGEST_WEIGHT = 255
"""Of a filter's integers."""
LARGEST_DIRECT = 40
"""Changes beyond are escaped."""
_QUIET = (6, 6, 7, 8, 7, 4, 5, 6, 6, 4, 5, 4, 5, 5, 3, 2, 4, 5)
_BUSY = (8, 9, 9, 10, 9, 6, 7, 8, 8, 6, 7, 5, 5, 5, 4, 3, 4, 5)
_CHROMA = (6, 7, 8, 4, 5, 5, 5, 5)
SHIFTS = (*_QUIET, *_BUSY, *_CHROMA)
"""An integer n of a filter is a weight of n / 2^shift. As finely as pays in the middle of all qualities."""
UNITS = tuple(2.0**-shift for shift in SHIFTS)
"""The same as what one is worth."""
FILTER_CONTEXTS = 2
"""Of a segment's first filter, and of changes to one."""


def filter_counts() -> Tensor:
    """int64 ``[FILTER_CONTEXTS, 2·LARGEST_DIRECT + 2]``: frequencies of changes −LARGEST_DIRECT to LARGEST_DIRECT, and
    of what is beyond. After what encodes of 28 clips of `train` had: a few large ones among many small ones."""
    rows = []
    for of_none, kinds in zip(NONE, KINDS, strict=True):
        sizes = [
            1 + sum(first * decay**size // 100**size for first, decay in kinds) for size in range(1, LARGEST_DIRECT + 1)
        ]
        rows.append([*reversed(sizes), of_none, *sizes, BEYOND])
    return torch.tensor(rows)


NONE, BEYOND = (2**14, 3 * 2**14), 8
KINDS = ((2**13, 55), (2**11, 86)), ((2**13, 62), (2**10, 88))
"""Of each context, the small changes and the large ones: how frequent, and how many of 100 are left by a step more."""
