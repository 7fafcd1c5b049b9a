"""Block matching at the control points: where a motion search starts.

A window around every control point is compared with the reference under many candidate vectors: none, those of an
exhaustive match at a coarse scale, those the caller knows (the frame before, say). The best spread to their
neighbours and move in ever smaller steps, as in PatchMatch (Barnes et al. 2009), by whole samples. A candidate must
also agree with its surroundings, so that repeated texture and noise do not tear the field apart.

Two grids: every second control point with large windows first, which are hard to fool, then all with small ones.

On the CPU wherever the rest runs, by kernels of motion_windows.py.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import SPACING
from stpcodec.model.bands import halves
from stpcodec.model.motion_windows import (
    COARSE_WINDOW,
    FINE_WINDOW,
    best_displacements,
    errors,
    improve,
    median,
    offer,
)
from stpcodec.model.side_by_side import side_by_side

REACH = 72
"""Largest displacement in luma samples, either way, of a frame of up to 1024 samples; twice that beyond."""
ROUGHNESS = 0.0003
"""Mean absolute error a window must gain per sample that its vector departs from its neighbours' median."""
MATCH_REACH, MATCH_WINDOW = 8, 4
"""Reach and window of the exhaustive match, in samples of its scale: fewer say too little."""
ROUNDS = 2
"""Rounds of steps by one sample on the fine grid."""


class Matcher:
    """Errors of windows of one frame around every `spacing` samples against one reference, luma ``[H, W]``."""

    def __init__(self, frame: Tensor, reference: Tensor, *, spacing: int, window: int):
        height, width = frame.shape
        self.rows, self.columns = height // spacing + 1, width // spacing + 1
        self.reach = REACH if max(height, width) <= 1024 else 2 * REACH
        half = window // 2
        self._windows = _padded(frame, half), _padded(reference, half + self.reach), self.reach, spacing, window

    def error(self, vectors: np.ndarray) -> np.ndarray:
        """Mean absolute error of every window under whole-sample vectors int32 ``[2, rows, columns]``."""
        return errors(*self._windows, vectors)

    def best(self, candidates: list[np.ndarray], *, flat: bool) -> np.ndarray:
        """Of candidates int32 ``[2, rows, columns]`` the best at every point, their distance to the best before
        counted in, or (flat) that to no motion."""
        chosen = np.clip(candidates[0], -self.reach, self.reach)
        error = self.error(chosen)
        for candidate in candidates[1:]:
            candidate = np.clip(candidate, -self.reach, self.reach)
            offer(*self._windows, chosen, error, candidate, flat, np.float32(ROUGHNESS))
        return chosen

    def improve(self, vectors: np.ndarray, sizes: tuple[int, ...]) -> None:
        """Offers every point its neighbours' vectors, then steps of the given sizes; changes `vectors`."""
        steps = np.array(sizes, dtype=np.int32)
        improve(*self._windows, vectors, median(vectors), steps, np.float32(ROUGHNESS))


def match(frame: Tensor, reference: Tensor, starts: list[Tensor], *, thorough: bool = True) -> Tensor:
    """Whole-sample vectors float ``[2, H/SPACING + 1, W/SPACING + 1]`` of all control points of a frame.

    frame, reference: luma ``[H, W]`` in [0, 1], multiples of 16. starts: further candidates, of the result's shape.
    thorough: False looks at the candidates and around them only.
    """
    fine = Matcher(frame, reference, spacing=SPACING, window=FINE_WINDOW)
    known = [start.round().int().cpu().numpy() for start in starts]
    candidates = _matched_coarsely(frame, reference, known, fine) + known if thorough else known
    vectors = fine.best(candidates, flat=False)
    for _ in range(ROUNDS):
        fine.improve(vectors, (1,))
    return torch.from_numpy(vectors).to(frame)


def _matched_coarsely(
    frame: Tensor, reference: Tensor, starts: list[np.ndarray], fine: Matcher
) -> list[np.ndarray]:  # fmt: skip
    """Two candidates for all points, from a match of every second one with large windows."""
    height, width = frame.shape
    coarse = Matcher(frame, reference, spacing=2 * SPACING, window=COARSE_WINDOW)
    factor = 4 if max(height, width) <= 1024 else 8
    still = np.zeros((2, coarse.rows, coarse.columns), dtype=np.int32)
    candidates = [still, *(np.ascontiguousarray(start[:, ::2, ::2]) for start in starts)]
    candidates += [_exhaustive(frame, reference, coarse, scale) for scale in (factor, 2 * factor)]
    chosen = coarse.best(candidates, flat=True)
    middle = np.median(chosen.reshape(2, -1), axis=1).astype(np.int32)
    vectors = coarse.best([chosen, np.broadcast_to(middle[:, None, None], chosen.shape)], flat=True)
    coarse.improve(vectors, (4, 2, 1))
    coarse.improve(vectors, (2, 1))
    rows, columns = np.arange(fine.rows), np.arange(fine.columns)
    corners = []
    # A new point lies between two or four of the coarse grid: it starts from the better of two opposite ones.
    for add in (0, 1):
        y, x = np.minimum((rows + add) // 2, coarse.rows - 1), np.minimum((columns + add) // 2, coarse.columns - 1)
        corners.append(np.ascontiguousarray(vectors[:, y][:, :, x]))
    return corners


def _exhaustive(frame: Tensor, reference: Tensor, matcher: Matcher, factor: int) -> np.ndarray:
    """The best of all displacements up to MATCH_REACH samples of luma shrunk by `factor`."""
    small, target = (F.avg_pool2d(plane[None], factor)[0] for plane in (frame, reference))
    cell = max(1, 2 * SPACING // factor)
    window = MATCH_WINDOW
    rows, columns = (-(-length // cell) for length in small.shape)
    own, other = _padded(small, window), _padded(target, window + MATCH_REACH)
    first, order = window - (window - cell) // 2, displacements(MATCH_REACH)

    def of_rows(start: int, stop: int) -> np.ndarray:
        lines = own[start * cell :], other[start * cell :]
        return best_displacements(*lines, window, first, cell, order, stop - start, columns)

    # A cell's vector is offered to the point at its upper left; neighbours pass it on.
    vectors = np.concatenate(side_by_side([partial(of_rows, *part) for part in halves(rows)]), 1)
    missing = ((0, 0), (0, max(0, matcher.rows - rows)), (0, max(0, matcher.columns - columns)))
    return np.pad(vectors * factor, missing, mode="edge")[:, : matcher.rows, : matcher.columns]


@cache
def displacements(reach: int) -> np.ndarray:
    """All (dy, dx) up to `reach`, int32 ``[K, 2]``, the shorter first: of equals the first is taken."""
    steps = range(-reach, reach + 1)
    return np.array(sorted(((y, x) for y in steps for x in steps), key=lambda o: o[0] ** 2 + o[1] ** 2), dtype=np.int32)


def _padded(plane: Tensor, margin: int) -> np.ndarray:
    """Luma ``[H, W]`` in float32 with its border repeated."""
    return np.pad(plane.float().cpu().numpy(), margin, mode="edge")
