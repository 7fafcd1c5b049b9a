"""Motion residuals through the entropy coder, level by level, coarse to fine (latents/motion_field.py)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.motion_field import (
    MAX_VECTOR,
    Hierarchy,
    activity_after,
    context_of,
    magnitude,
    reconstruct,
    scale_base,
    spread,
    zero_levels,
)


def encode_motion(
    coder: SymbolEncoder, base: list[Tensor], middle: list[Tensor], tables: TableSet, height: int, width: int
) -> None:
    """base and middle as `motion_search.search` returns them, on any device."""
    base, middle = [level.cpu() for level in base], [level.cpu() for level in middle]
    for levels, given in ((base, None), (middle, base)):
        for level, context, coded in _walk(levels, given, height, width):
            values = levels[level].permute(1, 0, 2, 3)[:, coded]
            coder.encode(values.numpy(), tables, np.broadcast_to(context[coded].numpy(), tuple(values.shape)))


def decode_motion(coder: SymbolDecoder, tables: TableSet, frames: int, height: int, width: int) -> Tensor:
    """The field int32 ``[frames, 2, rows, columns]`` in quarter samples. Raises CorruptFile on impossible vectors."""
    hierarchy = Hierarchy.of(height, width)
    base, middle = zero_levels(hierarchy, 1), zero_levels(hierarchy, frames - 1)
    for levels, given in ((base, None), (middle, base)):
        for level, context, coded in _walk(levels, given, height, width):
            index = context[coded].numpy()
            values = coder.decode(tables, np.stack((index, index)))
            levels[level].permute(1, 0, 2, 3)[:, coded] = torch.from_numpy(values)
    return join_field(base, middle)


def join_field(base: list[Tensor], middle: list[Tensor]) -> Tensor:
    """Residuals of the last frame and of those before it to all fields, the last frame's last."""
    last = reconstruct(base)
    count = middle[0].shape[0]
    field = torch.cat((scale_base(last[0], count + 1) + reconstruct(middle), last)) if count else last
    if int(field.abs().max()) > 16 * MAX_VECTOR:
        raise CorruptFile(f"motion of {int(field.abs().max())} quarter samples is out of range; the file is damaged")
    return field


def _walk(levels: list[Tensor], base: list[Tensor] | None, height: int, width: int):  # type: ignore[no-untyped-def]
    """Yields (level, context ``[N, h, w]``, coded bool ``[N, h, w]``); reads a level only after it was yielded."""
    count = levels[0].shape[0]
    hierarchy = Hierarchy.of(height, width)
    inherited = torch.zeros(count, *hierarchy.shape(hierarchy.top), dtype=torch.int32)
    for level in range(hierarchy.top, -1, -1):
        base_magnitude = None if base is None else magnitude(base[level]).expand(count, -1, -1)
        coded = hierarchy.coded(level, height, width).expand(count, -1, -1)
        yield level, context_of(level, inherited, base_magnitude), coded
        if level:
            inherited = spread(activity_after(levels[level], inherited))
