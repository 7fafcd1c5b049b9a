"""The prior at work on one picture: step by step, what tables and means its latents have.

On the CPU a frozen integer prior runs by compiled kernels and by matrix products of exactly the positions and channels
that a step codes; anything else runs as it was written. Both give the same integers, since every sum is exact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.quantise import LARGEST_HYPER, SIXTEENTHS, compand, compand_table
from stpcodec.model.prior import (
    INDEX_PER_UNIT,
    QUIET_INDEX,
    QUIET_MEAN,
    IntegerBlock,
    IntegerLayer,
    IntegerPrior,
    coding_groups,
    power_of_two,
)
from stpcodec.model.prior_kernels import activate_in_place, add_and_activate, compand_into, depthwise, take_head
from stpcodec.model.quality import Quality, batched
from stpcodec.model.transform import Prior

assert INDEX_PER_UNIT / SIXTEENTHS == 0.5, "take_head halves"

Features = TypeVar("Features")


class StepwiseRun:
    """By the prior's own methods, on any device. z int32 ``[hyper, h', w']``; previous int32 ``[latents, h, w]`` in
    sixteenths, or None; size is (h, w). quality: see model/quality.py."""

    def __init__(
        self, prior: Prior, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int],
        device: torch.device,
    ) -> None:  # fmt: skip
        self._prior, self._size, self._device = prior, size, device
        self._quality = batched(quality, device)
        seen = None if previous is None else compand(previous[None].to(device))
        with torch.autocast(device.type, enabled=False):  # see CompiledRun
            self._features = prior.begin(z[None].float().to(device), seen, self._quality, size)

    def step(self, number: int, y: np.ndarray) -> np.ndarray:
        known = compand(torch.from_numpy(y)[None].to(self._device)) if number else None
        with torch.autocast(self._device.type, enabled=False):
            index, mean = self._prior.step(number, self._features, known, self._quality)
        part = self._prior.mask(number, *self._size, device=self._device)
        index = torch.where(part, index[0], 0.0)
        here = part.cpu().numpy()
        y[here] = mean[0].cpu().numpy().astype(np.int32)[here]
        return index.to("cpu", torch.uint8).numpy()


class _Layer:
    """A frozen layer with its power of two multiplied in: ``x @ weight + bias``, floored, is what it says."""

    def __init__(self, layer: IntegerLayer) -> None:
        assert layer.frozen is not None
        weight, bias, shift = layer.frozen
        scale = power_of_two(-shift)
        self.weight = (weight * scale).T.contiguous()
        self.bias = ((bias + power_of_two(shift - 1).floor()) * scale)[:, 0].contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """Not floored."""
        return torch.addmm(self.bias, x, self.weight)

    def activated(self, x: Tensor) -> Tensor:
        out = self(x)
        activate_in_place(out.numpy())
        return out


class _Block:
    def __init__(self, block: IntegerBlock) -> None:
        first = _Layer(block.depthwise)
        self._weight, self._bias = first.weight.numpy(), first.bias.numpy()
        self._pointwise = _Layer(block.pointwise)

    def __call__(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """``[h·w, channels]``; size is (h, w)."""
        inner = torch.empty_like(x)
        depthwise(x.numpy(), *size, self._weight, self._bias, inner.numpy())
        out = self._pointwise(inner)
        add_and_activate(out.numpy(), x.numpy(), out.numpy())
        return out


class CompiledPrior:
    """A `LaidOutPrior` in float32; prior_int8.py has another, for processors with 8-bit products."""

    def __init__(self, prior: IntegerPrior) -> None:
        assert prior.frozen is not None
        self._latents, self._steps, self._previous = prior.latents, prior.steps, prior.previous
        self._from_hyper, self._join = _Layer(prior.from_hyper), _Layer(prior.join)
        self._up_32, self._up_16 = _Layer(prior.up_32), _Layer(prior.up_16)
        self._mix_64, self._mix_32 = _Block(prior.mix_64), _Block(prior.mix_32)
        self._trunk = [_Block(block) for block in prior.trunk]  # type: ignore[arg-type]
        self._enter = [_Layer(layer) for layer in prior.enter]  # type: ignore[arg-type]
        self._mix = [_Block(block) for block in prior.mix]  # type: ignore[arg-type]
        self._heads = [self._by_group(_Layer(layer)) for layer in prior.heads]  # type: ignore[arg-type]
        self._join_quality = prior.frozen["join_quality"].numpy()
        self._index_quality = prior.frozen["index_quality"].numpy()
        self._table = compand_table()

    def _by_group(self, head: _Layer) -> list[tuple[Tensor, Tensor]]:
        """(weight, bias) of the indices and means of every group of channels."""
        parts = []
        for group in range(self._steps):
            index = torch.arange(group, self._latents, self._steps)
            both = torch.cat((index, self._latents + index))
            parts.append((head.weight[:, both].contiguous(), head.bias[both].contiguous()))
        return parts

    def begin(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> Tensor:
        hyper, height, width = z.shape
        sixteenths = z.clamp(-LARGEST_HYPER, LARGEST_HYPER) * SIXTEENTHS
        x = sixteenths.float().view(hyper, -1).T.contiguous()
        x = self._mix_64(self._from_hyper.activated(x), (height, width))
        x = doubled(self._up_32.activated(x), height, width).flatten(0, 1)
        height, width = 2 * height, 2 * width
        x = self._mix_32(x, (height, width))
        x = doubled(self._up_16.activated(x), height, width)[: size[0], : size[1]].flatten(0, 1)
        if self._previous:
            x = F.pad(x, (0, self._latents))
            if previous is not None:
                seen = np.ascontiguousarray(previous.numpy(), np.int32).reshape(self._latents, -1)
                compand_into(seen, self._table, x.numpy()[:, -self._latents :])
        out = self._join(x)
        add_and_activate(out.numpy(), offsets_of(self._join_quality, quality), out.numpy())
        for block in self._trunk:
            out = block(out, size)
        return out

    def step(
        self, number: int, features: Tensor, y: np.ndarray, quality: Quality, size: tuple[int, int]
    ) -> np.ndarray:
        flat = y.reshape(self._latents, -1)
        x = features
        if number:
            x = F.pad(features, (0, self._latents))
            compand_into(flat, self._table, x.numpy()[:, -self._latents :])
        x = self._mix[number](self._enter[number].activated(x), size)
        index = np.zeros(flat.shape, np.uint8)
        offsets = offsets_of(self._index_quality, quality)
        for group, positions in enumerate(step_positions(number, self._steps, *size)):
            if len(positions) and group < self._latents:
                weight, bias = self._heads[number][group]
                head = torch.addmm(bias, x[positions], weight).numpy()
                take_head(
                    head, positions.numpy(), group, self._steps, offsets, QUIET_MEAN, QUIET_INDEX, index, flat
                )  # fmt: skip
        return index.reshape(y.shape)


class LaidOutPrior(Protocol[Features]):
    """A frozen IntegerPrior on the CPU, laid out for `CompiledRun`."""

    def begin(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> Features: ...
    def step(
        self, number: int, features: Features, y: np.ndarray, quality: Quality, size: tuple[int, int]
    ) -> np.ndarray: ...


class CompiledRun(Generic[Features]):
    """As `StepwiseRun`, and the same integers."""

    def __init__(
        self, prior: LaidOutPrior[Features], z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]
    ) -> None:
        self._prior, self._quality, self._size = prior, quality, size
        # A caller's own mixed precision would round the prior's sums to eight bits.
        with torch.autocast("cpu", enabled=False):
            self._features = prior.begin(z, previous, quality, size)

    def step(self, number: int, y: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", enabled=False):
            return self._prior.step(number, self._features, y, self._quality, self._size)


def offsets_of(table: np.ndarray, quality: Quality) -> np.ndarray:
    """Lines of a table ``[100, channels]``: one for all positions, or one for each."""
    if isinstance(quality, int):
        return table[quality - 1 : quality]
    return table[quality.numpy().reshape(-1) - 1]


def doubled(x: Tensor, height: int, width: int) -> Tensor:
    """Pixel shuffle: ``[h·w, 4·channels]`` to ``[2h, 2w, channels]``."""
    channels = x.shape[1] // 4
    return x.view(height, width, channels, 2, 2).permute(0, 3, 1, 4, 2).reshape(2 * height, 2 * width, channels)


@lru_cache(maxsize=64)
def step_positions(number: int, steps: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Per group of channels the positions, counted row by row, that step `number` codes."""
    step = coding_groups(steps, height, width)
    return tuple((step[group] == number).flatten().nonzero()[:, 0] for group in range(steps))
