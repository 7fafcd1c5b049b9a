"""Blocks of the float networks (analysis and synthesis) and quality-dependent gains."""

from __future__ import annotations

from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUALITIES = 100
QUALITY_POINTS = 8


def point_qualities() -> Tensor:
    """Where the trained points of a `QualityTable` lie: ``[QUALITY_POINTS]``."""
    return 1 + (QUALITIES - 1) * torch.arange(QUALITY_POINTS) / (QUALITY_POINTS - 1)


class Block(nn.Module):
    """Depthwise-separable residual block, then a feed-forward one: 6·C² multiplications a position.

    After DCVC-RT's depth block (Jia et al. 2025). Its last layers start at zero, so a new block is the identity:
    a network grows deeper without forgetting.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.reduce = nn.Conv2d(2 * channels, channels, 1)
        for layer in (self.leave, self.reduce):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.leave(self.depthwise(F.leaky_relu(self.enter(x), 0.1)))
        return x + self.reduce(F.relu(self.expand(x)))


def blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def zero_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1×1 convolution that starts at zero: the network behind it adds nothing until trained."""
    conv = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class QualityTable(nn.Module):
    """A vector per quality 1..100, linear between trained points.

    ``forward(quality [B]) -> [B, channels, 1, 1]``; of a quality for every place ``[B, h, w] -> [B, channels, h, w]``.
    """

    def __init__(self, channels: int, initial: float = 0.0):
        super().__init__()
        self.points = nn.Parameter(torch.full((QUALITY_POINTS, channels), initial))
        self.offsets: Tensor | None = None

    def shifted(self, offsets: Tensor) -> QualityTable:
        """The same table, each channel's own at the quality + offsets int32 ``[channels]``."""
        other = copy(self)
        other.offsets = offsets.to(self.points.device)
        return other

    def forward(self, quality: Tensor) -> Tensor:
        if self.offsets is not None:
            index, fraction = _between(shifted_quality(quality, self.offsets))
            channel = torch.arange(index.shape[1], device=index.device).view(1, -1, 1, 1)
            return torch.lerp(self.points[index, channel], self.points[index + 1, channel], fraction)
        index, fraction = _between(quality)
        found = torch.lerp(self.points[index], self.points[index + 1], fraction[..., None])
        return found[:, :, None, None] if quality.dim() == 1 else found.permute(0, 3, 1, 2)


def _between(quality: Tensor) -> tuple[Tensor, Tensor]:
    """(the trained point below, how much of the way to the next one) of qualities."""
    position = (quality.float() - 1) * ((QUALITY_POINTS - 1) / (QUALITIES - 1))
    low = position.floor().clamp(0, QUALITY_POINTS - 2)
    return low.long(), position - low


def shifted_quality(quality: Tensor, offsets: Tensor) -> Tensor:
    """``[B]`` or ``[B, h, w]`` to ``[B, channels, 1 or h, 1 or w]``: of every channel, within 1 to 100."""
    places = quality[:, None, None, None] if quality.dim() == 1 else quality[:, None]
    return (places + offsets.to(quality.device).view(1, -1, 1, 1)).clamp(1, QUALITIES)


def twice_as_fine(quality: Tensor) -> Tensor:
    """A quality for every place of a grid, for one of twice as many rows and columns; others as they are."""
    if quality.dim() < 2:
        return quality
    return quality.repeat_interleave(2, -2).repeat_interleave(2, -1)


class LinearPatch(nn.Module):
    """The linear codec inside: patches ``[B, P, h, w]`` to latents and back by one matrix each way.

    Starts as an orthonormal basis (`set_basis`); the residual networks only learn what is left.
    """

    def __init__(self, patch_channels: int, latent_channels: int):
        super().__init__()
        self.forward_matrix = nn.Conv2d(patch_channels, latent_channels, 1, bias=False)
        self.inverse_matrix = nn.Conv2d(latent_channels, patch_channels, 1, bias=False)

    # Single precision whatever the networks around it run in: a latent of 200 steps in bfloat16 is off by one.
    def analyse(self, patches: Tensor) -> Tensor:
        with torch.autocast(patches.device.type, enabled=False):
            return F.conv2d(patches.float(), self.forward_matrix.weight.float())

    def synthesise(self, latents: Tensor) -> Tensor:
        with torch.autocast(latents.device.type, enabled=False):
            return F.conv2d(latents.float(), self.inverse_matrix.weight.float())

    def set_basis(self, basis: Tensor, weights: Tensor | None = None) -> None:
        """basis ``[latent_channels, patch_channels]`` with orthonormal rows, of patches times `weights`."""
        if weights is None:
            weights = basis.new_ones(basis.shape[1])
        with torch.no_grad():
            self.forward_matrix.weight.copy_((basis * weights)[:, :, None, None])
            self.inverse_matrix.weight.copy_((basis / weights).T[:, :, None, None])
