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

from stpcodec.codec.latent_kernels import add_symbols, coded_places
from stpcodec.codec.quantiser import quantise
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.quantise import LARGEST_SYMBOL
from stpcodec.model.quality import Quality
from stpcodec.model.rates import CAUTION
from stpcodec.model.transform import Transform


def encode_latents(
    coder: SymbolEncoder | None, transform: Transform, y: Tensor, z: Tensor, previous: Tensor | None,
    quality: Quality, *, previous_z: Tensor | None = None, optimise: bool = True, caution: float = CAUTION,
) -> Tensor:  # fmt: skip
    """Codes z, then y; coder None: only says what would be decoded. y ``[C, h, w]`` in steps, z ``[*hyper_shape]``, on
    any device; previous: int32 ``[C, h, w]`` in sixteenths, or None. previous_z: int32 ``[*hyper_shape]`` of the chunk
    before, None when there is no such chunk.

    optimise: quantise for least error + λ·bits; otherwise round. caution: factor of what errors count.

    Returns the decoded y in sixteenths, int32 ``[C, h, w]`` on the CPU.
    """
    hyper = z.to("cpu", torch.int32)
    if coder is not None:
        coder.encode(hyper.numpy(), transform.z_tables, z_rows(transform.z_tables, z.shape, previous_z))

    wanted = y.float().cpu().contiguous().numpy().reshape(-1)
    weights = np.zeros(0, np.float32)
    if optimise:
        weights = np.float32(caution) * transform.error_weights(quality).float().cpu().numpy().reshape(-1)
    bits, area = transform.y_tables.bits, y.shape[1] * y.shape[2]

    def make(table: np.ndarray, at: np.ndarray, means: np.ndarray) -> np.ndarray:
        symbols = quantise(wanted, at, means, table, weights, bits, area, LARGEST_SYMBOL)
        if coder is not None:
            coder.encode(symbols, transform.y_tables, table)
        return symbols

    return walk_latents(transform, hyper, previous, quality, (y.shape[1], y.shape[2]), make)


def decode_latents(
    coder: SymbolDecoder, transform: Transform, size: tuple[int, int], previous: Tensor | None, quality: Quality, *,
    previous_z: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The mirror of `encode_latents`: decoded y in sixteenths and z, int32 on the CPU. size: of the latent grid."""
    shape = transform.hyper_shape(*size)
    z = torch.from_numpy(coder.decode(transform.z_tables, z_rows(transform.z_tables, shape, previous_z)))

    def read(table: np.ndarray, at: np.ndarray, means: np.ndarray) -> np.ndarray:
        return coder.decode(transform.y_tables, table)

    return walk_latents(transform, z, previous, quality, size, read), z


def walk_latents(
    transform: Transform, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int],
    symbols_of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Tensor:  # fmt: skip
    """Decoded y int32 ``[C, h, w]`` in sixteenths, step by step: symbols_of(table indices, positions in y flattened,
    means in sixteenths) of what a step codes. Encoder, decoder and patch_bits.py do different things there."""
    run = transform.run_prior(z, previous, quality, size)
    y = np.zeros((transform.latents, *size), np.int32)
    flat = y.reshape(-1)
    for number in range(transform.prior.steps):
        index = run.step(number, y).reshape(-1)
        # Indices are below 64: eight bits sort eight times faster.
        at, tables, means = coded_places(index, flat)
        add_symbols(flat, at, symbols_of(tables, at, means))
    return torch.from_numpy(y)


def z_rows(tables: TableSet, shape: tuple[int, ...], previous: Tensor | None) -> np.ndarray:
    """Each channel of z has tables of its own: one, or one per value of the chunk before at the same place.

    Of 2K tables a channel, the first serves where there is no such chunk, table K + v behind a value v.
    """
    per_channel = tables.rows // shape[0]
    rows = np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None, None] * per_channel, shape)
    if per_channel == 1 or previous is None:
        return rows
    half = per_channel // 2
    return rows + previous.numpy().clip(1 - half, half - 1) + half
