"""Rate and distortion as training sees them: estimated bits, and squared error in 4:2:0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.quantise import (
    SCALE_COUNT,
    SCALE_LARGEST,
    SCALE_SMALLEST,
    compand_trained,
    round_through,
)
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes

TAIL = 0.03
"""Share of a three times wider distribution in the training likelihood: real latents have heavy tails, and
gradients must reach the ones far out."""


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Bits of integer bins of width 1 around `value` under a zero-mean Gaussian with a wide tail, elementwise."""
    size = value.abs()
    likelihood = (1 - TAIL) * _bin(size, scale) + TAIL * _bin(size, 3 * scale + 0.5)
    return -torch.log2(likelihood.clamp(min=1e-9))


def _bin(size: Tensor, scale: Tensor) -> Tensor:
    # Both bounds lie on the lower tail, where erfc keeps its precision.
    inverse = 0.7071067811865476 / scale
    return 0.5 * (torch.erfc((size - 0.5) * inverse) - torch.erfc((size + 0.5) * inverse))


def scale_of(index: Tensor) -> Tensor:
    """Standard deviation behind a (real, differentiable) scale index."""
    ratio = SCALE_LARGEST / SCALE_SMALLEST
    return SCALE_SMALLEST * torch.exp(index * (torch.log(torch.tensor(ratio)).item() / (SCALE_COUNT - 1)))


def squared_error(decoded: Planes, original: Planes) -> Tensor:
    """Per frame ``[N]``: squared 8-bit error weighted 6:1:1 over y, u, v."""
    y = (decoded.y - original.y).square().mean((1, 2))
    u = (decoded.u - original.u).square().mean((1, 2))
    v = (decoded.v - original.v).square().mean((1, 2))
    return (6 * y + u + v) * (255.0**2 / 8)


@dataclass(frozen=True)
class Coded:
    """A chunk as trained: packed reconstruction, decoded latents, bits ``[B]`` of y and z.

    index, mean: what the prior said of every latent (scale index; mean in steps); z: the integers sent.
    """

    packed: Tensor
    latents: Tensor
    y_bits: Tensor
    z_bits: Tensor
    index: Tensor
    mean: Tensor
    z: Tensor


def code_chunk(
    network: ChunkNetwork, packed: Tensor, quality: Tensor, context: Context | None, previous: Tensor | None
) -> Coded:
    """One pass of the whole transform with noise on the rate path and rounding on the reconstruction path.

    packed ``[B, 96·T, h, w]``, quality ``[B]``; previous: the last chunk's decoded latents or None.
    """
    y = network.analyse(packed, quality, context)
    with torch.autocast(packed.device.type, enabled=False):
        z = network.hyper_analyse(y)
        z_hat = round_through(z).clamp(-7, 7)
        z_centred = z + torch.rand_like(z) - 0.5 - network.hyper_mean.view(1, -1, 1, 1)
        z_bits = gaussian_bits(z_centred, torch.exp(network.hyper_log_scale).view(1, -1, 1, 1) + 0.05)
        y_hat, y_bits, index, mean = _prior_pass(network, y, z_hat, quality, previous)
    decoded = network.synthesise(y_hat, quality, context)
    return Coded(decoded, y_hat, y_bits.sum((1, 2, 3)), z_bits.sum((1, 2, 3)), index, mean, z_hat.detach())


def _prior_pass(
    network: ChunkNetwork, y: Tensor, z_hat: Tensor, quality: Tensor, previous: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(decoded y, bits, scale index, mean) of every latent, the last two without gradients."""
    prior = network.prior
    size = (y.shape[2], y.shape[3])
    seen = None if previous is None else compand_trained(previous)
    features = prior.begin(z_hat, seen, quality, size)
    noise = torch.rand_like(y) - 0.5
    y_hat, bits, indices, means = (torch.zeros_like(y) for _ in range(4))
    for number in range(prior.steps):
        known = None if number == 0 else compand_trained(y_hat)
        index, mean = prior.step(number, features, known, quality)
        mean = mean / 16
        mask = prior.mask(number, *size, device=y.device)
        centred = y - mean
        y_hat = torch.where(mask, round_through(centred) + mean, y_hat)
        bits = torch.where(mask, gaussian_bits(centred + noise, scale_of(index)), bits)
        indices = torch.where(mask, index.detach(), indices)
        means = torch.where(mask, mean.detach(), means)
    return y_hat, bits, indices, means
