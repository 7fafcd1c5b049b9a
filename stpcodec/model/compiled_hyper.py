"""The hyper-analysis on the CPU, for inference: as compiled_network.py, whose form of activations it has."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpcodec.latents.quantise import LIMIT, SIXTEENTHS
from stpcodec.model.compiled_network import Size, bias_of, join, joined, matrix_of
from stpcodec.model.network import ChunkNetwork


class CompiledHyper:
    """network.ChunkNetwork.hyper_analyse; dtype: of its network."""

    def __init__(self, network: ChunkNetwork, dtype: torch.dtype = torch.float32) -> None:
        width = network.hyper_enter.out_channels
        self._enter = matrix_of(network.hyper_enter).to(dtype), bias_of(network.hyper_enter).to(dtype)
        self._mix, self._mix_down = _Depthwise(network.hyper_mix, dtype), _Depthwise(network.hyper_mix_down, dtype)
        self._down, self._leave = (
            (joined(matrix_of(conv), width).to(dtype), bias_of(conv).to(dtype))
            for conv in (network.hyper_down, network.hyper_leave)
        )
        self._dtype = dtype

    def __call__(self, y: Tensor) -> Tensor:
        """Real latents ``[1, latents, h, w]`` in steps to real hyper-latents ``[1, hyper, ⌈h/4⌉, ⌈w/4⌉]``."""
        height, width = y.shape[-2:]
        x = y[0].permute(1, 2, 0).reshape(height * width, -1)
        # quantise.compand_smooth, clamped, in units of 1.0.
        x = x.abs().add_(1).log2_().clamp_(max=LIMIT / SIXTEENTHS).copysign_(x)
        weight, bias = self._enter
        x = F.leaky_relu_(torch.addmm(bias, x.to(self._dtype), weight), 0.1)
        # Padded behind the first layer, which sees one position at a time.
        x = x.view(height, width, -1)[_up_to(height, 4)][:, _up_to(width, 4)]
        size = (x.shape[0], x.shape[1])
        x = self._mix(x.reshape(size[0] * size[1], -1), size)
        weight, bias = self._down
        x, size = F.leaky_relu_(torch.addmm(bias, join(x, size), weight), 0.1), (size[0] // 2, size[1] // 2)
        x = self._mix_down(x, size)
        weight, bias = self._leave
        z = torch.addmm(bias, join(x, size), weight).float()
        return z.T.reshape(1, -1, size[0] // 2, size[1] // 2)


class _Depthwise:
    """3×3 and an activation, of ``[h·w, C]``."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        self._weight, self._bias = conv.weight.detach().to(dtype), bias_of(conv).to(dtype)

    def __call__(self, x: Tensor, size: Size) -> Tensor:
        seen = x.view(1, *size, -1).permute(0, 3, 1, 2)
        seen = F.conv2d(seen, self._weight, self._bias, padding=1, groups=self._weight.shape[0])
        return F.leaky_relu_(seen, 0.1).permute(0, 2, 3, 1).reshape(size[0] * size[1], -1)


def _up_to(length: int, multiple: int) -> Tensor:
    """Indices of a side, the last one repeated up to a multiple."""
    return torch.arange(-(-length // multiple) * multiple).clamp(max=length - 1)
