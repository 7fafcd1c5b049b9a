"""The transforms' networks on the CPU, for inference: matrix products over positions, little around them.

The same functions as network.ChunkNetwork, whose weights they take: activations lie position by position ``[h·w, C]``,
biases behind residual blocks are added once a stage, and 2×2 positions are joined and parted in an order that moves
whole lines of channels. Rows of a band's halo are computed as far as something inside depends on them. All in float32;
what only chooses integers may be in another type (precision.py), between frames and latents in float32: the analysis'
network, and the other ones of pictures that nothing is predicted from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpcodec.model.config import LUMA_AND_CHROMA
from stpcodec.model.layers import QUALITIES, Block, QualityTable, twice_as_fine
from stpcodec.model.network import GREY, ChunkNetwork
from stpcodec.model.quality import Quality
from stpcodec.model.sparse_kernels import add_product

Size = tuple[int, int]
Margin = tuple[int, int]
"""Rows above and below that belong to a band's halo; 0 at the picture's own border."""
NONE: Margin = (0, 0)


class CompiledNetwork:
    """One band at a time. size: (h, w) at 1/8 resolution with the margin, all even; packed frames are ``[h·w, 96]``,
    latents ``[h/2·w/2, latents]``; a quality of every patch is ``[h/2, w/2]``. What comes back is without the margin,
    but for features.

    coarse: the type of what only chooses integers.
    """

    def __init__(self, network: ChunkNetwork, coarse: torch.dtype = torch.float32) -> None:
        kind = self._coarse = coarse
        self._inter, self._width, self._wide = network.inter, network.config.width, network.config.wide
        self._linear = joined(matrix_of(network.linear.forward_matrix), LUMA_AND_CHROMA)
        self._inverse = joined(matrix_of(network.linear.inverse_matrix).T, LUMA_AND_CHROMA).T.contiguous()
        self._contexts = {dtype: _ContextNetwork(network, dtype) for dtype in (torch.float32, kind) if network.inter}
        self._analysis_enter = matrix_of(network.analysis_enter).to(kind), bias_of(network.analysis_enter).to(kind)
        self._analysis_blocks = _Blocks(network.analysis_blocks, kind)
        down = network.analysis_down
        self._analysis_down = joined(matrix_of(down), self._width).to(kind), bias_of(down).to(kind)
        self._analysis_wide = _Blocks(network.analysis_wide, kind)
        self._analysis_leave = matrix_of(network.analysis_leave).to(kind), bias_of(network.analysis_leave).to(kind)
        self._syntheses = {dtype: _SynthesisNetwork(network, dtype) for dtype in (torch.float32, kind)}
        tables = ("analysis_quality", "synthesis_quality", "log_gain", "log_inverse_gain")
        # Not of methods: a cache of one's own methods is a circle, and whoever opens file after file would hold the
        # networks of all of them until Python looks for circles.
        vector = partial(_vector, {name: getattr(network, name) for name in tables})
        self._of_quality = lru_cache(maxsize=400)(vector)
        self._of_all = lru_cache(maxsize=len(tables))(partial(_vectors, self._of_quality))

    def context(
        self, prediction: Tensor, reference: Tensor | None, difference: Tensor | None, size: Size, margin: Margin, *,
        precise: bool = True,
    ) -> Tensor:  # fmt: skip
        """Features ``[·, width]``, within `features_margin(margin)`; see ChunkNetwork.context. precise: in float32, and
        then so is the synthesis from them."""
        return self._contexts[torch.float32 if precise else self._coarse](
            prediction, reference, difference, size, margin
        )

    def features_margin(self, margin: Margin) -> Margin:
        return self._contexts[torch.float32].blocks.left(margin) if self._inter else margin

    def analyse(
        self, residual: Tensor, quality: Quality, features: Tensor | None, size: Size, margin: Margin
    ) -> Tensor:
        """Real latents in steps; residual: the packed frame less its prediction (GREY where there is none)."""
        known = margin if features is None else self.features_margin(margin)
        weight, bias = self._analysis_enter
        seen, seen_size = _cut(residual, size, margin, known)
        x = torch.addmm(bias, seen.to(self._coarse), weight)
        if features is not None:
            x += features
        x *= self._factors("analysis_quality", quality, margin, known)
        x, seen_size, left = self._analysis_blocks(x, seen_size, known)
        even = (left[0] // 2 * 2, left[1] // 2 * 2)
        x, seen_size = _cut(x, seen_size, left, even)
        weight, bias = self._analysis_down
        x = torch.addmm(bias, join(x, seen_size), weight)
        x, wide_size, left = self._analysis_wide(x, _halved(seen_size), _halved(even))
        weight, bias = self._analysis_leave
        y = torch.addmm(bias, _cut(x, wide_size, left, NONE)[0], weight).float()
        y.addmm_(join(*_cut(residual, size, margin, NONE)), self._linear)
        return y.mul_(self._factors("log_gain", quality, _halved(margin), NONE))

    def syntheses(
        self, y: Tensor, quality: Quality, prediction: Tensor | None, features: Tensor | None, share: Tensor | None,
        size: Size, margin: Margin,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Packed frames in float32, not clamped, see ChunkNetwork.syntheses. prediction None: an intra frame, else
        features None: the linear path alone; the network's type is that of the features. share ``[·, 1]``: of the
        network where it does not count everywhere, without margin."""
        y = y * self._factors("log_inverse_gain", quality, NONE, NONE)  # margin and all
        own, own_size = _cut(y, _halved(size), _halved(margin), NONE)
        plain = _part(_of_latents(own, self._inverse, None), (2 * own_size[0], 2 * own_size[1]))
        if prediction is None:
            plain += GREY
        else:
            plain += _cut(prediction, size, margin, NONE)[0]
            if features is None:
                return plain, None
        network = self._syntheses[torch.float32 if features is None else features.dtype]
        weight, bias = network.enter
        entered = _of_latents(y, weight, bias).to(network.dtype)
        x, wide_size, left = network.wide(entered, _halved(size), _halved(margin))
        weight, bias = network.up
        x, left, size = torch.addmm(bias, x, weight), (2 * left[0], 2 * left[1]), (2 * wide_size[0], 2 * wide_size[1])
        x = _part(x, size)
        if features is not None:
            known = self.features_margin(margin)
            both = (min(left[0], known[0]), min(left[1], known[1]))
            rows = features.shape[0] // size[1]
            x, size = _cut(x, size, left, both)
            x += _cut(features, (rows, size[1]), known, both)[0]
            left = both
        x *= self._factors("synthesis_quality", quality, margin, left)
        x, size, left = network.blocks(x, size, left)
        weight, bias = network.leave
        x = _cut(x, size, left, NONE)[0]
        full = (plain + bias).addmm_(x, weight) if x.dtype == plain.dtype else plain + torch.addmm(bias, x, weight)
        # Chosen, not multiplied in: to the last bit what an encoder has put together from both.
        return plain, full if share is None else torch.where(share > 0, full, plain)

    def _factors(self, name: str, quality: Quality, margin: Margin, wanted: Margin) -> Tensor:
        """Of a table: ``[channels]``, or ``[·, channels]`` of every position within the margin `wanted`."""
        if isinstance(quality, int):
            return self._of_quality(name, quality)
        if not name.startswith("log"):  # at 1/8 resolution
            quality = twice_as_fine(quality)
        height, width = quality.shape
        places, _ = _cut(quality.reshape(-1), (height, width), margin, wanted)
        return self._of_all(name)[places - 1]


def _vector(tables: dict[str, QualityTable], name: str, quality: int) -> Tensor:
    """``[channels]`` of a table; gains not as logarithms."""
    found = tables[name](torch.tensor([quality]))[0, :, 0, 0]
    return torch.exp(found) if name.startswith("log") else found


def _vectors(of_quality: Callable[[str, int], Tensor], name: str) -> Tensor:
    """Of all qualities, ``[100, channels]``."""
    return torch.stack([of_quality(name, quality) for quality in range(1, QUALITIES + 1)])


class _ContextNetwork:
    def __init__(self, network: ChunkNetwork, dtype: torch.dtype) -> None:
        weight, bias = matrix_of(network.context_enter), bias_of(network.context_enter)
        own, beside = weight[:LUMA_AND_CHROMA].contiguous(), weight[LUMA_AND_CHROMA:].contiguous()
        between = matrix_of(network.context_between)
        parts = own, beside, own + beside, between, bias - GREY * weight.sum(0)
        self._own, self._beside, self._both, self._between, self._bias = (part.to(dtype) for part in parts)
        self._dtype = dtype
        self.blocks = _Blocks(network.context_blocks, dtype)

    def __call__(
        self, prediction: Tensor, reference: Tensor | None, difference: Tensor | None, size: Size, margin: Margin
    ) -> Tensor:
        prediction = prediction.to(self._dtype)
        if reference is None:
            x = torch.addmm(self._bias, prediction, self._both)
        else:
            x = torch.addmm(self._bias, prediction, self._own).addmm_(reference.to(self._dtype), self._beside)
        if difference is not None:
            x.addmm_(difference.to(self._dtype), self._between)
        return self.blocks(x, size, margin)[0]


class _SynthesisNetwork:
    """Its weights; enter in float32, as latents are."""

    def __init__(self, network: ChunkNetwork, dtype: torch.dtype) -> None:
        width, up = network.config.width, network.synthesis_up
        self.dtype = dtype
        self.enter = matrix_of(network.synthesis_enter), bias_of(network.synthesis_enter)
        self.wide = _Blocks(network.synthesis_wide, dtype)
        weight, bias = joined(matrix_of(up).T, width).T.contiguous(), joined(bias_of(up)[:, None], width)[:, 0]
        self.up = weight.to(dtype), bias.to(dtype)
        self.blocks = _Blocks(network.synthesis_blocks, dtype)
        self.leave = matrix_of(network.synthesis_leave).to(dtype), bias_of(network.synthesis_leave).to(dtype)


class _Blocks:
    """layers.blocks: their residual biases are kept apart and added behind the last block. dtype: of what goes through
    them."""

    def __init__(self, blocks: Sequence[nn.Module] | nn.Sequential, dtype: torch.dtype = torch.float32) -> None:
        self._parts: list[tuple[Tensor, ...]] = []
        total: Tensor | None = None
        for block in blocks:
            assert isinstance(block, Block)
            enter, expand = matrix_of(block.enter), matrix_of(block.expand)
            total = torch.zeros(enter.shape[0]) if total is None else total
            enter_bias = bias_of(block.enter) + _through(total, enter)
            total = total + bias_of(block.leave)
            expand_bias = bias_of(block.expand) + _through(total, expand)
            total = total + bias_of(block.reduce)
            parts = (
                enter, enter_bias, block.depthwise.weight.detach().float(), bias_of(block.depthwise),
                matrix_of(block.leave), expand, expand_bias, matrix_of(block.reduce),
            )  # fmt: skip
            self._parts.append(tuple(part.to(dtype) for part in parts))
        self._total = None if total is None else total.to(dtype)

    def left(self, margin: Margin) -> Margin:
        """Of a margin: every block sees one row, which is no longer right behind it."""
        return max(0, margin[0] - len(self._parts)), max(0, margin[1] - len(self._parts))

    def __call__(self, x: Tensor, size: Size, margin: Margin) -> tuple[Tensor, Size, Margin]:
        """``[h·w, C]``, which may be changed; with what is left of size and margin."""
        for enter, enter_bias, depthwise, depthwise_bias, leave, expand, expand_bias, reduce in self._parts:
            inner = F.leaky_relu_(torch.addmm(enter_bias, x, enter), 0.1)
            seen = inner.view(1, *size, -1).permute(0, 3, 1, 2)
            seen = F.conv2d(seen, depthwise, depthwise_bias, padding=1, groups=depthwise.shape[0])
            seen = seen.permute(0, 2, 3, 1).reshape(-1, depthwise.shape[0])
            right = (max(0, margin[0] - 1), max(0, margin[1] - 1))
            seen, _ = _cut(seen, size, margin, right)
            x, size = _cut(x, size, margin, right)
            margin = right
            x.addmm_(seen, leave)
            x.addmm_(torch.addmm(expand_bias, x, expand).relu_(), reduce)
        return (x if self._total is None else x.add_(self._total)), size, margin


def _through(vector: Tensor, matrix: Tensor) -> Tensor:
    """Their product, of constants. Not by torch's: it is rounded by the number of threads that a model is loaded with,
    and the bytes of a file would depend on it."""
    return torch.from_numpy(np.einsum("i,ij->j", vector.cpu().numpy(), matrix.cpu().numpy()))


def _of_latents(y: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``y @ weight + bias`` of latents, most of which are zero in an inter frame."""
    shape = y.shape[0], weight.shape[1]
    out = torch.zeros(shape) if bias is None else bias.expand(shape).clone(memory_format=torch.contiguous_format)
    if add_product(y.numpy(), weight.numpy(), out.numpy()):
        return out
    return out.addmm_(y, weight)


def matrix_of(conv: nn.Conv2d) -> Tensor:
    """Of a 1×1 convolution: ``x @ matrix``, ``[inputs, outputs]``."""
    return conv.weight.detach().float()[:, :, 0, 0].T.contiguous()


def bias_of(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach().float().clone()


def joined(matrix: Tensor, channels: int) -> Tensor:
    """Rows in the order of pixel_unshuffle (channel, then place in the 2×2 positions) to that of `_join`."""
    return matrix.view(channels, 4, -1).transpose(0, 1).reshape(4 * channels, -1)


def join(x: Tensor, size: Size) -> Tensor:
    """2×2 positions become one: ``[h·w, C]`` to ``[h/2·w/2, 4·C]``, place by place."""
    height, width = size
    x = x.view(height // 2, 2, width // 2, 2, -1).transpose(1, 2)
    return x.reshape(height * width // 4, -1)


def _part(x: Tensor, size: Size) -> Tensor:
    """The inverse of `_join`; size: of the result."""
    height, width = size
    x = x.view(height // 2, width // 2, 2, 2, -1).transpose(1, 2)
    return x.reshape(height * width, -1)


def _cut(x: Tensor, size: Size, margin: Margin, wanted: Margin) -> tuple[Tensor, Size]:
    """The rows within a smaller margin; nothing moves."""
    height, width = size
    start, stop = margin[0] - wanted[0], height - margin[1] + wanted[1]
    return x[start * width : stop * width], (stop - start, width)


def _halved(size: Size) -> Size:
    return size[0] // 2, size[1] // 2
