"""How probable each motion residual is in each context: integer counts, stored with a model's weights."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES, walk_blend
from stpcodec.latents.motion_field import (
    ACTIVITY_CLASSES,
    CONTEXTS,
    KIND_CONTEXTS,
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
    """counts: int32 ``[CONTEXTS, SYMBOLS]``; blend: int32 ``[BLEND_CONTEXTS, CHOICES + 1]`` of choices less one
    (latents/blend.py), the last column never used. Every entry at least 1."""

    counts: Tensor
    blend: Tensor

    def bits(self, kind: int) -> Tensor:
        """Float32 ``[KIND_CONTEXTS, SYMBOLS]``: what each symbol of a kind of field costs."""
        counts = self.counts[kind * KIND_CONTEXTS : (kind + 1) * KIND_CONTEXTS].double()
        return -torch.log2(counts / counts.sum(1, keepdim=True)).float()


@functools.cache
def initial_tables() -> MotionTables:
    """A share of zeros and two-sided geometric residuals, before any count. Made once, so not to be written to.

    Shares and widths are rough fits to the fields of 24 training clips: zeros are rarer on coarse levels, behind
    active parents and where the like field has a residual.
    """
    size = torch.arange(-LARGEST, LARGEST + 1, dtype=torch.float64).abs()
    rows = []
    for context in range(CONTEXTS):
        first_class, point = divmod(context % KIND_CONTEXTS, POINT_CONTEXTS)
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
    return MotionTables(((torch.stack(rows) * TOTAL).round().clamp(min=1)).int(), _initial_blend())


def _initial_blend() -> Tensor:
    """Neighbours agree more often than not; where they say nothing, both references count."""
    rows = []
    for context in range(BLEND_CONTEXTS):
        rest, last = divmod(context % CHOICES**3, CHOICES)
        around = (rest // CHOICES, rest % CHOICES, last)
        share = torch.tensor([1.0, 0.1, 0.1, 1e-6], dtype=torch.float64)
        for choice in around:
            share[choice] += 1.0
        rows.append(share / share.sum())
    return (torch.stack(rows) * TOTAL).round().clamp(min=1).int()


def count_choices(counts: Tensor, choice: Tensor) -> None:
    """Adds a picture's choices to counts, float64 ``[BLEND_CONTEXTS, CHOICES + 1]``, in place."""
    for part, context in walk_blend(choice):
        index = context.long() * (CHOICES + 1) + choice[part].long()
        counts.view(-1).index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))


def count_residuals(
    counts: Tensor, levels: list[Tensor], like: list[Tensor] | None, height: int, width: int, kind: int
) -> None:
    """Adds a field's coded residuals to counts, float64 ``[CONTEXTS, SYMBOLS]``, in place."""
    for level, context, coded, other, _ in walk(levels, like, height, width, kind):
        residual, other = levels[level].permute(1, 0, 2, 3)[:, coded], other.permute(1, 0, 2, 3)[:, coded]
        first, second = to_symbols(residual, other)
        at = context[coded]
        for value, row in ((first, at), (second, second_context(at, first))):
            symbol = torch.where(value.abs() <= LARGEST, value + LARGEST, 2 * LARGEST + 1).long()
            index = row.long() * SYMBOLS + symbol
            counts.view(-1).index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))


def tables_from_counts(counts: Tensor, blend: Tensor) -> MotionTables:
    """Counted residuals and choices, smoothed by the initial tables (worth eight observations a context)."""
    initial = initial_tables()
    return MotionTables(_smoothed(counts, initial.counts), _smoothed(blend, initial.blend))


def _smoothed(counts: Tensor, initial: Tensor) -> Tensor:
    start = initial.double()
    mixed = counts.double() + 8.0 * start / start.sum(1, keepdim=True)
    return (mixed / mixed.sum(1, keepdim=True) * TOTAL).round().clamp(min=1).int()
