"""How much better than asked for the frame that opens a segment is coded: all that follows is predicted from it.

What a better first frame costs is paid back by every frame in which it comes back as it was; so it is worth more where
little moves. And it is worth less at high qualities: there, noise is coded, which no frame has from another. Measured:
docs/ablations.md.
"""

from __future__ import annotations

from torch import Tensor

from stpcodec.codec.planning import SCALES, best_blocks, small_picture
from stpcodec.model.block_cost import prediction_cost, texture_cost
from stpcodec.model.rates import INTRA_BONUS

STILL, MOVING = 0.35, 0.55
"""Of what a later frame would cost alone, what it costs when predicted from the first: at most and at least so much."""
MOVING_BONUS, LESS_BY_QUALITY = 32, 0.18
"""Where it is so much: at quality 0, and how much less by every quality."""
_NOTHING = 1e-6
"""Bits a sample."""


def opening_bonus(first: Tensor, later: Tensor, quality: int) -> int:
    """In qualities. first, later: luma ``[H, W]`` in [0, 1] of the first frame and one of the next eight."""
    scale = SCALES[-1]
    reference, picture = small_picture(first, scale), small_picture(later, scale)
    predicted = best_blocks(picture, reference, scale.reach)
    share = prediction_cost(picture, predicted) / max(texture_cost(picture), _NOTHING)
    moving = min(max((share - STILL) / (MOVING - STILL), 0.0), 1.0)
    return round((1 - moving) * INTRA_BONUS + moving * (MOVING_BONUS - LESS_BY_QUALITY * quality))
