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

from torch import Tensor

from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.lengths import code_run
from stpcodec.codec.planning import Planner
from stpcodec.model.planes import Planes

JOININGS = (1.0, 1.1, 1.25)
"""Factors of the planner's thresholds that are tried, the usual one first."""
LONGER = 0.98
"""What longer chunks may cost of what they do: later frames gain more by them than the first ones, whose reference is
the best of all."""


def tried_joining(
    codec: ChunkCodec, first: Tensor, frames: Planes, opening: History, quality: int, pool: Executor
) -> float:
    """The factor to plan a segment by (Choices.joining).

    first: luma ``[H, W]`` of the frame that opens the segment, opening: as it was coded; frames: those behind it, at
    most `codec.chunk_frames`. quality: of all pictures. pool: codes runs side by side.
    """
    plans: dict[tuple[int, ...], float] = {}
    for joining in JOININGS:
        plans.setdefault(tuple(Planner(first, joining).plan(frames.y)), joining)
    if len(plans) == 1:
        return JOININGS[0]
    quick = codec.choosing(replace(codec.choices, patience=0, rounds=0, tilted_rounds=0))

    def cost(lengths: Sequence[int]) -> float:
        return code_run(quick, frames, lengths, quality, opening).total

    tried = [(joining, pool.submit(cost, lengths)) for lengths, joining in plans.items()]
    costs = {joining: found.result() * (1 if joining == JOININGS[0] else LONGER) for joining, found in tried}
    return min(costs, key=costs.__getitem__)
