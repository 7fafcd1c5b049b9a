"""What small pictures say of bits: of blocks that are predicted, or that nothing is known of.

The logarithm of a block's error, as a rate-distortion curve has it: halving what is left takes the same from any error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8
"""Sides of the blocks, in samples of the small pictures."""
NOISE = 4.0
"""Squared 8-bit error that costs nothing: no coder would look at it."""


def prediction_cost(picture: Tensor, prediction: Tensor) -> float:
    """Bits a sample, mean over blocks; both ``[H, W]`` in [0, 1]."""
    return _bits(F.avg_pool2d((picture - prediction).square()[None], BLOCK, ceil_mode=True))


def texture_cost(picture: Tensor) -> float:
    """As `prediction_cost` of the mean of every block: what is left where nothing is known."""
    mean = F.avg_pool2d(picture[None], BLOCK, ceil_mode=True)
    spread = F.avg_pool2d(picture.square()[None], BLOCK, ceil_mode=True) - mean.square()
    return _bits(spread.clamp(min=0))


def _bits(error: Tensor) -> float:
    return float(0.5 * torch.log2(1 + 255**2 * error / NOISE).mean())
