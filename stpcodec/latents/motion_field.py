"""Motion fields as integers: control points every 16 luma samples, coded as a dyadic hierarchy.

A field holds one vector (dy, dx) in quarter samples per control point and is interpolated bilinearly between
them, so it is smooth and has no block edges. Control point i lies at luma position 16·i; the grid is extended to
the next multiple of the coarsest spacing, so that a point of every level has all its parents.

The hierarchy is a hierarchical basis (Yserentant 1986), the lifting "predict" step of a bilinear wavelet: a new
point of spacing s is predicted from the points of spacing 2s around it, and only the residual is coded. Where
the motion is smooth all fine residuals are zero and nearly free, so the grid adapts itself: 256-sample cells
over a static wall, 16-sample cells along a moving edge.

A chunk of T frames carries T fields against one reference. The last frame's field is the *base*; frame k is
predicted by base·k/T (uniform motion), and its residual field is coded by the same hierarchy. All arithmetic
is on integers: encoder and decoder agree on every device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SPACING = 16
"""Luma samples between control points on the finest level."""
UNITS_PER_SAMPLE = 4
"""Vectors count quarter samples."""
MAX_LEVELS = 6
ACTIVITY_CLASSES = 4
BASE_CLASSES = 3
CONTEXTS = MAX_LEVELS * ACTIVITY_CLASSES * (1 + BASE_CLASSES)
"""Contexts of a residual: level × activity of its parents × (base field | class of the base's residual)."""
LARGEST = 15
"""Residuals beyond ±LARGEST are escaped."""
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
    """Integer bilinear interpolation ``[..., h, w]`` to ``[..., 2h-1, 2w-1]``; halves round up."""
    for dim in (-2, -1):
        length = parents.shape[dim]
        left, right = parents.narrow(dim, 0, length - 1), parents.narrow(dim, 1, length - 1)
        parents = _interleave(parents, (left + right + 1) >> 1, dim)
    return parents


def _interleave(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    shape = list(even.shape)
    shape[dim] = even.shape[dim] + odd.shape[dim]
    out = even.new_empty(shape)
    index: list[slice] = [slice(None)] * even.ndim
    index[dim] = slice(0, None, 2)
    out[tuple(index)] = even
    index[dim] = slice(1, None, 2)
    out[tuple(index)] = odd
    return out


def spread(activity: Tensor) -> Tensor:
    """Each child's activity is the largest of its parents': ``[..., h, w]`` to ``[..., 2h-1, 2w-1]``."""
    for dim in (-2, -1):
        length = activity.shape[dim]
        left, right = activity.narrow(dim, 0, length - 1), activity.narrow(dim, 1, length - 1)
        activity = _interleave(activity, torch.maximum(left, right), dim)
    return activity


def magnitude(residual: Tensor) -> Tensor:
    """``[N, 2, h, w]`` to |dy| + |dx| ``[N, h, w]``."""
    return residual.abs().sum(dim=1)


def activity_after(residual: Tensor, inherited: Tensor) -> Tensor:
    """What a level's children see: this level's residuals, or half of what lay above. ``[N, h, w]``."""
    return torch.maximum(magnitude(residual), inherited >> 1)


def context_of(level: int, inherited: Tensor, base_magnitude: Tensor | None) -> Tensor:
    """Context index ``[N, h, w]`` from the parents' activity and, for frames before the last, the base's residual."""
    cls = (inherited > 0).int() + (inherited > 2).int() + (inherited > 8).int()
    context = level * ACTIVITY_CLASSES + cls
    if base_magnitude is None:
        return context
    base_cls = (base_magnitude > 0).int() + (base_magnitude > 4).int()
    return MAX_LEVELS * ACTIVITY_CLASSES * (1 + base_cls) + context


def scale_base(base: Tensor, frames: int) -> Tensor:
    """Fields of the frames before the last under uniform motion: ``[2, h, w]`` to ``[frames - 1, 2, h, w]``."""
    k = torch.arange(1, frames, device=base.device, dtype=base.dtype).view(-1, 1, 1, 1)
    return torch.div(2 * base[None] * k + frames, 2 * frames, rounding_mode="floor")


def zero_levels(hierarchy: Hierarchy, count: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """Residuals of every level, all zero: element l is int32 ``[count, 2, *shape(l)]``."""
    return [
        torch.zeros(count, 2, *hierarchy.shape(level), dtype=torch.int32, device=device)
        for level in range(hierarchy.top + 1)
    ]


def reconstruct(levels: list[Tensor]) -> Tensor:
    """Residuals per level, finest first, to the field ``[N, 2, rows, columns]`` in quarter samples."""
    field = levels[-1]
    for residual in reversed(levels[:-1]):
        field = upsample(field) + residual
    return field
