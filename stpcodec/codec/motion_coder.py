"""Motion residuals through the entropy coder, level by level, coarse to fine (latents/motion_field.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.motion_field import (
    MAX_VECTOR,
    Hierarchy,
    join_field,
    like_levels,
    second_context,
    to_residuals,
    to_symbols,
    walk,
    zero_levels,
)


def encode_motion(
    coder: SymbolEncoder, base: list[Tensor], middle: list[Tensor], tables: TableSet, height: int, width: int,
    before: Tensor | None,
) -> None:  # fmt: skip
    """base and middle as `motion_search.search` returns them, on any device; before: see `decode_motion`."""
    base, middle = [level.cpu() for level in base], [level.cpu() for level in middle]
    for levels, like in ((base, like_levels(before, height, width)), (middle, base)):
        for level, context, coded, other in walk(levels, like, height, width):
            residual, other = levels[level].permute(1, 0, 2, 3)[:, coded], other.permute(1, 0, 2, 3)[:, coded]
            first, second = to_symbols(residual, other)
            at = context[coded]
            coder.encode(first.numpy(), tables, at.numpy())
            coder.encode(second.numpy(), tables, second_context(at, first).numpy())


def decode_motion(
    coder: SymbolDecoder, tables: TableSet, frames: int, height: int, width: int, before: Tensor | None
) -> Tensor:
    """The field int32 ``[frames, 2, rows, columns]`` in quarter samples. Raises CorruptFile on impossible vectors.

    before: the last field of the chunk before ``[2, rows, columns]``, None behind an intra chunk.
    """
    hierarchy = Hierarchy.of(height, width)
    base, middle = zero_levels(hierarchy, 1), zero_levels(hierarchy, frames - 1)
    for levels, like in ((base, like_levels(before, height, width)), (middle, base)):
        for level, context, coded, other in walk(levels, like, height, width):
            at = context[coded]
            first = torch.from_numpy(coder.decode(tables, at.numpy()))
            second = torch.from_numpy(coder.decode(tables, second_context(at, first).numpy()))
            other = other.permute(1, 0, 2, 3)[:, coded]
            levels[level].permute(1, 0, 2, 3)[:, coded] = to_residuals(torch.stack((first, second)), other)
    field = join_field(base, middle)
    largest = int(field.abs().max())
    if largest > 16 * MAX_VECTOR:
        raise CorruptFile(f"motion of {largest} quarter samples is out of range; the file is damaged")
    return field

