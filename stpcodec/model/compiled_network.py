"""The transforms' networks on the CPU in float32, for inference: matrix products over positions, little around them.

The same functions as network.ChunkNetwork, whose weights they take: activations lie position by position ``[h·w, C]``,
biases behind residual blocks are added once a stage, and 2×2 positions are joined and parted in an order that moves
whole lines of channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpcodec.model.config import LUMA_AND_CHROMA
from stpcodec.model.layers import Block, QualityTable
from stpcodec.model.network import GREY, ChunkNetwork

Size = tuple[int, int]


class CompiledNetwork:
    """One frame at a time. size: (h, w) at 1/8 resolution, even; packed frames are ``[h·w, 96]``, latents
    ``[h/2·w/2, latents]``."""

    def __init__(self, network: ChunkNetwork) -> None:
        self._inter, self._width, self._wide = network.inter, network.config.width, network.config.wide
        self._linear = _joined(_matrix(network.linear.forward_matrix), LUMA_AND_CHROMA)
        self._inverse = _joined(_matrix(network.linear.inverse_matrix).T, LUMA_AND_CHROMA).T.contiguous()
        if network.inter:
            weight, bias = _matrix(network.context_enter), _bias(network.context_enter)
            own, beside = weight[:LUMA_AND_CHROMA].contiguous(), weight[LUMA_AND_CHROMA:].contiguous()
            self._context = own, beside, bias - GREY * weight.sum(0)
            self._context_both = own + beside
            self._context_between = _matrix(network.context_between)
            self._context_blocks = _Blocks(network.context_blocks)
        self._analysis_enter = _matrix(network.analysis_enter), _bias(network.analysis_enter)
        self._analysis_blocks = _Blocks(network.analysis_blocks)
        down = network.analysis_down
        self._analysis_down = _joined(_matrix(down), self._width), _bias(down)
        self._analysis_wide = _Blocks(network.analysis_wide)
        self._analysis_leave = _matrix(network.analysis_leave), _bias(network.analysis_leave)
        self._synthesis_enter = _matrix(network.synthesis_enter), _bias(network.synthesis_enter)
        self._synthesis_wide = _Blocks(network.synthesis_wide)
        up = network.synthesis_up
        self._synthesis_up = (
            _joined(_matrix(up).T, self._width).T.contiguous(), _joined(_bias(up)[:, None], self._width)[:, 0],
        )  # fmt: skip
        self._synthesis_blocks = _Blocks(network.synthesis_blocks)
        self._synthesis_leave = _matrix(network.synthesis_leave), _bias(network.synthesis_leave)
        tables = ("analysis_quality", "synthesis_quality", "log_gain", "log_inverse_gain")
        self._tables: dict[str, QualityTable] = {name: getattr(network, name) for name in tables}
        self._of_quality = lru_cache(maxsize=400)(self._vector)

    def context(
        self, prediction: Tensor, reference: Tensor | None, difference: Tensor | None, size: Size
    ) -> Tensor:
        """Features ``[h·w, width]``; see ChunkNetwork.context."""
        own, beside, bias = self._context
        if reference is None:
            x = torch.addmm(bias, prediction, self._context_both)
        else:
            x = torch.addmm(bias, prediction, own).addmm_(reference, beside)
        if difference is not None:
            x.addmm_(difference, self._context_between)
        return self._context_blocks(x, size)

    def analyse(self, residual: Tensor, quality: int, features: Tensor | None, size: Size) -> Tensor:
        """Real latents in steps; residual: the packed frame less its prediction (GREY where there is none)."""
        weight, bias = self._analysis_enter
        x = torch.addmm(bias, residual, weight)
        if features is not None:
            x += features
        x *= self._of_quality("analysis_quality", quality)
        x = self._analysis_blocks(x, size)
        weight, bias = self._analysis_down
        x = torch.addmm(bias, _join(x, size), weight)
        x = self._analysis_wide(x, (size[0] // 2, size[1] // 2))
        weight, bias = self._analysis_leave
        y = torch.addmm(bias, x, weight).addmm_(_join(residual, size), self._linear)
        return y.mul_(self._of_quality("log_gain", quality))

    def syntheses(
        self, y: Tensor, quality: int, prediction: Tensor | None, features: Tensor | None, share: Tensor | None,
        size: Size,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Packed frames, not clamped, see ChunkNetwork.syntheses. prediction None: an intra frame, else features None:
        the linear path alone; share ``[h·w, 1]``: of the network where it does not count everywhere."""
        y = y * self._of_quality("log_inverse_gain", quality)
        plain = _part(y @ self._inverse, size)
        if prediction is None:
            plain += GREY
        else:
            plain += prediction
            if features is None:
                return plain, None
        weight, bias = self._synthesis_enter
        x = self._synthesis_wide(torch.addmm(bias, y, weight), (size[0] // 2, size[1] // 2))
        weight, bias = self._synthesis_up
        x = _part(torch.addmm(bias, x, weight), size)
        if features is not None:
            x += features
        x *= self._of_quality("synthesis_quality", quality)
        x = self._synthesis_blocks(x, size)
        weight, bias = self._synthesis_leave
        full = (plain + bias).addmm_(x, weight)
        # Chosen, not multiplied in: to the last bit what an encoder has put together from both.
        return plain, full if share is None else torch.where(share > 0, full, plain)

    def _vector(self, name: str, quality: int) -> Tensor:
        """``[channels]`` of a table; gains not as logarithms."""
        found = self._tables[name](torch.tensor([quality]))[0, :, 0, 0]
        return torch.exp(found) if name.startswith("log") else found


class _Blocks:
    """layers.blocks: their residual biases are kept apart and added behind the last block."""

    def __init__(self, blocks: Sequence[nn.Module] | nn.Sequential) -> None:
        self._parts = []
        total: Tensor | None = None
        for block in blocks:
            assert isinstance(block, Block)
            enter, expand = _matrix(block.enter), _matrix(block.expand)
            total = torch.zeros(enter.shape[0]) if total is None else total
            enter_bias = _bias(block.enter) + total @ enter
            total = total + _bias(block.leave)
            expand_bias = _bias(block.expand) + total @ expand
            total = total + _bias(block.reduce)
            self._parts.append((
                enter, enter_bias, block.depthwise.weight.detach().float(), _bias(block.depthwise),
                _matrix(block.leave), expand, expand_bias, _matrix(block.reduce),
            ))  # fmt: skip
        self._total = total

    def __call__(self, x: Tensor, size: Size) -> Tensor:
        """``[h·w, C]``; may change x."""
        for enter, enter_bias, depthwise, depthwise_bias, leave, expand, expand_bias, reduce in self._parts:
            inner = F.leaky_relu_(torch.addmm(enter_bias, x, enter), 0.1)
            seen = inner.view(1, *size, -1).permute(0, 3, 1, 2)
            seen = F.conv2d(seen, depthwise, depthwise_bias, padding=1, groups=depthwise.shape[0])
            x.addmm_(seen.permute(0, 2, 3, 1).reshape(-1, depthwise.shape[0]), leave)
            x.addmm_(torch.addmm(expand_bias, x, expand).relu_(), reduce)
        return x if self._total is None else x.add_(self._total)


def _matrix(conv: nn.Conv2d) -> Tensor:
    """Of a 1×1 convolution: ``x @ matrix``, ``[inputs, outputs]``."""
    return conv.weight.detach().float()[:, :, 0, 0].T.contiguous()


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach().float().clone()


def _joined(matrix: Tensor, channels: int) -> Tensor:
    """Rows in the order of pixel_unshuffle (channel, then place in the 2×2 positions) to that of `_join`."""
    return matrix.view(channels, 4, -1).transpose(0, 1).reshape(4 * channels, -1)


def _join(x: Tensor, size: Size) -> Tensor:
    """2×2 positions become one: ``[h·w, C]`` to ``[h/2·w/2, 4·C]``, place by place."""
    height, width = size
    x = x.view(height // 2, 2, width // 2, 2, -1).transpose(1, 2)
    return x.reshape(height * width // 4, -1)


def _part(x: Tensor, size: Size) -> Tensor:
    """The inverse of `_join`; size: of the result."""
    height, width = size
    x = x.view(height // 2, width // 2, 2, 2, -1).transpose(1, 2)
    return x.reshape(height * width, -1)
