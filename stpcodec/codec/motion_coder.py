"""Motion residuals through the entropy coder, level by level, coarse to fine (latents/motion_field.py), and choices."""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.blend import CHOICES, walk_blend
from stpcodec.latents.motion_field import (
    MAX_VECTOR,
    Hierarchy,
    like_levels,
    second_context,
    to_residuals,
    to_symbols,
    walk,
    zero_levels,
)


def encode_field(
    coder: SymbolEncoder, residuals: list[Tensor], tables: TableSet, height: int, width: int, *,
    like: Tensor | None, kind: int,
) -> None:  # fmt: skip
    """residuals as `motion_search.search` returns them, on any device; like, kind: see `decode_field`."""
    levels = [level.cpu() for level in residuals]
    looks_at = like_levels(None if like is None else like.cpu(), height, width)
    for level, context, coded, other, _ in walk(levels, looks_at, height, width, kind):
        residual, other = levels[level].permute(1, 0, 2, 3)[:, coded], other.permute(1, 0, 2, 3)[:, coded]
        first, second = to_symbols(residual, other)
        at = context[coded]
        coder.encode(first.numpy(), tables, at.numpy())
        coder.encode(second.numpy(), tables, second_context(at, first).numpy())


def decode_field(
    coder: SymbolDecoder, tables: TableSet, height: int, width: int, *, like: Tensor | None, kind: int
) -> Tensor:
    """A field's residual int32 ``[2, rows, columns]`` in quarter samples. Raises CorruptFile on impossible vectors.

    like: what the contexts look at ``[2, rows, columns]``, None if nothing; kind: latents/motion_field.py.
    """
    levels = zero_levels(Hierarchy.of(height, width), 1)
    field = levels[0]
    for level, context, coded, other, predicted in walk(
        levels, like_levels(like, height, width), height, width, kind
    ):  # fmt: skip
        at = context[coded]
        first = torch.from_numpy(coder.decode(tables, at.numpy()))
        second = torch.from_numpy(coder.decode(tables, second_context(at, first).numpy()))
        other = other.permute(1, 0, 2, 3)[:, coded]
        levels[level].permute(1, 0, 2, 3)[:, coded] = to_residuals(torch.stack((first, second)), other)
        field = predicted + levels[level]
    return in_range(field[0])


def in_range(field: Tensor) -> Tensor:
    """The field itself. Raises CorruptFile where it points further than any encoder would."""
    largest = int(field.abs().max())
    if largest > 16 * MAX_VECTOR:
        raise CorruptFile(f"motion of {largest} quarter samples is out of range; the file is damaged")
    return field


def encode_choice(coder: SymbolEncoder, choice: Tensor, tables: TableSet) -> None:
    """choice int32 ``[h, w]`` on any device."""
    choice = choice.cpu()
    for part, context in walk_blend(choice):
        coder.encode(choice[part].numpy() - 1, tables, context.numpy())


def decode_choice(coder: SymbolDecoder, tables: TableSet, height: int, width: int) -> Tensor:
    """int32 ``[height, width]``, in blocks. Raises CorruptFile on choices that do not exist."""
    choice = torch.zeros(height, width, dtype=torch.int32)
    for part, context in walk_blend(choice):
        values = torch.from_numpy(coder.decode(tables, context.numpy())) + 1
        if bool(((values < 0) | (values >= CHOICES)).any()):
            raise CorruptFile("a block is predicted from a reference that does not exist; the file is damaged")
        choice[part] = values
    return choice
