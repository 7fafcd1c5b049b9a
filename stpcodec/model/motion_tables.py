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
    Hierarchy,
    activity_after,
    context_of,
    magnitude,
    spread,
)

SYMBOLS = 2 * LARGEST + 2
"""Residuals -LARGEST..LARGEST, then the escape."""
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
    """Two-sided geometric distributions, wider on coarse levels and behind active parents: before any count."""
    value = torch.arange(-LARGEST, LARGEST + 1, dtype=torch.float64)
    rows = []
    for context in range(CONTEXTS):
        base_class, rest = divmod(context, MAX_LEVELS * ACTIVITY_CLASSES)
        level, activity = divmod(rest, ACTIVITY_CLASSES)
        width = (0.25, 0.7, 1.5, 4.0)[activity] * (1 + 0.5 * level) * (1.0, 0.6, 0.9, 1.3)[base_class]
        density = torch.exp(-value.abs() / width)
        density = torch.cat((density, 2 * density[:1] + 1e-4))
        rows.append(density / density.sum())
    return MotionTables(((torch.stack(rows) * TOTAL).round().clamp(min=1)).int())


def count_residuals(counts: Tensor, levels: list[Tensor], base: list[Tensor] | None, height: int, width: int) -> None:
    """Adds a chunk's coded residuals to counts, float64 ``[CONTEXTS, SYMBOLS]``, in place."""
    number = levels[0].shape[0]
    hierarchy = Hierarchy.of(height, width)
    inherited = torch.zeros(number, *hierarchy.shape(hierarchy.top), dtype=torch.int32)
    for level in range(hierarchy.top, -1, -1):
        base_magnitude = None if base is None else magnitude(base[level]).expand(number, -1, -1)
        context = context_of(level, inherited, base_magnitude)
        coded = hierarchy.coded(level, height, width).expand(number, -1, -1)
        for component in range(2):
            value = levels[level][:, component][coded]
            symbol = torch.where(value.abs() <= LARGEST, value + LARGEST, 2 * LARGEST + 1).long()
            index = context[coded].long() * SYMBOLS + symbol
            counts.view(-1).index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))
        if level:
            inherited = spread(activity_after(levels[level], inherited))


def tables_from_counts(counts: Tensor) -> MotionTables:
    """Counted residuals, smoothed by the initial tables (worth eight observations a context)."""
    initial = initial_tables().counts.double()
    mixed = counts.double() + 8.0 * initial / initial.sum(1, keepdim=True)
    return MotionTables((mixed / mixed.sum(1, keepdim=True) * TOTAL).round().clamp(min=1).int())
