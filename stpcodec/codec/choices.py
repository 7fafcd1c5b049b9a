"""What an encoder decides and no decoder has to know: the same for all videos, or found for a segment (effort.py)."""

from __future__ import annotations

from dataclasses import dataclass

from stpcodec.model.motion_polish import MOST_PATIENCE
from stpcodec.model.motion_search import REFINEMENTS
from stpcodec.model.picture_motion import MOTION_CAUTION
from stpcodec.model.rates import CAUTION, INTRA_BONUS, INTRA_ROUNDS, TILTED_ROUNDS


@dataclass(frozen=True)
class Choices:
    """intra_bonus: of the frame that opens a segment, in qualities, before what motion takes from it (opening.py).
    spread: factor of other pictures' (depth_bonus).
    motion_caution: of the motion search (picture_motion.MOTION_CAUTION). caution: of the quantiser. joining: factor of
    the planner's thresholds; 0 leaves all chunks at one frame, 2 makes most of them as long as can be. rounds: how
    often latents are improved by what decoding makes of them (model/refine.py); intra_rounds: at least so often those
    of the frame that opens a segment, tilted_rounds those of pictures that others are predicted from where the model is
    tilted. refinements: Gauss-Newton steps of the motion search. patience: of its polish (motion_polish.PASSES), one
    less for pictures that nothing is predicted from. judged: whether those are synthesised, to choose how they are
    coded, and go through loop filters. precise: whether pictures between two references that others are predicted from
    are synthesised as decoders do it; otherwise in bfloat16 where the processor has it, and what an encoded chunk shows
    may be a little different. lengths: of all the segment's chunks; () leaves them to the planner. tries: whether the
    first chunks are coded in several ways before (first_lengths.py) where joining is 1. filters: whether pictures go
    through loop filters (filter_choice.py).
    """

    intra_bonus: int = INTRA_BONUS
    spread: float = 1.0
    motion_caution: float = MOTION_CAUTION
    caution: float = CAUTION
    joining: float = 1.0
    rounds: int = 0
    intra_rounds: int = INTRA_ROUNDS
    tilted_rounds: int = TILTED_ROUNDS
    refinements: int = REFINEMENTS
    patience: int = MOST_PATIENCE
    judged: bool = True
    precise: bool = True
    lengths: tuple[int, ...] = ()
    tries: bool = True
    filters: bool = True


USUAL = Choices()
QUICK = Choices(
    intra_rounds=0, tilted_rounds=0, refinements=1, patience=0, judged=False, precise=False, tries=False
)  # fmt: skip
"""One pass over everything."""
