"""A quality of 1 to 100: one for a whole picture, or one for each of its patches (latents/levels.py)."""

from __future__ import annotations

import torch
from torch import Tensor

Quality = int | Tensor
"""Of every patch: int32 ``[h, w]`` on the CPU."""


def lines_of(quality: Quality, lines: slice) -> Quality:
    """Of some lines of patches."""
    return quality if isinstance(quality, int) else quality[lines]


def batched(quality: Quality, device: torch.device) -> Tensor:
    """As the networks take it: ``[1]`` or ``[1, h, w]``."""
    return torch.tensor([quality], device=device) if isinstance(quality, int) else quality[None].to(device)
