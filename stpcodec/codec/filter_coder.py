"""Loop filters (latents/loop_filter.py) through the entropy coder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.loop_filter import FILTER_SIZE, LARGEST_WEIGHT


def encode_filter(coder: SymbolEncoder, loop_filter: Tensor, tables: TableSet, *, before: Tensor | None) -> None:
    """loop_filter int32 ``[FILTER_SIZE]``; before: the one that held until then."""
    contexts, changes = filter_changes(loop_filter, before)
    coder.encode(changes, tables, contexts)


def decode_filter(coder: SymbolDecoder, tables: TableSet, *, before: Tensor | None) -> Tensor:
    """int32 ``[FILTER_SIZE]``. Raises CorruptFile on weights that do not exist."""
    found = torch.from_numpy(coder.decode(tables, _contexts(before)))
    if before is not None:
        found = found + before
    if bool((found.abs() > LARGEST_WEIGHT).any()):
        raise CorruptFile("a weight of a loop filter that does not exist; the file is damaged")
    return found


def filter_changes(loop_filter: Tensor, before: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """(table of each weight, what is coded by it)."""
    return _contexts(before), (loop_filter if before is None else loop_filter - before).numpy()


def _contexts(before: Tensor | None) -> np.ndarray:
    return np.full(FILTER_SIZE, 0 if before is None else 1, np.uint8)
