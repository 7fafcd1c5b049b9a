"""Motion residuals through the entropy coder, level by level, coarse to fine (latents/motion_field.py), and choices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.codec.choice_kernels import IMPOSSIBLE, decode_choices, encode_choices
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.motion_field import MAX_VECTOR, Hierarchy, like_levels
from stpcodec.latents.motion_points import fill_in, second_contexts, symbols, walk_points


def encode_field(
    coder: SymbolEncoder, residuals: list[Tensor], tables: TableSet, height: int, width: int, *,
    like: Tensor | None, kind: int,
) -> None:  # fmt: skip
    """residuals as `motion_search.search` returns them, on any device; like, kind: see `decode_field`."""
    levels = [np.ascontiguousarray(level[0].cpu().numpy(), np.int32) for level in residuals]
    for points in walk_points(levels, _looks_at(like, height, width), height, width, kind):
        first, second = symbols(levels[points.level], points.other, points.positions)
        coder.encode(first, tables, points.contexts)
        coder.encode(second, tables, second_contexts(points.contexts, first))


def decode_field(
    coder: SymbolDecoder, tables: TableSet, height: int, width: int, *, like: Tensor | None, kind: int
) -> Tensor:
    """A field's residual int32 ``[2, rows, columns]`` in quarter samples. Raises CorruptFile on impossible vectors.

    like: what the contexts look at ``[2, rows, columns]``, None if nothing; kind: latents/motion_field.py.
    """
    hierarchy = Hierarchy.of(height, width)
    levels = [np.zeros((2, *hierarchy.shape(level)), np.int32) for level in range(hierarchy.top + 1)]
    field = levels[0]
    for points in walk_points(levels, _looks_at(like, height, width), height, width, kind):
        first = coder.decode(tables, points.contexts)
        second = coder.decode(tables, second_contexts(points.contexts, first))
        fill_in(first, second, points.other, points.positions, levels[points.level])
        field = points.predicted + levels[points.level]
    return in_range(torch.from_numpy(field))


def _looks_at(like: Tensor | None, height: int, width: int) -> list[np.ndarray] | None:
    levels = like_levels(None if like is None else like.cpu(), height, width)
    return None if levels is None else [np.ascontiguousarray(level[0].numpy(), np.int32) for level in levels]


def in_range(field: Tensor) -> Tensor:
    """The field itself. Raises CorruptFile where it points further than any encoder would."""
    largest = int(field.abs().max())
    if largest > 16 * MAX_VECTOR:
        raise CorruptFile(f"motion of {largest} quarter samples is out of range; the file is damaged")
    return field


def encode_choice(coder: SymbolEncoder, choice: Tensor, tables: TableSet) -> None:
    """choice int32 ``[h, w]`` on any device."""
    values = np.ascontiguousarray(choice.cpu().numpy(), np.int32)
    coder.encode_by(encode_choices, tables, values, symbols=values.size)


def decode_choice(coder: SymbolDecoder, tables: TableSet, height: int, width: int) -> Tensor:
    """int32 ``[height, width]``, in blocks. Raises CorruptFile on choices that do not exist."""
    choice = np.zeros((height, width), np.int32)
    if coder.decode_by(decode_choices, tables, choice, symbols=choice.size) == IMPOSSIBLE:
        raise CorruptFile("a block is predicted from a reference that does not exist; the file is damaged")
    return torch.from_numpy(choice)
