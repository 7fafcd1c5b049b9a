"""How probable each motion residual is in each context: integer counts, stored with a model's weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.motion_field import (
    ACTIVITY_CLASSES,
    CONTEXTS,
    LARGEST,
    MAX_LEVELS,
    POINT_CONTEXTS,
    second_context,
    to_symbols,
    walk,
)

SYMBOLS = 2 * LARGEST + 2
"""Residuals -LARGEST..LARGEST (dy's LARGEST is OTHER), then the escape."""
TOTAL = 1 << 16


@dataclass(frozen=True)
class MotionTables:
    """counts: int32 ``[CONTEXTS, SYMBOLS]``, every entry at least 1."""

    counts: Tensor

    def bits(self) -> Tensor:
        """Float32 ``[CONTEXTS, SYMBOLS]``: what each symbol costs."""
        counts = self.counts.double()
        return -torch.log2(counts / counts.sum(1, keepdim=True)).float()


def initial_tables() -> MotionTables:
    """A share of zeros and two-sided geometric residuals, before any count.

    Shares and widths are rough fits to the fields of 24 training clips: zeros are rarer on coarse levels, behind
    active parents and where the like field has a residual.
    """
    size = torch.arange(-LARGEST, LARGEST + 1, dtype=torch.float64).abs()
    rows = []
    for context in range(CONTEXTS):
        first_class, point = divmod(context, POINT_CONTEXTS)
        like_class, rest = divmod(point, MAX_LEVELS * ACTIVITY_CLASSES)
        level, activity = divmod(rest, ACTIVITY_CLASSES)
        busy = (0.004, 0.06, 0.15, 0.35)[activity] * (1.0, 0.5, 3.0, 3.0)[like_class] * (1 + 0.7 * level)
        zero = 1 - min(0.7, busy * (1.0, 0.5, 12.0, 12.0, 0.001)[first_class])
        escape = (0.002, 0.002, 0.01, 0.2)[activity] * (1 - zero)
        density = torch.exp(-size / (3.0, 1.5, 2.5, 6.0)[activity])
        density[LARGEST] = 0
        density *= (1 - zero - escape) / density.sum()
        density[LARGEST] = zero
        rows.append(torch.cat((density, density.new_tensor([escape]))))
    return MotionTables(((torch.stack(rows) * TOTAL).round().clamp(min=1)).int())


def count_residuals(counts: Tensor, levels: list[Tensor], like: list[Tensor] | None, height: int, width: int) -> None:
    """Adds a chunk's coded residuals to counts, float64 ``[CONTEXTS, SYMBOLS]``, in place."""
    for level, context, coded, other in walk(levels, like, height, width):
        residual, other = levels[level].permute(1, 0, 2, 3)[:, coded], other.permute(1, 0, 2, 3)[:, coded]
        first, second = to_symbols(residual, other)
        at = context[coded]
        for value, row in ((first, at), (second, second_context(at, first))):
            symbol = torch.where(value.abs() <= LARGEST, value + LARGEST, 2 * LARGEST + 1).long()
            index = row.long() * SYMBOLS + symbol
            counts.view(-1).index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))


def tables_from_counts(counts: Tensor) -> MotionTables:
    """Counted residuals, smoothed by the initial tables (worth eight observations a context)."""
    initial = initial_tables().counts.double()
    mixed = counts.double() + 8.0 * initial / initial.sum(1, keepdim=True)
    return MotionTables((mixed / mixed.sum(1, keepdim=True) * TOTAL).round().clamp(min=1).int())
