"""Where the synthesis network takes part, if not everywhere or nowhere: one flag per 64×64 luma region of a picture.

In a still background the network's small errors would add up from frame to frame, beside a moving thing it is worth
much. Flags are coded in the order of choices between references (blend.py), by fixed tables.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES

REGION = 64
EVERYTHING, LINEAR = 0, 1
"""Flags: with the network, or prediction and linear path alone."""
SHARE_OF_1024 = (96, 352, 672, 928)
"""How often a region is LINEAR, by how many of the three it knows are. A choice; not measured."""


def region_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of regions of a padded picture."""
    return -(-height // REGION), -(-width // REGION)


def region_counts() -> Tensor:
    """int32 ``[BLEND_CONTEXTS, CHOICES + 1]``: frequencies of flags less one, as those of choices; the others are 1."""
    context = torch.arange(BLEND_CONTEXTS)
    linear = sum(((context // CHOICES**place) % CHOICES == LINEAR).int() for place in range(3))
    share = torch.tensor(SHARE_OF_1024, dtype=torch.int32)[linear]
    rest = torch.ones_like(share)
    return torch.stack((1024 - share, share, rest, rest), 1)


def network_share(regions: Tensor, height: int, width: int) -> Tensor:
    """Flags int32 ``[rows, columns]`` to float ``[height, width]`` at 1/8 resolution: 1 with the network, else 0."""
    share = (regions == EVERYTHING).float()
    side = REGION // 8
    return share.repeat_interleave(side, 0).repeat_interleave(side, 1)[:height, :width]
