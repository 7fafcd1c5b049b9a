"""Quantisation of latents: units, rounding, the scale grid, and the companding the prior sees.

Quantised latents are integers in sixteenths: ``y_sixteenths = 16 · symbol + mean_sixteenths`` with the mean in
1/16 steps (DESIGN.md §5), so they are exact everywhere and may be context for what is coded next.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

SIXTEENTHS = 16
"""Units of a decoded latent and of the integer prior's activations: 1/16."""
SCALE_COUNT = 64
SCALE_SMALLEST = 0.11
SCALE_LARGEST = 160.0
"""Standard deviations are log-spaced, ~12 % apart; 0.11 rounds to zero with probability 1 - 5e-6."""
LIMIT = 127
"""Activations of the integer prior lie within ±LIMIT."""
LARGEST_HYPER = 7
"""Hyper-latents z lie within ± so much."""
LARGEST_MEAN = 2047
LARGEST_SYMBOL = 16383
_COMPAND_LENGTH = 4096


def scales() -> Tensor:
    """Float64 ``[SCALE_COUNT]``: the standard deviation, in quantiser steps, behind every scale index."""
    step = torch.arange(SCALE_COUNT, dtype=torch.float64) / (SCALE_COUNT - 1)
    ratio = SCALE_LARGEST / SCALE_SMALLEST
    return SCALE_SMALLEST * ratio**step


@cache
def _compand_table() -> tuple[int, ...]:
    # round(16·log2(1 + k/16)) >= n  <=>  (16 + k)^32 >= 2^(2n - 1) · 16^32, in exact integers: no libm here.
    table, n = [], 0
    for k in range(_COMPAND_LENGTH):
        while n < LIMIT and (SIXTEENTHS + k) ** 32 >= 2 ** (2 * n + 1) * SIXTEENTHS**32:
            n += 1
        table.append(n)
    return tuple(table)


def compand(y_sixteenths: Tensor) -> Tensor:
    """Integer latents (sixteenths, any shape) to sign·round(16·log2(1 + |y|)) within ±127, as float32 integers.

    The prior's 8-bit activations hold a latent of 0.1 and one of 200 alike this way.
    """
    table = _compand_tensor(y_sixteenths.device)
    size = y_sixteenths.abs().clamp(max=_COMPAND_LENGTH - 1).long()
    return table[size] * torch.sign(y_sixteenths).float()


@cache
def _compand_tensor(device: torch.device) -> Tensor:
    return torch.tensor(_compand_table(), dtype=torch.float32, device=device)


def compand_table() -> np.ndarray:
    """float32: `compand` of 0, 1, ...; what is larger counts as the last."""
    return np.array(_compand_table(), np.float32)


def compand_smooth(y: Tensor) -> Tensor:
    """The same curve on real latents (units of one step), with its gradient: for the encoder and for training."""
    return torch.sign(y) * SIXTEENTHS * torch.log2(1 + y.abs())


def compand_trained(y: Tensor) -> Tensor:
    """`compand` in the forward pass, the gradient of `compand_smooth` in the backward pass."""
    smooth = compand_smooth(y).clamp(-LIMIT, LIMIT)
    return smooth + (compand((y.detach() * SIXTEENTHS).round()) - smooth.detach())


def round_through(value: Tensor) -> Tensor:
    """Rounding with the identity's gradient (straight-through estimator, Bengio 2013)."""
    return value + (value.detach().round() - value.detach())


def floor_through(value: Tensor) -> Tensor:
    return value + (value.detach().floor() - value.detach())
