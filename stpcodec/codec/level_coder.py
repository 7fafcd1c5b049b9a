"""Levels (latents/levels.py) through the entropy coder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.codec import level_kernels
from stpcodec.codec.choice_kernels import IMPOSSIBLE
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.levels import level_shape


def encode_levels(coder: SymbolEncoder, levels: Tensor, tables: TableSet, *, before: Tensor | None) -> None:
    """levels int32 ``[rows, columns]``; before: those that held until then, None where all were 0 without a word."""
    coder.encode_by(
        level_kernels.encode_levels, tables, _known(before), _plain(levels), symbols=levels.numel()
    )


def decode_levels(
    coder: SymbolDecoder, tables: TableSet, height: int, width: int, *, before: Tensor | None
) -> Tensor:
    """int32 ``[rows, columns]`` of a padded picture. Raises CorruptFile on levels that do not exist."""
    levels = np.zeros(level_shape(height, width), np.int32)
    outcome = coder.decode_by(level_kernels.decode_levels, tables, _known(before), levels, symbols=levels.size)
    if outcome == IMPOSSIBLE:
        raise CorruptFile("a level of quality that does not exist; the file is damaged")
    return torch.from_numpy(levels)


def level_changes(levels: Tensor, before: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """(table of each, what is coded by it), both int32 of the shape of levels."""
    contexts, changes = (np.zeros(tuple(levels.shape), np.int32) for _ in range(2))
    level_kernels.level_contexts(_known(before), _plain(levels), contexts, changes)
    return contexts, changes


def _known(before: Tensor | None) -> np.ndarray:
    return np.zeros((0, 0), np.int32) if before is None else _plain(before)


def _plain(levels: Tensor) -> np.ndarray:
    return np.ascontiguousarray(levels.numpy(), np.int32)
