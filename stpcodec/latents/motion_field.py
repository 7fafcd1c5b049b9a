"""Motion fields as integers: control points every 8 luma samples, coded as a dyadic hierarchy.

A field holds one vector (dy, dx) in quarter samples per control point. Between them it is interpolated bilinearly,
so it is smooth and has no block edges, except in a cell whose corners disagree by more than TEAR: there lies the
edge of a moving thing, and every sample takes the vector of the nearest corner. Control point i lies at luma position
8·i; the grid is extended to
the next multiple of the coarsest spacing, so that a point of every level has all its parents.

The hierarchy is a hierarchical basis (Yserentant 1986), the lifting "predict" step of a bilinear wavelet: a new
point of spacing s is predicted from the points of spacing 2s around it, and only the residual is coded. Where
the motion is smooth all fine residuals are zero and nearly free, so the grid adapts itself: 256-sample cells
over a static wall, 8-sample cells along a moving edge.

How probable a residual is depends on the kind of field, on its level, on its parents' residuals and on the residual
of a like field at the same point. An *anchor*'s field is coded as it is; like it is the field of the anchor before. A
picture between two references has two fields: the one to the *past* is predicted from the field between the two ends
of its gap by uniform motion, which is also the like field; the one to the *future* continues the one to the past
in a straight line, and like it is the past one's residual. All arithmetic is on integers, on the CPU wherever the
networks run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from stpcodec.latents.motion_kernels import spread_activity, upsample_pair

SPACING = 8
"""Luma samples between control points on the finest level."""
UNITS_PER_SAMPLE = 4
"""Vectors count quarter samples."""
MAX_LEVELS = 6
ACTIVITY_CLASSES = 4
LIKE_CLASSES = 3
FIRST_CLASSES = 4
POINT_CONTEXTS = MAX_LEVELS * ACTIVITY_CLASSES * (1 + LIKE_CLASSES)
"""Contexts of a point: level × activity of its parents × (no like field | class of that field's residual)."""
KIND_CONTEXTS = POINT_CONTEXTS * (1 + FIRST_CLASSES)
"""Contexts of a residual's component: dy by the point's context alone, dx also by the class of dy."""
ANCHOR, PAST, FUTURE = range(3)
"""Kinds of fields: of a picture with one reference, and the two of a picture between two."""
CONTEXTS = 3 * KIND_CONTEXTS
LARGEST = 32
"""Symbols beyond ±LARGEST are escaped."""
OTHER = LARGEST
"""The symbol of dy that says: this point follows the *other* parent across a tear; then dx is 0. Residuals from here
on move up by one."""
MAX_VECTOR = 2047


@dataclass(frozen=True)
class Hierarchy:
    """The grids of one frame size. `levels` counts from 0, the finest, to `top`, the coarsest."""

    rows: int
    columns: int
    top: int

    @staticmethod
    def of(height: int, width: int) -> Hierarchy:
        """The hierarchy of a padded frame, `height` and `width` in luma samples, multiples of SPACING."""
        cells = max(height, width) // SPACING
        top = min(MAX_LEVELS - 1, max(0, cells.bit_length() - 1))
        unit = 1 << top
        extend = lambda length: -(-(length // SPACING) // unit) * unit + 1  # noqa: E731
        return Hierarchy(extend(height), extend(width), top)

    def shape(self, level: int) -> tuple[int, int]:
        return ((self.rows - 1) >> level) + 1, ((self.columns - 1) >> level) + 1

    @cache  # noqa: B019 - a few frame sizes, and a hierarchy is a value
    def coded(self, level: int, height: int, width: int) -> Tensor:
        """Bool ``[rows, columns]`` of a level: points that are new there and whose support meets the frame."""
        rows, columns = self.shape(level)
        y, x = torch.arange(rows)[:, None], torch.arange(columns)[None, :]
        # A point's influence reaches one spacing of its own level up and to the left.
        meets = ((y - 1) << level) * SPACING < height
        meets = meets & (((x - 1) << level) * SPACING < width)
        if level == self.top:
            return meets
        return meets & ((y % 2 == 1) | (x % 2 == 1))


def upsample(parents: Tensor) -> Tensor:
    """Predictions ``[N, 2, h, w]`` to ``[N, 2, 2h-1, 2w-1]``: see `upsample_both`."""
    return upsample_both(parents)[0]


def upsample_both(parents: Tensor) -> tuple[Tensor, Tensor]:
    """Integer bilinear interpolation int32 ``[N, 2, h, w]`` to ``[N, 2, 2h-1, 2w-1]``, halves rounded up, rows first.

    Between two vectors that differ by more than TEAR lies an edge, and their mean is neither side's motion: there a
    new point follows the upper or left one. The second result follows the lower or right one instead (and is the
    first one's equal wherever there is no edge).
    """
    first, second = upsample_pair(parents.int().contiguous().numpy())
    return torch.from_numpy(first), torch.from_numpy(second)


def spread(activity: Tensor) -> Tensor:
    """Each child's activity is the largest of its parents': int32 ``[N, h, w]`` to ``[N, 2h-1, 2w-1]``."""
    return torch.from_numpy(spread_activity(activity.int().contiguous().numpy()))


def magnitude(residual: Tensor) -> Tensor:
    """``[N, 2, h, w]`` to |dy| + |dx| ``[N, h, w]``."""
    return residual.abs().sum(dim=1)


def activity_after(residual: Tensor, inherited: Tensor) -> Tensor:
    """What a level's children see: this level's residuals, or half of what lay above. ``[N, h, w]``."""
    return torch.maximum(magnitude(residual), inherited >> 1)


def context_of(level: int, inherited: Tensor, like_magnitude: Tensor | None) -> Tensor:
    """Context index ``[N, h, w]`` from the parents' activity and the residual of the like field."""
    cls = (inherited > 0).int() + (inherited > 2).int() + (inherited > 8).int()
    context = level * ACTIVITY_CLASSES + cls
    if like_magnitude is None:
        return context
    like_cls = (like_magnitude > 0).int() + (like_magnitude > 4).int()
    return MAX_LEVELS * ACTIVITY_CLASSES * (1 + like_cls) + context


def second_context(context: Tensor, first: Tensor) -> Tensor:
    """Context of dx's symbol, from the point's context and the symbol of dy."""
    size = first.abs()
    cls = 1 + (size > 0).to(context.dtype) + (size > 2).to(context.dtype)
    return context + POINT_CONTEXTS * torch.where(first == OTHER, FIRST_CLASSES, cls)


def to_symbols(residual: Tensor, other: Tensor) -> Tensor:
    """Residuals ``[2, K]`` to symbols ``[2, K]``; other ``[2, K]``: what the other parent's vector would leave."""
    follows = ((other != 0).any(0) & (residual == other).all(0))[None]
    symbols = residual + (residual >= OTHER).to(residual.dtype)
    return torch.where(follows, torch.tensor([[OTHER], [0]], dtype=residual.dtype, device=residual.device), symbols)


def to_residuals(symbols: Tensor, other: Tensor) -> Tensor:
    """The inverse of `to_symbols`."""
    residual = symbols - (symbols > OTHER).to(symbols.dtype)
    return torch.where((symbols[:1] == OTHER), other, residual)


def walk(
    levels: list[Tensor], like: list[Tensor] | None, height: int, width: int, kind: int = ANCHOR
) -> Iterator[tuple[int, Tensor, Tensor, Tensor, Tensor]]:
    """The order of coding, coarse to fine: (level, contexts ``[N, h, w]``, coded points bool ``[N, h, w]``, other
    ``[N, 2, h, w]``, the residual that would follow the other parent, and what residuals are added to).

    A level of `levels` is read only after it was yielded, so a decoder may fill it in.
    """
    count, device = levels[0].shape[0], levels[0].device
    hierarchy = Hierarchy.of(height, width)
    inherited = torch.zeros(count, *hierarchy.shape(hierarchy.top), dtype=torch.int32, device=device)
    predicted = other = torch.zeros_like(levels[hierarchy.top])
    for level in range(hierarchy.top, -1, -1):
        like_magnitude = None if like is None else magnitude(like[level]).expand(count, -1, -1)
        coded = hierarchy.coded(level, height, width).to(device).expand(count, -1, -1)
        context = kind * KIND_CONTEXTS + context_of(level, inherited, like_magnitude)
        yield level, context, coded, other, predicted
        if level:
            inherited = spread(activity_after(levels[level], inherited))
            predicted, second = upsample_both(predicted + levels[level])
            other = second - predicted


def scaled(field: Tensor, numerator: int, denominator: int) -> Tensor:
    """field·numerator/denominator for uniform motion, to the nearest integer, halves up. denominator is positive."""
    return torch.div(2 * field * numerator + denominator, 2 * denominator, rounding_mode="floor")


def zero_levels(hierarchy: Hierarchy, count: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """Residuals of every level, all zero: element l is int32 ``[count, 2, *shape(l)]``."""
    return [
        torch.zeros(count, 2, *hierarchy.shape(level), dtype=torch.int32, device=device)
        for level in range(hierarchy.top + 1)
    ]


def still_fields(count: int, height: int, width: int) -> Tensor:
    """No motion at all, int32 ``[count, 2, rows, columns]``."""
    return zero_levels(Hierarchy.of(height, width), count)[0]


def reconstruct(levels: list[Tensor]) -> Tensor:
    """Residuals per level, finest first, to the field ``[N, 2, rows, columns]`` in quarter samples."""
    field = levels[-1]
    for residual in reversed(levels[:-1]):
        field = upsample(field) + residual
    return field


def decompose(field: Tensor, top: int) -> list[Tensor]:
    """The inverse of `reconstruct`: a field ``[N, 2, rows, columns]`` to the residuals of levels 0..top."""
    levels = []
    for _ in range(top):
        parents = field[..., ::2, ::2]
        levels.append(field - upsample(parents))
        field = parents
    return [*levels, field]


def like_levels(field: Tensor | None, height: int, width: int) -> list[Tensor] | None:
    """A like field ``[2, rows, columns]`` as `walk` wants it."""
    return None if field is None else decompose(field[None], Hierarchy.of(height, width).top)
