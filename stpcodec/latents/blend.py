"""Which of its two references predicts each block of a picture: both (their mean), or one where the other is hidden.

One choice per 16×16 luma block, coded row by row, in a row the even columns first: those know the three
blocks above, the odd ones their neighbours left, right and above.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 16
BOTH, ONLY_PAST, ONLY_FUTURE = range(3)
CHOICES = 3
BLEND_CONTEXTS = 2 * CHOICES**3


def walk_blend(choice: Tensor) -> Iterator[tuple[tuple[int, slice], Tensor]]:
    """The order of coding of ``[h, w]``: (index of the part, context of each of its blocks).

    A part is read only after it was yielded, so a decoder may fill it in. Outside the picture all is BOTH.
    """
    height, width = choice.shape
    for row in range(height):
        above = choice[row - 1] if row else torch.zeros_like(choice[0])
        above = F.pad(above, (1, 1))
        context = (above[1:-1] * CHOICES + above[:-2]) * CHOICES + above[2:]
        yield (row, slice(0, None, 2)), context[::2]
        if width > 1:
            known = F.pad(choice[row], (0, 1))
            left, right = known[0:width:2][: width // 2], known[2 : width + 1 : 2]
            context = (above[2:-1:2] * CHOICES + left) * CHOICES + right
            yield (row, slice(1, None, 2)), context + CHOICES**3


def blend_weights(choice: Tensor) -> Tensor:
    """Choices ``[..., h, w]`` to the weight of the past reference at 1/8 resolution ``[..., 2h, 2w]``: 0, ½ or 1."""
    weight = torch.where(choice == BOTH, 0.5, torch.where(choice == ONLY_PAST, 1.0, 0.0))
    return weight.repeat_interleave(BLOCK // 8, -2).repeat_interleave(BLOCK // 8, -1)
