"""Prior and entropy coder in step: each part of the latents is coded knowing the parts before it.

The same loop runs on both sides; only "make symbols from y" and "read symbols" differ. Both get the coded
positions as a bool mask, their table indices in its order, and the means. Positions whose scale
index is 0 are not coded: their value is the mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.quantise import LARGEST_SYMBOL, SIXTEENTHS, compand
from stpcodec.model.transform import Transform

CAUTION = 2.4
"""Errors count this much more than the Lagrangian says when a symbol is made cheaper: a chunk is the reference of
the next, and its latents are the prior's context. Measured: docs/ablations.md."""

_STEPS_DOWN = 5
"""Values that `_cheapest` looks at below the rounded one; the last is zero."""


def encode_latents(
    coder: SymbolEncoder, transform: Transform, y: Tensor, z: Tensor, previous: Tensor | None, quality: int, *,
    previous_z: Tensor | None = None, optimise: bool = True, places: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Codes z, then y. y ``[1, C, h, w]`` in steps, z ``[1, *hyper_shape]``; previous: sixteenths or None.
    previous_z: int32 ``[*hyper_shape]`` of the chunk before, None when there is no such chunk.

    optimise: quantise for least error + λ·bits; otherwise round. places ``[h, w]``: what errors there count, None
    where all count 1.

    Returns the decoded y in sixteenths ``[1, C, h, w]`` on y's device.
    """
    hyper = z[0].to("cpu", torch.int32).numpy()
    coder.encode(hyper, transform.z_tables, _z_rows(transform.z_tables, hyper.shape, previous_z))

    weights = transform.error_weights(quality).to(y.device)[:, None, None].expand(y.shape[1:])
    choose = _cheaper if places is None else _cheapest
    if places is not None:
        weights = weights * places
    bits = torch.from_numpy(transform.y_tables.bits()).to(y.device)

    def make(table: np.ndarray, mean: Tensor, coded: Tensor) -> Tensor:
        wanted = y[0][coded] - mean[coded] / SIXTEENTHS
        index = torch.from_numpy(table).to(y.device).long()
        symbols = choose(wanted, weights[coded], bits, index) if optimise else wanted.round()
        symbols = symbols.clamp(-LARGEST_SYMBOL, LARGEST_SYMBOL)
        coder.encode(symbols.to("cpu", torch.int32).numpy(), transform.y_tables, table)
        return symbols

    return _run(transform, z, previous, quality, (y.shape[2], y.shape[3]), make)


def _cheaper(wanted: Tensor, weights: Tensor, bits: Tensor, index: Tensor) -> Tensor:
    """Rate-distortion-optimised quantisation: the rounded value or the next one towards zero, whichever costs less.

    Cost is CAUTION·weights·(error in steps)² + bits; wanted, weights and index ``[N]``, bits ``[rows, 2·L + 2]``.
    Looks at each symbol alone: what it does to the prior of later steps is left out.
    """
    rounded = wanted.round()
    largest = (bits.shape[1] - 2) // 2
    doubtful = (rounded != 0) & (rounded.abs() <= largest)
    x, s, w, row = wanted[doubtful], rounded[doubtful], weights[doubtful], index[doubtful]
    smaller = s - torch.sign(s)
    saved = bits[row, s.long() + largest] - bits[row, smaller.long() + largest]
    lost = CAUTION * w * ((x - smaller).square() - (x - s).square())
    rounded[doubtful] = torch.where(saved > lost, smaller, s)
    return rounded


def _cheapest(wanted: Tensor, weights: Tensor, bits: Tensor, index: Tensor) -> Tensor:
    """As `_cheaper`, with every value down to zero: where errors count little, more than one step is not worth it."""
    best = wanted.round()
    largest = (bits.shape[1] - 2) // 2
    sign = torch.sign(best)
    start = best.abs().clamp(max=largest)
    doubtful = (best != 0) & (best.abs() <= largest)

    def cost(symbols: Tensor) -> Tensor:
        return CAUTION * weights * (wanted - symbols).square() + bits[index, symbols.long() + largest]

    least = cost(sign * start)
    for less in range(1, _STEPS_DOWN + 1):
        other = sign * (start - less).clamp(min=0)
        if less == _STEPS_DOWN:
            other = torch.zeros_like(best)
        price = cost(other)
        better = doubtful & (price < least)
        best, least = torch.where(better, other, best), torch.where(better, price, least)
    return best


def decode_latents(
    coder: SymbolDecoder, transform: Transform, size: tuple[int, int], previous: Tensor | None, quality: int,
    device: torch.device, *, previous_z: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The mirror of `encode_latents`: decoded y in sixteenths and z. size: of the latent grid."""
    shape = transform.hyper_shape(*size)
    hyper = coder.decode(transform.z_tables, _z_rows(transform.z_tables, shape, previous_z))
    z = torch.from_numpy(hyper)[None].float().to(device)

    def read(table: np.ndarray, mean: Tensor, coded: Tensor) -> Tensor:
        return torch.from_numpy(coder.decode(transform.y_tables, table)).float().to(device)

    return _run(transform, z, previous, quality, size, read), z


def _run(
    transform: Transform, z: Tensor, previous: Tensor | None, quality: int, size: tuple[int, int],
    symbols_of: Callable[[np.ndarray, Tensor, Tensor], Tensor],
) -> Tensor:  # fmt: skip
    prior = transform.prior
    level = torch.tensor([quality], device=z.device)
    # A caller's own mixed precision would round the prior's sums to eight bits.
    with torch.autocast(z.device.type, enabled=False):
        seen = None if previous is None else compand(previous.to(z.device))
        features = prior.begin(z, seen, level, size)
        y = torch.zeros(1, transform.latents, *size, device=z.device)
        for number in range(prior.steps):
            known = compand(y) if number else None
            index, mean = prior.step(number, features, known, level)
            part = prior.mask(number, *size, device=z.device)
            coded = part & (index[0] > 0)
            # Indices are below 64: eight bits sort eight times faster.
            table = index[0][coded].to("cpu", torch.uint8).numpy()
            y[0] = torch.where(part, mean[0], y[0])
            y[0][coded] += SIXTEENTHS * symbols_of(table, mean[0], coded)
        return y


def _z_rows(tables: TableSet, shape: tuple[int, ...], previous: Tensor | None) -> np.ndarray:
    """Each channel of z has tables of its own: one, or one per value of the chunk before at the same place.

    Of 2K tables a channel, the first serves where there is no such chunk, table K + v behind a value v.
    """
    per_channel = tables.rows // shape[0]
    rows = np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None, None] * per_channel, shape)
    if per_channel == 1 or previous is None:
        return rows
    half = per_channel // 2
    return rows + previous.numpy().clip(1 - half, half - 1) + half
