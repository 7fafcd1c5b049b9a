"""Prior and entropy coder in step: each part of the latents is coded knowing the parts before it.

The same loop runs on both sides; only "make symbols from y" and "read symbols" differ. Positions whose scale
index is 0 are not coded: their value is the mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.latents.quantise import LARGEST_SYMBOL, SIXTEENTHS, compand
from stpcodec.model.transform import Transform


def encode_latents(
    coder: SymbolEncoder, transform: Transform, y: Tensor, z: Tensor, previous: Tensor | None, quality: int
) -> Tensor:
    """Codes z, then y. y ``[1, C, h, w]`` in steps, z ``[1, *hyper_shape]``; previous: sixteenths or None.

    Returns the decoded y in sixteenths ``[1, C, h, w]`` on y's device.
    """
    hyper = z[0].to("cpu", torch.int32).numpy()
    coder.encode(hyper, transform.z_tables, _rows(hyper))

    def make(mean: Tensor, index: Tensor, part: Tensor) -> Tensor:
        symbols = (y[0][part] - mean / SIXTEENTHS).round().clamp(-LARGEST_SYMBOL, LARGEST_SYMBOL)
        symbols = torch.where(index > 0, symbols, torch.zeros_like(symbols))
        table, values = index.to("cpu", torch.int32).numpy(), symbols.to("cpu", torch.int32).numpy()
        coder.encode(values[table > 0], transform.y_tables, table[table > 0])
        return symbols

    return _run(transform, z, previous, quality, (y.shape[2], y.shape[3]), make)


def decode_latents(
    coder: SymbolDecoder, transform: Transform, size: tuple[int, int], previous: Tensor | None, quality: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The mirror of `encode_latents`: decoded y in sixteenths and z. size: of the latent grid."""
    shape = transform.hyper_shape(*size)
    hyper = coder.decode(transform.z_tables, _rows(np.empty(shape, dtype=np.int8)))
    z = torch.from_numpy(hyper)[None].float().to(device)

    def read(mean: Tensor, index: Tensor, part: Tensor) -> Tensor:
        table = index.to("cpu", torch.int32).numpy()
        values = np.zeros(table.shape, dtype=np.int32)
        values[table > 0] = coder.decode(transform.y_tables, table[table > 0])
        return torch.from_numpy(values).float().to(device)

    return _run(transform, z, previous, quality, size, read), z


def _run(
    transform: Transform, z: Tensor, previous: Tensor | None, quality: int, size: tuple[int, int],
    symbols_of: Callable[[Tensor, Tensor, Tensor], Tensor],
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
            here, centre = index[0][part], mean[0][part]
            y[0][part] = SIXTEENTHS * symbols_of(centre, here, part) + centre
        return y


def _rows(hyper: np.ndarray) -> np.ndarray:
    """Each channel of z has a table of its own."""
    return np.broadcast_to(np.arange(hyper.shape[0], dtype=np.int32)[:, None, None], hyper.shape)
