"""Where in a video more is looked at: regions that get more bits, taken from elsewhere.

    gain g over a share a of the frame      errors inside count g^(1-a) times as much as without, outside g^(-a) times

The geometric mean over the frame stays 1. A patch's bits grow with the logarithm of what its errors count, so the size
stays about the same. Pictures are coded at a somewhat higher quality; elsewhere than inside, small latents are dropped
and the quantiser (codec/latent_coder.py) gives up what is not worth it. A decoder knows nothing of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.errors import UsageError
from stpcodec.latents.chunk import PATCH
from stpcodec.model.rates import LAMBDA_LARGEST, LAMBDA_SMALLEST

_DEAD = 0.9
"""Of a step: latents below are dropped where errors count a little less than 1; compared with 0.6 and 1.2."""
_RAISED = 0.25
"""Of the largest weight, as a logarithm; compared with 0, 0.5 and 1 (docs/targets.md)."""
GAIN = 4.0
LARGEST_GAIN = 64.0
_LOG_LAMBDA_STEP = math.log(LAMBDA_LARGEST / LAMBDA_SMALLEST) / 99  # of a whole quality


@dataclass(frozen=True)
class Region:
    """Luma samples [x, x + width) × [y, y + height), times start <= t < end in seconds of the source's time stamps.

    gain: how many times errors inside count as much as outside; below 1: less.
    """

    x: int
    y: int
    width: int
    height: int
    gain: float = GAIN
    start_seconds: float = -math.inf
    end_seconds: float = math.inf

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise UsageError(f"region {self}: needs x and y of 0 or more, width and height of 1 or more")
        if not 1 / LARGEST_GAIN <= self.gain <= LARGEST_GAIN:
            raise UsageError(f"region {self}: its gain must be {1 / LARGEST_GAIN:g} to {LARGEST_GAIN:g}")
        if not self.start_seconds < self.end_seconds:
            raise UsageError(f"region {self}: ends before it begins")

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height},{self.gain:g}"

    def shares(self, height: int, width: int) -> Tensor:
        """How much of each patch lies inside: ``[height/16, width/16]``, 0 to 1; sides of the padded frame."""
        rows = _overlap(self.y, self.y + self.height, height // PATCH)
        columns = _overlap(self.x, self.x + self.width, width // PATCH)
        return rows[:, None] * columns[None, :]


@dataclass(frozen=True)
class Interest:
    """Where regions overlap, their gains multiply."""

    regions: tuple[Region, ...]

    def weights(self, seconds: float, height: int, width: int) -> Tensor | None:
        """What errors in each patch count: ``[height/16, width/16]``, geometric mean 1; None where all count alike."""
        logs = torch.zeros(height // PATCH, width // PATCH)
        for region in self.regions:
            if region.start_seconds <= seconds < region.end_seconds:
                logs += math.log(region.gain) * region.shares(height, width)
        if not bool((logs != logs.flatten()[0]).any()):
            return None
        return torch.exp(logs - logs.mean())


def raised(quality: int, weights: Tensor) -> tuple[int, Tensor]:
    """The quality to code a picture with, and the weights that are left beside it.

    Finer steps everywhere cost bits everywhere, so the quality makes up for a part of the largest weight alone.
    """
    steps = round(_RAISED * math.log(float(weights.max())) / _LOG_LAMBDA_STEP)
    higher = max(1, min(100, quality + steps))
    return higher, weights * math.exp(-_LOG_LAMBDA_STEP * (higher - quality))


def quietened(y: Tensor, weights: Tensor) -> Tensor:
    """Latents ``[1, C, h, w]`` in steps, without those that a coarser quantiser, right for their weight, would drop.

    Before the hyper-latents are made of them: the prior must not be told to expect what will not come.
    """
    return torch.where(y.abs() < _DEAD / weights.clamp(max=1).sqrt(), y * (weights >= 1), y)


def _overlap(start: int, end: int, count: int) -> Tensor:
    """Share of each of `count` stretches of 16 samples inside [start, end)."""
    edges = torch.arange(count, dtype=torch.float32) * PATCH
    return ((edges + PATCH).clamp(max=end) - edges.clamp(min=start)).clamp(min=0) / PATCH
