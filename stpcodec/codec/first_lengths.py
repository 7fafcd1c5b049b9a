"""How long a segment's chunks are, decided by coding its first ones: where small pictures are nearly undecided.

Noise is what small pictures do not know about: it costs as much from the frame before as from one eight frames away,
and no prediction gets rid of it. So the planner's lengths and those it would choose if it liked long chunks more are
both coded, quickly, for the frames behind the first; what is cheaper says how the segment goes on. Measured:
docs/ablations.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.lengths import code_run
from stpcodec.model.planes import Planes

JOININGS = (1.0, 1.1, 1.25)
"""Factors of the planner's thresholds that are tried, the usual one first."""
LONGER = 0.98
"""What longer chunks may cost of what they do: later frames gain more by them than the first ones, whose reference is
the best of all."""

TRIED_SAMPLES = 1 << 19
"""Luma samples of the largest frame of which it is done: each way holds eight decoded frames, which budget.py does
not know of. At 1920×1080 that was 440 MiB more."""


def tried_joining(
    codec: ChunkCodec, plans: Sequence[Sequence[int]], frames: Planes, opening: History, quality: int, pool: Executor
) -> float:
    """The one of JOININGS to plan a segment by (Choices.joining).

    plans: lengths of the chunks of `frames`, those behind the segment's first, by each of JOININGS; opening: what the
    first leaves to them. quality: of all pictures. pool: codes runs side by side.
    """
    tried: dict[tuple[int, ...], float] = {}
    for joining, lengths in zip(JOININGS, plans, strict=True):
        tried.setdefault(tuple(lengths), joining)
    if len(tried) == 1:
        return JOININGS[0]
    quick = codec.choosing(replace(codec.choices, patience=0, rounds=0, tilted_rounds=0))

    def cost(lengths: Sequence[int]) -> float:
        return code_run(quick, frames, lengths, quality, opening).total

    coded = [(joining, pool.submit(cost, lengths)) for lengths, joining in tried.items()]
    costs = {joining: found.result() * (1 if joining == JOININGS[0] else LONGER) for joining, found in coded}
    return min(costs, key=costs.__getitem__)
