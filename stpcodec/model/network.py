"""The learned transforms: analysis, synthesis and hyper-analysis around a linear codec.

The intra network codes one frame alone; the inter network has a prediction of its frame, warped from one decoded frame
or two, codes the difference linearly and lets residual networks on both sides, which see the prediction, add
what a linear transform cannot.

Shapes: a chunk of B·T frames is packed to ``[B, 96·T, H/8, W/8]``; latents y are ``[B, latents, H/16, W/16]``,
hyper-latents z ``[B, hyper, ceil(H/64), ceil(W/64)]``. A quality is ``[B]``, or ``[B, H/16, W/16]`` where it differs
from patch to patch.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpcodec.latents.quantise import LIMIT, SIXTEENTHS, compand_smooth
from stpcodec.model.config import LUMA_AND_CHROMA, ModelConfig, NetworkConfig
from stpcodec.model.layers import LinearPatch, QualityTable, blocks, shifted_quality, twice_as_fine, zero_conv
from stpcodec.model.prior import IntegerPrior
from stpcodec.model.rates import sample_weight

GREY = 0.5


@dataclass(frozen=True)
class Context:
    """What both sides know before an inter chunk: `prediction` ``[B, 96·T, h, w]``, `features` ``[B, width, h, w]``.

    Without features the synthesis is the linear path alone; network: ``[h, w]``, how much of it counts where, None for
    all.
    """

    prediction: Tensor
    features: Tensor | None
    network: Tensor | None = None


class ChunkNetwork(nn.Module):
    """Analysis and synthesis transform of one chunk, with gains per quality and channel."""

    def __init__(self, config: NetworkConfig, *, inter: bool):
        super().__init__()
        self.config = config
        packed, width, wide, latents = config.frames * LUMA_AND_CHROMA, config.width, config.wide, config.latents
        self.inter = inter
        self.linear = LinearPatch(4 * packed, latents)
        if self.inter:
            self.context_enter = nn.Conv2d(packed + LUMA_AND_CHROMA, width, 1)
            self.context_between = nn.Conv2d(packed, width, 1, bias=False)
            nn.init.zeros_(self.context_between.weight)
            self.context_blocks = blocks(config.context_depth, width)
        self.analysis_enter = nn.Conv2d(packed, width, 1)
        self.analysis_quality = QualityTable(width, 1.0)
        self.analysis_blocks = blocks(config.analysis_depth, width)
        self.analysis_down = nn.Conv2d(4 * width, wide, 1)
        self.analysis_wide = blocks(config.analysis_wide_depth, wide)
        self.analysis_leave = zero_conv(wide, latents)
        self.synthesis_enter = nn.Conv2d(latents, wide, 1)
        self.synthesis_wide = blocks(config.synthesis_wide_depth, wide)
        self.synthesis_up = nn.Conv2d(wide, 4 * width, 1)
        self.synthesis_quality = QualityTable(width, 1.0)
        self.synthesis_blocks = blocks(config.synthesis_depth, width)
        self.synthesis_leave = zero_conv(width, packed)
        self.log_gain = QualityTable(latents)
        self.log_inverse_gain = QualityTable(latents)
        self.hyper_enter = nn.Conv2d(latents, 128, 1)
        self.hyper_mix = nn.Conv2d(128, 128, 3, padding=1, groups=128)
        self.hyper_down = nn.Conv2d(512, 128, 1)
        self.hyper_mix_down = nn.Conv2d(128, 128, 3, padding=1, groups=128)
        self.hyper_leave = nn.Conv2d(512, config.hyper, 1)
        # Only training uses these two: files carry counted tables for z instead.
        self.hyper_mean = nn.Parameter(torch.zeros(config.hyper))
        self.hyper_log_scale = nn.Parameter(torch.zeros(config.hyper))
        self.prior = IntegerPrior(
            latents=latents, hyper=config.hyper, width=config.prior_width, depth=config.prior_depth,
            steps=config.prior_steps, previous=self.inter,
        )  # fmt: skip

    def context(self, prediction: Tensor, reference: Tensor | None, difference: Tensor | None = None) -> Context:
        """prediction ``[B, 96, h, w]``: the reference warped, or what two references say together. reference: the
        one reference as it is, None where there are two; difference: then half of what they disagree about.
        """
        x = self.context_enter(torch.cat((prediction, prediction if reference is None else reference), 1) - GREY)
        if difference is not None:
            x = x + self.context_between(difference)
        return Context(prediction, self.context_blocks(x))

    def analyse(self, frames: Tensor, quality: Tensor, context: Context | None) -> Tensor:
        """Packed frames ``[B, 96·T, h, w]`` to real latents y in quantiser steps."""
        residual = frames - (GREY if context is None else context.prediction)
        x = self.analysis_enter(residual)
        if context is not None:
            assert context.features is not None
            x = x + context.features
        x = self.analysis_blocks(x * self.analysis_quality(twice_as_fine(quality)))
        x = self.analysis_wide(self.analysis_down(F.pixel_unshuffle(x, 2)))
        y = self.linear.analyse(F.pixel_unshuffle(residual, 2)) + self.analysis_leave(x)
        return y.float() * torch.exp(self.log_gain(quality))

    def synthesise(self, y: Tensor, quality: Tensor, context: Context | None) -> Tensor:
        """Decoded latents (quantiser steps) to packed frames ``[B, 96·T, h, w]``, not clamped."""
        plain, full = self.syntheses(y, quality, context)
        return plain if full is None else full

    def syntheses(self, y: Tensor, quality: Tensor, context: Context | None) -> tuple[Tensor, Tensor | None]:
        """As `synthesise`: by the linear path alone, and with the network if it takes part."""
        y = y * torch.exp(self.log_inverse_gain(quality))
        linear = F.pixel_shuffle(self.linear.synthesise(y), 2)
        plain = (GREY if context is None else context.prediction) + linear
        if context is not None and context.features is None:
            return plain, None
        x = self.synthesis_wide(self.synthesis_enter(y))
        x = F.pixel_shuffle(self.synthesis_up(x), 2)
        if context is not None:
            assert context.features is not None
            x = x + context.features
        x = self.synthesis_blocks(x * self.synthesis_quality(twice_as_fine(quality)))
        x = self.synthesis_leave(x)
        if context is not None and context.network is not None:
            x = x * context.network
        return plain, plain + x

    def error_weights(self, quality: Tensor) -> Tensor:
        """``[B, latents, 1, 1]``, or of every patch: bits that a squared error of one step in a latent is worth.

        As if the synthesis were orthonormal behind its gains, as the basis that it started from is.
        """
        offsets = self.log_inverse_gain.offsets
        if offsets is None:
            return self.curvatures(quality)
        weight = sample_weight(shifted_quality(quality, offsets))
        return weight * torch.exp(self.log_inverse_gain(quality)).square()

    def curvatures(self, quality: Tensor) -> Tensor:
        """As `error_weights`, where all latents' errors count alike in samples, tilted or not."""
        gain = torch.exp(self.log_inverse_gain(quality))
        weight = sample_weight(quality)
        return (weight[:, None, None, None] if quality.dim() == 1 else weight[:, None]) * gain.square()

    def tilted(self, offsets: Tensor) -> ChunkNetwork:
        """The same network, each latent with the steps and the scales of the quality + offsets int32 ``[latents]``.

        Of a frozen prior.
        """
        other = copy(self)
        other._modules = dict(self._modules)
        other.log_gain = self.log_gain.shifted(offsets)
        other.log_inverse_gain = self.log_inverse_gain.shifted(offsets)
        other.prior = self.prior.tilted(offsets)
        return other

    @property
    def is_tilted(self) -> bool:
        return self.log_gain.offsets is not None

    def hyper_analyse(self, y: Tensor) -> Tensor:
        """Real latents (quantiser steps) to real hyper-latents z."""
        height, width = y.shape[-2:]
        x = compand_smooth(y).clamp(-LIMIT, LIMIT) / SIXTEENTHS
        x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
        x = F.leaky_relu(self.hyper_mix(F.leaky_relu(self.hyper_enter(x), 0.1)), 0.1)
        x = F.leaky_relu(self.hyper_down(F.pixel_unshuffle(x, 2)), 0.1)
        x = F.leaky_relu(self.hyper_mix_down(x), 0.1)
        return self.hyper_leave(F.pixel_unshuffle(x, 2)).float()


class StpNetwork(nn.Module):
    """Both networks of a model."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.intra = ChunkNetwork(config.intra, inter=False)
        self.inter = ChunkNetwork(config.inter, inter=True)
