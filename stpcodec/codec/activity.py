"""What errors count where the eye judges by structure: `--tune ssim`.

SSIM divides what it sees of an error by the variance around it: the same error shows in a wall and is lost in a lawn
(Wang et al. 2004). Weighed so by its second and third scale, where MS-SSIM (Wang et al. 2003) looks most, a picture
gets finer steps in even parts and coarser ones in busy parts: adaptive quantisation, as x264 does it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.chunk import PATCH

STRENGTH = 0.6
"""Exponent of what SSIM itself would say. Measured: docs/ablations.md."""
STABLE = (0.03 * 255) ** 2
"""SSIM's constant beside variances, in squared 8-bit samples."""
SCALES = ((0, 0.0448), (1, 0.0714), (2, 0.0188))
"""Halvings of the picture, and how much each counts in MS-SSIM."""
_WINDOW = 6


def activity_weights(luma: Tensor, strength: float = STRENGTH) -> Tensor:
    """Of a padded picture's luma ``[H, W]`` in [0, 1]: what errors in each patch count, ``[H/16, W/16]``, on the CPU.

    Their geometric mean is 1.
    """
    samples = 255 * luma.float()[None, None]
    total = torch.zeros(luma.shape[0] // PATCH, luma.shape[1] // PATCH, device=luma.device)
    for halvings, share in SCALES:
        total += share * _visible(samples, 1 << halvings)[0, 0]
    logs = strength * total.log()
    return torch.exp(logs - logs.mean()).cpu()


def _visible(samples: Tensor, scale: int) -> Tensor:
    """1 / (2·variance + SSIM's constant) of a coarser picture, mean over each patch."""
    coarse = F.avg_pool2d(samples, scale)
    stride = PATCH // scale
    around = F.pad(coarse, ((_WINDOW - 1) // 2, _WINDOW // 2) * 2, "replicate")
    mean, square = (F.avg_pool2d(part, _WINDOW, 1) for part in (around, around.square()))
    return F.avg_pool2d(1 / (2 * (square - mean.square()).clamp(min=0) + STABLE), stride)
