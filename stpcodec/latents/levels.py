"""Which parts of a picture are coded better or worse than its quality says: one level per 32×32 luma region.

    level l      its patches have the picture's quality + 5·l, cut to 1..100, in everything that a quality decides
    no levels    as all at level 0

A picture's levels hold for what is predicted from it, until a picture says others. They are coded row by row, each
knowing the ones before, and those that hold until then: where nothing changes, that costs hardly anything.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.latents.chunk import PATCH

LEVEL_REGION = 32
LEVEL_STEP = 5
"""Qualities a level: errors count e^0.27 = 1.31 times as much, and steps are 0.87 times as wide."""
LARGEST_LEVEL = 8
_SIDE = LEVEL_REGION // PATCH
LARGEST_CHANGE = 2 * LARGEST_LEVEL
LEVEL_CONTEXTS = 6
"""Three where nothing is known from before, by how unlike the neighbours are; three beside it, by how many of them
changed."""
DECAY_OF_100 = (35, 50, 65, 3, 20, 45)
"""How much rarer a change by one more is, in each context. A choice; not measured."""


def level_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of levels of a padded picture."""
    return -(-height // LEVEL_REGION), -(-width // LEVEL_REGION)


def level_counts() -> Tensor:
    """int64 ``[LEVEL_CONTEXTS, 2·LARGEST_CHANGE + 2]``: frequencies of changes −LARGEST_CHANGE to LARGEST_CHANGE, and
    of what is beyond, which there is not."""
    sizes = [abs(change) for change in range(-LARGEST_CHANGE, LARGEST_CHANGE + 1)]
    return torch.tensor(
        [[*(max(1, 2**16 * decay**size // 100**size) for size in sizes), 1] for decay in DECAY_OF_100]
    )


def patch_qualities(levels: Tensor, quality: int, height: int, width: int) -> Tensor:
    """Levels int32 ``[rows, columns]`` to the quality of every patch of a grid, int32 ``[height, width]``."""
    found = (quality + LEVEL_STEP * levels).clamp(1, 100)
    return found.repeat_interleave(_SIDE, 0).repeat_interleave(_SIDE, 1)[:height, :width].contiguous()
