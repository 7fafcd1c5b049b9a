"""Rate and distortion as training sees them: estimated bits, and squared error in 4:2:0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.quantise import (
    LARGEST_HYPER,
    SCALE_COUNT,
    SCALE_LARGEST,
    SCALE_SMALLEST,
    compand_trained,
    round_through,
)
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.rates import CAUTION

TAIL = 0.01
"""Share of a wider Laplacian in the training likelihood: real latents have heavy tails, and gradients must reach
the ones far out, where a Gaussian underflows."""


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Bits of the bin of width 1 around `value` under a zero-mean Gaussian with a Laplacian tail, elementwise."""
    size = value.abs()
    likelihood = (1 - TAIL) * _gaussian_bin(size, scale) + TAIL * _laplacian_bin(size, scale + 0.15)
    return -torch.log2(likelihood.clamp(min=1e-30))


def _gaussian_bin(size: Tensor, scale: Tensor) -> Tensor:
    # Both bounds lie on the lower tail, where erfc keeps its precision.
    inverse = 0.7071067811865476 / scale
    return 0.5 * (torch.erfc((size - 0.5) * inverse) - torch.erfc((size + 0.5) * inverse))


def _laplacian_bin(size: Tensor, width: Tensor) -> Tensor:
    near = torch.exp(-(size - 0.5).abs() / width)
    far = torch.exp(-(size + 0.5) / width)
    return torch.where(size < 0.5, 1 - 0.5 * (near + far), 0.5 * (near - far))


def mixed_bits(value: Tensor, mean: Tensor | float, scale: Tensor) -> Tensor:
    """Bits of the integer round(value) under a distribution around `mean`, with the gradients that train best.

    Uniform noise in place of rounding (Ballé et al. 2017) overrates small scales: a latent that is always zero
    still seems to cost 0.1 bit, which at low rates is more than all the true bits. So the amount, and the gradients
    of mean and scale, are those of the rounded symbol; only the latent learns from the noisy one.
    """
    hard = gaussian_bits(value.detach().round() - mean, scale)
    noise = torch.rand_like(value) - 0.5
    fixed = mean.detach() if isinstance(mean, Tensor) else mean
    soft = gaussian_bits(value + noise - fixed, scale.detach())
    return hard + (soft - soft.detach())


@torch.no_grad()
def worthwhile(wanted: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Integers for real values around their mean, as the encoder's quantiser has them (codec/quantiser.py): rounded, or
    the next one towards zero where that costs less. weight: bits that a squared error of one step is worth."""
    size = wanted.abs()
    rounded = size.round()
    lower = (rounded - 1).clamp(min=0)
    cost, cheaper = (
        weight * (size - symbol).square() + gaussian_bits(symbol, scale) for symbol in (rounded, lower)
    )  # fmt: skip
    return torch.where(cheaper < cost, lower, rounded) * torch.sign(wanted)


def scale_of(index: Tensor) -> Tensor:
    """Standard deviation behind a (real, differentiable) scale index."""
    ratio = SCALE_LARGEST / SCALE_SMALLEST
    return SCALE_SMALLEST * torch.exp(index * (torch.log(torch.tensor(ratio)).item() / (SCALE_COUNT - 1)))


@dataclass(frozen=True)
class CodedLatents:
    """latents: decoded, in quantiser steps; bits ``[B]`` of y and z. index, mean: what the prior said of every latent
    (scale index; mean in steps); z: the integers sent."""

    latents: Tensor
    y_bits: Tensor
    z_bits: Tensor
    index: Tensor
    mean: Tensor
    z: Tensor


@dataclass(frozen=True)
class Coded(CodedLatents):
    """A chunk as trained. packed: the reconstruction."""

    packed: Tensor


def code_chunk(
    network: ChunkNetwork, packed: Tensor, quality: Tensor, context: Context | None, previous: Tensor | None, *,
    optimise: bool = True,
) -> Coded:  # fmt: skip
    """One pass of the whole transform with noise on the rate path and the encoder's quantiser on the reconstruction
    path.

    packed ``[B, 96·T, h, w]``, quality ``[B]``; previous: the last chunk's decoded latents or None. optimise: quantise
    for least error + λ·bits as the encoder does, otherwise round.
    """
    y = network.analyse(packed, quality, context)
    with torch.autocast(packed.device.type, enabled=False):
        coded = code_latents(network, y, quality, previous, optimise=optimise)
    return Coded(**vars(coded), packed=network.synthesise(coded.latents, quality, context))


def code_latents(
    network: ChunkNetwork, y: Tensor, quality: Tensor, previous: Tensor | None, *, optimise: bool = True
) -> CodedLatents:
    """What lies between analysis and synthesis: y ``[B, latents, h, w]`` in steps; others as in `code_chunk`."""
    z = network.hyper_analyse(y)
    z_hat = round_through(z).clamp(-LARGEST_HYPER, LARGEST_HYPER)
    z_scale = torch.exp(network.hyper_log_scale).view(1, -1, 1, 1) + 0.05
    z_bits = mixed_bits(z, network.hyper_mean.view(1, -1, 1, 1), z_scale)
    y_hat, y_bits, index, mean = _prior_pass(network, y, z_hat, quality, previous, optimise)
    return CodedLatents(y_hat, y_bits.sum((1, 2, 3)), z_bits.sum((1, 2, 3)), index, mean, z_hat.detach())


def _prior_pass(
    network: ChunkNetwork, y: Tensor, z_hat: Tensor, quality: Tensor, previous: Tensor | None, optimise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(decoded y, bits, scale index, mean) of every latent, the last two without gradients."""
    prior = network.prior
    size = (y.shape[2], y.shape[3])
    seen = None if previous is None else compand_trained(previous)
    features = prior.begin(z_hat, seen, quality, size)
    weight = CAUTION * network.error_weights(quality).detach()
    y_hat, indices, means = (torch.zeros_like(y) for _ in range(3))
    for number in range(prior.steps):
        known = None if number == 0 else compand_trained(y_hat)
        index, mean = prior.step(number, features, known, quality)
        mean = mean / 16
        mask = prior.mask(number, *size, device=y.device)
        symbols = round_through(y - mean)
        if optimise:
            # Of this step's latents alone: elementwise work is most of a training step on a CPU.
            wanted, at = (y - mean).detach()[:, mask], index.detach()[:, mask]
            found = worthwhile(wanted, scale_of(at), weight.expand_as(y)[:, mask])
            # Places of the smallest scale are not coded: they are their mean.
            decided = symbols.detach().clone()
            decided[:, mask] = torch.where(at < 1, 0.0, found)
            symbols = symbols + (decided - symbols).detach()
        y_hat = torch.where(mask, symbols + mean, y_hat)
        indices = torch.where(mask, index, indices)
        means = torch.where(mask, mean, means)
    # Of all steps at once: of each step, most values would be thrown away.
    scale = scale_of(indices)
    bits = mixed_bits(y - means, 0.0, scale)
    if optimise:
        # The prior learns from rounded symbols: from those that its own scales made cheaper it learns to be sure that
        # they are zero, which makes further ones zero (docs/ablations.md, 2026-11-28).
        bits = bits + (gaussian_bits(y_hat - means, scale) - bits).detach()
    return y_hat, bits, indices.detach(), means.detach()
