"""How MS-SSIM (Wang, Simoncelli, Bovik 2003) would have a picture changed: what an encoder follows for `--tune ssim`.

Not for measuring, for which evaluation/perceptual.py has the package that the field knows. The finest of the five
scales is left out: it has 4 % of the weight, would take three quarters of the time, and squared errors look after it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_WEIGHTS = (0.2856, 0.3001, 0.2363, 0.1333)
"""Of the picture at half its size first."""
WINDOW, SPREAD = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_LEAST = 0.01
"""Of a scale's similarity, which may be none at all."""


def structural_slope(made: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """(1 − MS-SSIM of luma ``[H, W]`` in [0, 1], how it changes with each sample of `made`, ``[H, W]``).

    Of as many scales as the picture has room for; zero where it has for none. By hand rather than by autograd, which
    takes several times as long for the windows.
    """
    scales: list[tuple[float, float, Tensor]] = []
    one, other = (part.detach().float()[None] for part in (made, wanted))
    for number, weight in enumerate(SCALE_WEIGHTS):
        one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        if min(one.shape[1:]) < WINDOW:
            break
        last = number + 1 == len(SCALE_WEIGHTS) or min(one.shape[1:]) // 2 < WINDOW
        value, slope = _similarity(one, other, luminance=last)
        scales.append((weight, max(_LEAST, value), slope))
    product = math.prod(value**weight for weight, value, _ in scales)
    total = torch.zeros(1, 0, 0, device=made.device)
    for weight, value, slope in reversed(scales):
        total = _doubled(total, slope.shape[1:]) - weight * product / value * slope
    return 1 - product, _doubled(total, made.shape)[0]


def _similarity(one: Tensor, other: Tensor, *, luminance: bool) -> tuple[float, Tensor]:
    """Of two pictures ``[1, H, W]``: (mean over windows of the similarity of contrast and structure, and of luminance
    too if asked; how it changes with each sample of `one`)."""
    mean, other_mean, squares, product = _blurred(torch.cat((one, other, one * one + other * other, one * other)))
    both, sums = mean * other_mean, mean * mean + other_mean * other_mean
    below = squares - sums + _C2
    similar = (2 * (product - both) + _C2) / below
    of_product, of_squares = 2 / below, -similar / below
    of_mean = 2 * (similar * mean - other_mean) / below
    if luminance:
        bright = sums + _C1
        light = (2 * both + _C1) / bright
        of_mean = light * of_mean + similar * 2 * (other_mean - light * mean) / bright
        of_product, of_squares, similar = of_product * light, of_squares * light, similar * light
    # By numpy: a sum by torch depends on the number of threads, and with it the bytes would.
    value = float(similar.cpu().numpy().mean(dtype=np.float64))
    around = 2 * (WINDOW // 2)
    slopes = F.pad(torch.stack((of_mean, of_squares, of_product)), (around,) * 4)
    back = _blurred(slopes) / similar.numel()
    return value, (back[0] + 2 * one[0] * back[1] + other[0] * back[2])[None]


def _blurred(planes: Tensor) -> Tensor:
    """``[N, H, W]`` to ``[N, H − 10, W − 10]``: weighed sums over windows."""
    weights = [math.exp(-((place - WINDOW // 2) ** 2) / (2 * SPREAD**2)) for place in range(WINDOW)]
    for axis in (1, 2):
        count = planes.shape[axis] - WINDOW + 1
        total = torch.zeros_like(planes.narrow(axis, 0, count))
        for place, weight in enumerate(weights):
            total.add_(planes.narrow(axis, place, count), alpha=weight / sum(weights))
        planes = total
    return planes


def _doubled(slope: Tensor, size: torch.Size) -> Tensor:
    """Slopes of means of 2×2 samples as those of the samples: ``[1, h, w]`` to ``[1, *size]``, zero beyond."""
    samples = slope.repeat_interleave(2, 1).repeat_interleave(2, 2) / 4
    return F.pad(samples, (0, size[1] - samples.shape[2], 0, size[0] - samples.shape[1]))
