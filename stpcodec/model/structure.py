"""How MS-SSIM (Wang, Simoncelli, Bovik 2003) would have a picture changed: what an encoder follows for `--tune ssim`.

Not for measuring, for which evaluation/perceptual.py has the package that the field knows.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the finest scale first."""
WINDOW, SPREAD = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_LEAST = 0.01
"""Of a scale's similarity, which may be none at all."""


def structural_slope(made: Tensor, wanted: Tensor) -> Tensor:
    """How 1 − MS-SSIM of luma ``[H, W]`` in [0, 1] changes with each sample of `made`, ``[H, W]``.

    Of as many of the five scales as the picture has room for, their weights scaled to a sum of 1.
    """
    scales = [
        weight for halvings, weight in enumerate(SCALE_WEIGHTS) if min(made.shape) >> halvings >= WINDOW
    ]  # fmt: skip
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(made.device.type, enabled=False):
        sample = made.detach().float().clone().requires_grad_(True)
        pair = torch.stack((sample, wanted.detach().float().clone()))[:, None]
        maps = []
        for number in range(len(scales)):
            structure, both = _similarities(pair)
            maps.append(both if number == len(scales) - 1 else structure)
            pair = F.avg_pool2d(pair, 2)
        # Sums by numpy: those of torch depend on the number of threads, and with them the bytes would.
        values = [max(_LEAST, float(part.detach().cpu().numpy().mean(dtype=np.float64))) for part in maps]
        shares = [weight / sum(scales) for weight in scales]
        product = float(np.prod([value**share for value, share in zip(values, shares, strict=True)]))
        parts = [
            share * product / value * part.sum() / part.numel()
            for share, value, part in zip(shares, values, maps, strict=True)
        ]
        slope: Tensor = torch.autograd.grad(-torch.stack(parts).sum(), sample)[0]
    return slope


def _similarities(pair: Tensor) -> tuple[Tensor, Tensor]:
    """(of contrast and structure, of luminance too) of every window, of two pictures ``[2, 1, H, W]``."""
    places = torch.arange(WINDOW, dtype=torch.float32, device=pair.device) - WINDOW // 2
    window = torch.exp(-places.square() / (2 * SPREAD**2))
    window = window / window.sum()
    one, other = pair[:1], pair[1:]
    moments = torch.cat((one, other, one * one, other * other, one * other))
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        moments = F.conv2d(moments, window.view(shape))
    mean, other_mean, square, other_square, product = moments
    both_means = mean * other_mean
    squared_means = mean * mean + other_mean * other_mean
    structure = (2 * (product - both_means) + _C2) / (square + other_square - squared_means + _C2)
    return structure, structure * (2 * both_means + _C1) / (squared_means + _C1)
