"""The frozen integer prior by 8-bit matrix products, where the processor has instructions for them (VNNI).

The same integers as CompiledPrior's, which holds them in float32: sums of 8-bit products are exact in 32 bits, a power
of two is a shift. Four times as fast a product.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from stpcodec.latents.quantise import LARGEST_HYPER, LIMIT, SIXTEENTHS, compand_table
from stpcodec.model.prior import QUIET_INDEX, QUIET_MEAN, IntegerBlock, IntegerLayer, IntegerPrior
from stpcodec.model.prior_int8_kernels import (
    activate,
    activate_with_offset,
    add_and_activate,
    compand_into,
    depthwise,
    take_head,
)
from stpcodec.model.prior_run import doubled, offsets_of, step_positions
from stpcodec.model.quality import Quality


@cache
def eight_bit_products() -> bool:
    """Whether this processor multiplies 8-bit integers, and this torch does so exactly.

    Without VNNI sums of two products are saturated to 16 bits on their way, so the largest ones are tried.
    """
    if not getattr(torch.cpu, "_is_vnni_supported", lambda: False)() or not hasattr(torch, "_int_mm"):
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.full((64, 544), LIMIT, dtype=torch.int8), torch.full((544, 160), -LIMIT, dtype=torch.int8)
    x[32:] = torch.randint(-LIMIT, LIMIT + 1, (32, 544), generator=generator, dtype=torch.int8)
    weight[:, 80:] = torch.randint(-LIMIT, LIMIT + 1, (544, 80), generator=generator, dtype=torch.int8)
    try:
        found = torch._int_mm(x, weight)
    except RuntimeError:
        return False
    return torch.equal(found, (x.double() @ weight.double()).int())


class _Layer:
    """``(x @ weight + bias) >> shift``, of which the kernels do what is behind the product."""

    def __init__(self, layer: IntegerLayer) -> None:
        assert layer.frozen is not None
        weight, bias, shift = layer.frozen
        self.weight = weight.to(torch.int8).T.contiguous()
        self.shift = shift[:, 0].int().numpy()
        self.bias = bias[:, 0].int().numpy() + ((1 << self.shift) >> 1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 ``[positions, inputs]`` to the sums int32 ``[positions, outputs]``."""
        return product(x, self.weight)

    def activated(self, x: np.ndarray) -> np.ndarray:
        total = self(x)
        out = np.empty(total.shape, np.int8)
        activate(total, self.bias, self.shift, out)
        return out


class _Block:
    def __init__(self, block: IntegerBlock) -> None:
        self._first, self._pointwise = _Layer(block.depthwise), _Layer(block.pointwise)
        self._taps = self._first.weight.int().numpy()

    def __call__(self, x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int8 ``[h·w, channels]``; size is (h, w)."""
        inner = np.empty_like(x)
        depthwise(x, *size, self._taps, self._first.bias, self._first.shift, inner)
        out = np.empty_like(x)
        add_and_activate(self._pointwise(inner), self._pointwise.bias, self._pointwise.shift, x, out)
        return out


class Int8Prior:
    """As CompiledPrior, for `CompiledRun`; features are int8 ``[h·w, width]``."""

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
        self._join_quality = prior.frozen["join_quality"].int().numpy()
        self._index_quality = prior.frozen["index_quality"].int().numpy()
        self._table = compand_table().astype(np.int8)

    def _by_group(self, head: _Layer) -> list[tuple[Tensor, np.ndarray, np.ndarray]]:
        """(weight, bias, shift) of the indices and means of every group of channels."""
        parts = []
        for group in range(self._steps):
            index = np.arange(group, self._latents, self._steps)
            both = np.concatenate((index, self._latents + index))
            parts.append((head.weight[:, torch.from_numpy(both)].contiguous(), head.bias[both], head.shift[both]))
        return parts

    def begin(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> np.ndarray:
        hyper, height, width = z.shape
        sixteenths = z.clamp(-LARGEST_HYPER, LARGEST_HYPER) * SIXTEENTHS
        x = sixteenths.to(torch.int8).view(hyper, -1).T.contiguous().numpy()
        x = self._mix_64(self._from_hyper.activated(x), (height, width))
        x = _flat(doubled(torch.from_numpy(self._up_32.activated(x)), height, width))
        height, width = 2 * height, 2 * width
        x = self._mix_32(x, (height, width))
        x = _flat(doubled(torch.from_numpy(self._up_16.activated(x)), height, width)[: size[0], : size[1]])
        if self._previous:
            x = self._beside(x, None if previous is None else previous.numpy())
        total = self._join(x)
        out = np.empty(total.shape, np.int8)
        activate_with_offset(total, self._join.bias, self._join.shift, offsets_of(self._join_quality, quality), out)
        for block in self._trunk:
            out = block(out, size)
        return out

    def step(
        self, number: int, features: np.ndarray, y: np.ndarray, quality: Quality, size: tuple[int, int]
    ) -> np.ndarray:
        flat = y.reshape(self._latents, -1)
        x = self._beside(features, flat) if number else features
        x = self._mix[number](self._enter[number].activated(x), size)
        index = np.zeros(flat.shape, np.uint8)
        offsets = offsets_of(self._index_quality, quality)
        for group, positions in enumerate(step_positions(number, self._steps, *size)):
            if len(positions) and group < self._latents:
                weight, bias, shift = self._heads[number][group]
                where = positions.numpy()
                take_head(
                    product(x[where], weight), bias, shift, where, group, self._steps, offsets, QUIET_MEAN,
                    QUIET_INDEX, index, flat,
                )  # fmt: skip
        return index.reshape(y.shape)

    def _beside(self, features: np.ndarray, latents: np.ndarray | None) -> np.ndarray:
        """Features ``[h·w, width]`` and companded latents int32 ``[latents, ...]`` (none: zeros) beside each other."""
        positions, width = features.shape
        both = np.zeros((positions, width + self._latents), np.int8)
        both[:, :width] = features
        if latents is not None:
            seen = np.ascontiguousarray(latents, np.int32).reshape(self._latents, -1)
            compand_into(seen, self._table, both[:, width:])
        return both


def product(x: np.ndarray, weight: Tensor) -> np.ndarray:
    """int8 ``[M, K]`` by int8 ``[K, N]``: int32 ``[M, N]``."""
    # By way of one dimension: of a single line any stride is contiguous, and torch takes it for a transposed one.
    return torch._int_mm(torch.from_numpy(x.reshape(-1)).view(x.shape), weight).numpy()


def _flat(x: Tensor) -> np.ndarray:
    """``[h, w, channels]`` to ``[h·w, channels]``."""
    return x.reshape(-1, x.shape[-1]).numpy()
