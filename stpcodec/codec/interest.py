"""Where in a video more is looked at: regions that get more bits, taken from elsewhere.

    gain g over a share a of the frame      errors inside count g^(1-a) times as much as without, outside g^(-a) times

The geometric mean over the frame stays 1. A patch's bits grow with the logarithm of what its errors count, so the size
stays about the same. Weights become levels of quality (latents/levels.py), which are coded with the picture.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.codec.activity import activity_weights
from stpcodec.codec.tune import PSNR, SSIM, check_tune
from stpcodec.errors import UsageError
from stpcodec.latents.chunk import PATCH, to_integers
from stpcodec.latents.levels import LARGEST_LEVEL, LEVEL_REGION, LEVEL_STEP
from stpcodec.model.rates import LOG_LAMBDA_STEP

_STAYS = 0.75
"""Of a level."""
GAIN = 4.0
LARGEST_GAIN = 64.0


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
    """What counts more. Where regions overlap, their gains multiply. tune: see tune.py."""

    regions: tuple[Region, ...] = ()
    tune: str = PSNR

    def __post_init__(self) -> None:
        check_tune(self.tune)

    @property
    def remark(self) -> str:
        """For a header."""
        tuned = [f"tune {self.tune}"] if self.tune != PSNR else []
        places = [f"regions {zlib.crc32(repr(self.regions).encode()):08x}"] if self.regions else []
        return "; ".join(tuned + places)

    def weights(self, times: Sequence[float], luma: Tensor) -> Tensor:
        """What errors in each patch of a chunk count, ``[H/16, W/16]``, geometric mean 1.

        times: of its frames, in seconds; a region counts if any of them lies in it. luma: of its last frame, padded,
        ``[H, W]`` in [0, 1].
        """
        height, width = luma.shape
        logs = torch.zeros(height // PATCH, width // PATCH)
        for region in self.regions:
            if any(region.start_seconds <= time < region.end_seconds for time in times):
                logs += math.log(region.gain) * region.shares(height, width)
        weights = torch.exp(logs - logs.mean())
        return weights * activity_weights(luma) if self.tune == SSIM else weights


def levels_of(weights: Tensor, held: Tensor | None) -> Tensor | None:
    """Levels int32 (latents/levels.py) at which errors count what weights ``[H/16, W/16]`` say, as nearly as can be.

    held: those that hold otherwise. One of them stays unless another is nearer by a quarter of a level at least, since
    every change has to be said. None: all 0, and so they are without a word.
    """
    side = LEVEL_REGION // PATCH
    beyond = (0, -weights.shape[1] % side, 0, -weights.shape[0] % side)
    logs = F.pad(weights.log()[None, None].float(), beyond, "replicate")
    wanted = F.avg_pool2d(logs, side)[0, 0] / (LOG_LAMBDA_STEP * LEVEL_STEP)
    levels = wanted.round().clamp(-LARGEST_LEVEL, LARGEST_LEVEL)
    if held is not None:
        levels = torch.where((wanted - held).abs() < _STAYS, held, levels)
    elif not bool(levels.any()):
        return None
    return to_integers(levels)


def _overlap(start: int, end: int, count: int) -> Tensor:
    """Share of each of `count` stretches of 16 samples inside [start, end)."""
    edges = torch.arange(count, dtype=torch.float32) * PATCH
    return ((edges + PATCH).clamp(max=end) - edges.clamp(min=start)).clamp(min=0) / PATCH
