"""Block matching at the control points: where a motion search starts.

A window around every control point is compared with the reference under many candidate vectors: none, those of an
exhaustive match at a coarse scale, those the caller knows (the frame before, say). The best spread to their
neighbours and move in ever smaller steps, as in PatchMatch (Barnes et al. 2009), by whole samples. A candidate must
also agree with its surroundings, so that repeated texture and noise do not tear the field apart.

Two grids: every second control point with large windows first, which are hard to fool, then all with small ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import SPACING

COARSE_WINDOW, FINE_WINDOW = 24, 16
"""Sides of the compared windows, in luma samples."""
REACH = 72
"""Largest displacement in luma samples, either way, of a frame of up to 1024 samples; twice that beyond."""
ROUGHNESS = 0.0003
"""Mean absolute error a window must gain per sample that its vector departs from its neighbours' median."""
MATCH_REACH = 8
"""Reach of the exhaustive match, in samples of its scale."""
ROUNDS = 2
"""Rounds of steps by one sample on the fine grid."""
SMALLEST_WINDOW = 4
"""Sides of its windows, in samples of its scale: fewer say too little."""


class Matcher:
    """Errors of windows of one frame around every `spacing` samples against one reference, luma ``[H, W]``."""

    def __init__(self, frame: Tensor, reference: Tensor, *, spacing: int, window: int):
        height, width = frame.shape
        self.rows, self.columns = height // spacing + 1, width // spacing + 1
        self.reach = REACH if max(height, width) <= 1024 else 2 * REACH
        half, device = window // 2, frame.device
        # One sample in eight, rows staggered: an eighth of the work, and hardly a worse choice.
        inside = torch.tensor(
            [(y - half, x - half) for y in range(0, window, 2) for x in range(y % 4, window, 4)], device=device
        )
        y, x = torch.arange(self.rows, device=device) * spacing, torch.arange(self.columns, device=device) * spacing

        def windows(plane: Tensor, margin: int) -> tuple[Tensor, Tensor, int]:
            padded = F.pad(plane[None, None], (margin,) * 4, mode="replicate")[0, 0]
            stride = padded.shape[1]
            corner = (y[:, None] + margin) * stride + x[None, :] + margin
            index = corner[:, :, None] + inside[:, 0] * stride + inside[:, 1]
            return padded.reshape(-1), index.int(), stride

        own, index, _ = windows(frame, half)
        self.windows = own.index_select(0, index.view(-1)).view(index.shape)
        self.flat, self.index, self.stride = windows(reference, half + self.reach)

    def error(self, vectors: Tensor) -> Tensor:
        """Mean absolute error of every window under whole-sample vectors ``[2, rows, columns]``."""
        offset = vectors[0].int() * self.stride + vectors[1].int()
        moved = self.flat.index_select(0, (self.index + offset[:, :, None]).view(-1)).view(self.windows.shape)
        return moved.sub_(self.windows).abs_().mean(2)


class _Best:
    """The vectors chosen so far, with their errors."""

    def __init__(self, matcher: Matcher, start: Tensor):
        self.matcher = matcher
        self.vectors = start.round().clamp(-matcher.reach, matcher.reach)
        self.error = matcher.error(self.vectors)

    def offer(self, candidate: Tensor, around: Tensor) -> None:
        """Takes the candidate wherever it is better, its distance to `around` counted in."""
        candidate = candidate.round().clamp(-self.matcher.reach, self.matcher.reach)
        error = self.matcher.error(candidate)
        wins = error + _roughness(candidate, around) < self.error + _roughness(self.vectors, around)
        self.vectors = torch.where(wins, candidate, self.vectors)
        self.error = torch.where(wins, error, self.error)

    def improve(self, sizes: tuple[int, ...]) -> None:
        """Offers every point its neighbours' vectors, then steps of the given sizes."""
        around = _median(self.vectors)
        self.offer(around, around)
        rows, columns = self.matcher.rows, self.matcher.columns
        for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
            padded = F.pad(self.vectors[None], (1, 1, 1, 1), mode="replicate")[0]
            self.offer(padded[:, y : y + rows, x : x + columns], around)
        for size in sizes:
            for y, x in ((-size, 0), (size, 0), (0, -size), (0, size)):
                step = torch.tensor([y, x], dtype=self.vectors.dtype, device=self.vectors.device)
                self.offer(self.vectors + step[:, None, None], around)


def match(frame: Tensor, reference: Tensor, starts: list[Tensor], *, thorough: bool = True) -> Tensor:
    """Whole-sample vectors ``[2, H/SPACING + 1, W/SPACING + 1]`` of all control points of a frame.

    frame, reference: luma ``[H, W]`` in [0, 1], multiples of 16. starts: further candidates, of the result's shape.
    thorough: False looks at the candidates and around them only.
    """
    fine = Matcher(frame, reference, spacing=SPACING, window=FINE_WINDOW)
    if thorough:
        first, *more = _matched_coarsely(frame, reference, starts, fine)
    else:
        first, *more = starts
    chosen = _Best(fine, first)
    for start in (*more, *(starts if thorough else ())):
        chosen.offer(start, chosen.vectors)
    for _ in range(ROUNDS):
        chosen.improve((1,))
    return chosen.vectors


def _matched_coarsely(frame: Tensor, reference: Tensor, starts: list[Tensor], fine: Matcher) -> tuple[Tensor, Tensor]:
    """Two candidates for all points, from a match of every second one with large windows."""
    height, width = frame.shape
    coarse = Matcher(frame, reference, spacing=2 * SPACING, window=COARSE_WINDOW)
    zero = torch.zeros(2, coarse.rows, coarse.columns, device=frame.device)
    best = _Best(coarse, zero)
    factor = 4 if max(height, width) <= 1024 else 8
    exhaustive = (_exhaustive(frame, reference, coarse, scale) for scale in (factor, 2 * factor))
    for start in (*(start[:, ::2, ::2] for start in starts), *exhaustive):
        best.offer(start, zero)
    best.offer(best.vectors.flatten(1).median(1).values[:, None, None].expand_as(zero), zero)
    best.improve((4, 2, 1))
    best.improve((2, 1))
    rows = torch.arange(fine.rows, device=frame.device)
    columns = torch.arange(fine.columns, device=frame.device)
    corners = []
    # A new point lies between two or four of the coarse grid: it starts from the better of two opposite ones.
    for add in (0, 1):
        y, x = ((rows + add) // 2).clamp(max=coarse.rows - 1), ((columns + add) // 2).clamp(max=coarse.columns - 1)
        corners.append(best.vectors[:, y][:, :, x])
    return corners[0], corners[1]


def _exhaustive(frame: Tensor, reference: Tensor, matcher: Matcher, factor: int) -> Tensor:
    """The best of all displacements up to MATCH_REACH samples of luma shrunk by `factor`."""
    small, target = (F.avg_pool2d(plane[None], factor)[0] for plane in (frame, reference))
    h, w = small.shape
    padded = F.pad(target[None, None], (MATCH_REACH,) * 4, mode="replicate")[0, 0]
    cell = max(1, 2 * SPACING // factor)
    window = max(cell, SMALLEST_WINDOW)
    steps = range(2 * MATCH_REACH + 1)
    order = sorted(
        ((y, x) for y in steps for x in steps), key=lambda o: (o[0] - MATCH_REACH) ** 2 + (o[1] - MATCH_REACH) ** 2
    )
    best, choice = torch.zeros(0), torch.zeros(0)
    for number, (y, x) in enumerate(order):
        difference = (padded[y : y + h, x : x + w] - small).abs_()[None]
        error = F.avg_pool2d(
            difference, window, cell, (window - cell) // 2, ceil_mode=True, count_include_pad=False
        )[0]  # fmt: skip
        if number == 0:
            best, choice = error, torch.zeros_like(error, dtype=torch.long)
            continue
        better = error < best
        best = torch.where(better, error, best)
        choice = torch.where(better, number, choice)
    table = (torch.tensor(order, device=frame.device) - MATCH_REACH) * factor
    vectors = table[choice].permute(2, 0, 1).to(frame.dtype)
    # A cell's vector is offered to the point at its upper left; neighbours pass it on.
    rows, columns = max(0, matcher.rows - vectors.shape[1]), max(0, matcher.columns - vectors.shape[2])
    padded = F.pad(vectors[None], (0, columns, 0, rows), mode="replicate")[0]
    return padded[:, : matcher.rows, : matcher.columns]


def _roughness(vectors: Tensor, around: Tensor) -> Tensor:
    return ROUGHNESS * (vectors - around).abs().sum(0).clamp(max=16.0)


def _median(field: Tensor) -> Tensor:
    """3×3 component-wise median."""
    count, height, width = field.shape
    patches = F.unfold(F.pad(field[None], (1, 1, 1, 1), mode="replicate"), 3).view(count, 9, height, width)
    return patches.median(dim=1).values
