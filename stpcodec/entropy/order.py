"""The order of symbols in a stream: sorted by table, those of one table as they came. Compiled by Numba."""

from __future__ import annotations

import numpy as np

from stpcodec.compiled import compiled


@compiled()
def by_table(index, rows):  # type: ignore[no-untyped-def]
    """Stable counting sort of table indices ``[N]``, each below `rows`.

    Returns order int64 ``[N]``, such that ``index[order]`` is sorted, and starts int64 ``[rows + 1]`` of each table's.
    """
    starts = np.zeros(rows + 1, np.int64)
    for value in index:
        starts[value + 1] += 1
    for row in range(rows):
        starts[row + 1] += starts[row]
    place = starts[:-1].copy()
    order = np.empty(len(index), np.int64)
    for number in range(len(index)):
        row = index[number]
        order[place[row]] = number
        place[row] += 1
    return order, starts
