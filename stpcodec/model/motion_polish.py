"""The last word on a motion field: by what coding the difference that warping really leaves would take.

What the search has found so far rests on a quadratic model of the error around each point, which is wrong wherever
things move apart. Here points of all but the widest levels are moved one at a time, with everything that hangs on them
(motion_tree.py) and at the bits that it takes: to where it costs nothing, to what their surroundings do, to what the
search wanted, and in small steps from there. Measured: docs/ablations.md.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import float32, int32, uintp
from torch import Tensor

from stpcodec.latents.motion_field import MAX_VECTOR, SPACING, Hierarchy
from stpcodec.latents.motion_kernels import exact
from stpcodec.model.bands import halves
from stpcodec.model.motion_cells import cell_bits, field_bits, work_space
from stpcodec.model.motion_phases import quarter_phases
from stpcodec.model.motion_tree import (
    FORBIDDEN,
    RESIDUAL,
    VECTOR,
    contexts_of,
    keep,
    levels_of,
    parents,
    point_bits,
    predicted,
    put_back,
    settle,
    stored_values,
    tree_of,
    vectors_of,
)
from stpcodec.model.motion_windows import inlined, kernel
from stpcodec.model.rates import LUMA_WEIGHT
from stpcodec.model.side_by_side import side_by_side

PASSES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((2, 0), (1, 0), (0, 2)),
    ((3, 0), (2, 0), (1, 0), (0, 0), (2, 2), (1, 2), (0, 2)),
    ((3, 0), (2, 0), (1, 0), (0, 0), (3, 4), (2, 4), (1, 4), (0, 2), (2, 2), (1, 2), (0, 2)),
)
"""By patience: levels, and the first of the small steps in quarter samples (0: none). Most of the gain is in points
that can do without their residual, so those come first. A later pass looks only where something has changed since."""
MOST_PATIENCE = len(PASSES) - 1
LEAST_BITS = 1.5
"""A cell, on average: where errors around a point are not worth more, it is left alone."""
HOPE = (0.82, 0.75, 0.75)
"""By patience: of what a cell took before, it is thought to take after a move until it is looked at. A move that would
need more luck than that is given up."""
SHARE = 0.5
"""Of what bits of motion count in the search: the quadratic model needs more caution than true differences."""
LUMA_SHARE = LUMA_WEIGHT / 8
SIDES = 4
MOST_TRIES = 3 + SIDES


def polish(
    frame: Tensor, reference: Tensor, levels: list[Tensor], base: Tensor, wanted: Tensor, like: list[Tensor] | None,
    cost_bits: np.ndarray, lagrangian: float, caution: float, patience: int = MOST_PATIENCE,
) -> list[Tensor]:  # fmt: skip
    """Better residuals of a field.

    frame, reference ``[H, W]``: luma, float32. levels, finest first, and base, the predicted field: as
    `motion_search.search` returns and takes them; wanted ``[2, rows, columns]``, float: the vectors that the search
    would like, in quarter samples and less the base; like: levels of the like field (motion_field.like_levels);
    cost_bits, lagrangian, caution, patience: as search has them. All on the CPU. The result does not depend on how many
    threads there are.
    """
    height, width = frame.shape
    hierarchy = Hierarchy.of(height, width)
    (nodes, layout), contexts = tree_of(levels), contexts_of(hierarchy, height, width, like)
    planes = frame.contiguous().numpy(), quarter_phases(reference.contiguous().numpy())
    predicted_field, aims = base.int().contiguous().numpy(), wanted.round().int().contiguous().numpy()
    field = predicted_field + vectors_of(nodes, layout)
    worth, weight = np.float32(LUMA_SHARE / lagrangian), np.float32(SHARE * caution)
    hope = np.float32(HOPE[patience])
    cells = np.empty((height // SPACING, width // SPACING), np.float32)
    side_by_side([partial(field_bits, *planes, field, worth, *part, cells) for part in halves(len(cells))])
    # The passes in which a cell last changed and a point was last looked at.
    changed, seen = np.zeros(cells.shape, np.int32), np.zeros(len(nodes), np.int32)
    for number, (level, step) in enumerate(PASSES[patience], start=1):
        if level >= len(layout):
            continue
        rows = int(layout[level, 1])
        middle = rows // 2
        state = nodes, layout, contexts, predicted_field, field
        progress = aims, cells, changed, seen, number
        pass_ = partial(polish_rows, *planes, state, *progress, cost_bits, weight, worth, hope, level, step)
        side_by_side([partial(pass_, *band) for band in ((0, middle), (middle + 1, rows))])
        # A row that both bands look at, and neither changes.
        pass_(middle, middle + 1)
    return levels_of(nodes, layout)


@kernel
def polish_rows(  # type: ignore[no-untyped-def]
    frame, phases, state, aims, cells, changed, seen, number, cost_bits, weight, worth, hope, level, largest_step,
    first, last,
):  # fmt: skip
    """Points of rows first to last of a level, one after the other.

    state: the tree's nodes, layout and contexts, the predicted field, and that with the tree's vectors int32
    ``[2, rows, columns]``. Changes nodes, field, cells (the bits of each, float32 ``[H/8, W/8]``) and, to `number`,
    the pass of what it has changed and seen. weight: of bits of motion; worth: bits of a squared error; hope:
    see HOPE.
    """
    nodes, layout, contexts, base, field = state
    places, work, logarithms = work_space()
    space = frame.reshape(-1), phases.reshape(-1), frame.shape, places, work, logarithms
    size, side = stored_values(level), 2 << level
    old, found = np.empty(size, np.int32), np.empty(size, np.int32)
    costs, found_costs = np.empty((side, side), np.float32), np.empty((side, side), np.float32)
    corners = np.empty((2, side + 1, side + 1), np.int32)
    tries = np.empty((MOST_TRIES, 2), np.int32)
    start, columns = layout[level, 0], layout[level, 2]
    residual_y, residual_x = uintp(RESIDUAL), uintp(RESIDUAL + 1)
    vector_y, vector_x = uintp(VECTOR), uintp(VECTOR + 1)
    for row in range(first, last):
        for column in range(columns):
            own = uintp(start + row * columns + column)
            if contexts[own] < 0:
                continue
            top, bottom = _cells_around(level, row, cells.shape[0])
            left, right = _cells_around(level, column, cells.shape[1])
            area = top, bottom, left, right
            before, newest = float32(0), int32(0)
            for y in range(top, bottom):
                for x in range(left, right):
                    before += cells[y, x]
                    newest = max(newest, changed[y, x])
            last_seen = seen[own]
            seen[own] = number
            if newest < last_seen or before < float32(LEAST_BITS) * float32((bottom - top) * (right - left)):
                continue
            for part in range(2):
                for y in range(top, bottom + 1):
                    for x in range(left, right + 1):
                        corners[part, y - top, x - left] = field[part, y, x]
            keep(nodes, layout, field, level, row, column, old)
            best = before + weight * settle(nodes, layout, contexts, base, field, level, row, column, cost_bits)
            free_y, free_x, other_y, other_x = int32(0), int32(0), int32(0), int32(0)
            if level + 1 < len(layout):
                a, b, c, d = parents(layout, level, row, column)
                free_y, free_x = predicted(nodes, a, b, c, d, False)
                second_y, second_x = predicted(nodes, a, b, c, d, True)
                other_y, other_x = second_y - free_y, second_x - free_x
            start_y, start_x = nodes[own, vector_y], nodes[own, vector_x]
            best_y, best_x = start_y, start_x
            count, step = _first_tries(nodes, layout, aims, level, row, column, tries), int32(0)
            while count:
                centre_y, centre_x = best_y, best_x
                for attempt in range(count):
                    y, x = tries[attempt, 0], tries[attempt, 1]
                    if _known(tries, attempt, best_y, best_x, start_y, start_x):
                        continue
                    if level == 0:
                        # Nothing hangs on it: what `settle` says, and what it does to the field.
                        nodes[own, residual_y], nodes[own, residual_x] = y - free_y, x - free_x
                        bits = point_bits(nodes, own, contexts, other_y, other_x, cost_bits)
                        moved_y, moved_x = base[0, row, column] + y, base[1, row, column] + x
                        field[0, row, column], field[1, row, column] = moved_y, moved_x
                        if max(abs(moved_y), abs(moved_x)) > MAX_VECTOR:
                            bits += float32(FORBIDDEN)
                        cost = weight * bits
                    else:
                        put_back(nodes, layout, field, level, row, column, old)
                        nodes[own, residual_y], nodes[own, residual_x] = y - free_y, x - free_x
                        nodes[own, vector_y], nodes[own, vector_x] = y, x
                        cost = weight * settle(nodes, layout, contexts, base, field, level, row, column, cost_bits)
                    if cost < best:
                        cost += _bits_of(area, space, field, corners, cells, worth, hope, best - cost, costs)
                    if cost < best:
                        best, best_y, best_x = cost, y, x
                        if level:
                            keep(nodes, layout, field, level, row, column, found)
                        found_costs[:] = costs
                if step == 0:
                    step = int32(largest_step)
                elif best_y == centre_y and best_x == centre_x:
                    step >>= 1
                count = _steps(tries, best_y, best_x, step)
            if best_y == start_y and best_x == start_x:
                put_back(nodes, layout, field, level, row, column, old)
                continue
            if level == 0:
                nodes[own, residual_y], nodes[own, residual_x] = best_y - free_y, best_x - free_x
                nodes[own, vector_y], nodes[own, vector_x] = best_y, best_x
                settle(nodes, layout, contexts, base, field, level, row, column, cost_bits)
            else:
                put_back(nodes, layout, field, level, row, column, found)
            for y in range(top, bottom):
                for x in range(left, right):
                    if cells[y, x] != found_costs[y - top, x - left]:
                        cells[y, x], changed[y, x] = found_costs[y - top, x - left], number


@inlined
def _cells_around(level, at, length):  # type: ignore[no-untyped-def]
    """First and last (excluded) of the cells, along one axis, that look at a point or at what hangs on it."""
    return max((at - 1) << level, 0), min((at + 1) << level, length)


@exact
def _first_tries(nodes, layout, aims, level, row, column, tries):  # type: ignore[no-untyped-def]
    """No residual, the other parent, what the search wanted, the neighbours: how many there are."""
    start, rows, columns = layout[level, 0], layout[level, 1], layout[level, 2]
    for number in range(2):
        tries[number, 0], tries[number, 1] = int32(0), int32(0)
        if level + 1 < len(layout):
            a, b, c, d = parents(layout, level, row, column)
            tries[number, 0], tries[number, 1] = predicted(nodes, a, b, c, d, number == 1)
    tries[2, 0], tries[2, 1] = aims[0, row << level, column << level], aims[1, row << level, column << level]
    count = 3
    for side in range(SIDES):
        y, x = _beside(row, column, side, 1)
        if 0 <= y < rows and 0 <= x < columns:
            beside = uintp(start + y * columns + x)
            tries[count, 0], tries[count, 1] = nodes[beside, uintp(VECTOR)], nodes[beside, uintp(VECTOR + 1)]
            count += 1
    return count


@exact
def _steps(tries, best_y, best_x, step):  # type: ignore[no-untyped-def]
    if step == 0:
        return 0
    for side in range(SIDES):
        tries[side, 0], tries[side, 1] = _beside(best_y, best_x, side, step)
    return SIDES


@inlined
def _beside(y, x, side, step):  # type: ignore[no-untyped-def]
    down, across = int32(side == 0) - int32(side == 1), int32(side == 2) - int32(side == 3)
    return int32(y + down * step), int32(x + across * step)


@exact
def _known(tries, attempt, best_y, best_x, start_y, start_x):  # type: ignore[no-untyped-def]
    """Whether a try was made already, or is more than a file can say."""
    y, x = tries[attempt, 0], tries[attempt, 1]
    known = max(abs(y), abs(x)) > MAX_VECTOR
    known = known or (y == best_y and x == best_x) or (y == start_y and x == start_x)
    for earlier in range(attempt):
        known = known or (tries[earlier, 0] == y and tries[earlier, 1] == x)
    return known


@inlined
def _bits_of(area, space, field, corners, cells, worth, hope, most, costs):  # type: ignore[no-untyped-def]
    """What coding the cells of an area takes, each also into `costs`; given up once it seems to be `most` or more.

    corners: those of the cells when `cells` was filled in; one that has the same still takes the same.
    """
    top, bottom, left, right = area
    own, moved, shape, places, work, logarithms = space
    total = float32(0)
    for y in range(top, bottom):
        for x in range(left, right):
            at_y, at_x = y - top, x - left
            same = True
            for part in range(2):
                same = same and field[part, y, x] == corners[part, at_y, at_x]
                same = same and field[part, y, x + 1] == corners[part, at_y, at_x + 1]
                same = same and field[part, y + 1, x] == corners[part, at_y + 1, at_x]
                same = same and field[part, y + 1, x + 1] == corners[part, at_y + 1, at_x + 1]
            costs[at_y, at_x] = cells[y, x] if same else float32(-1)
            total += cells[y, x] if same else hope * cells[y, x]
    for y in range(top, bottom):
        for x in range(left, right):
            at_y, at_x = y - top, x - left
            if costs[at_y, at_x] < 0:
                if total >= most:
                    return total
                costs[at_y, at_x] = cell_bits(own, moved, shape, field, y, x, worth, places, work, logarithms)
                total += costs[at_y, at_x] - hope * cells[y, x]
    return total
