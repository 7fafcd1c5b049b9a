"""What an encoder decides and no decoder has to know: the same for all videos, or found for a segment (effort.py)."""

from __future__ import annotations

from dataclasses import dataclass

from stpcodec.codec.latent_coder import CAUTION
from stpcodec.model.rates import INTRA_BONUS

MOTION_CAUTION = 3.2
"""Bits of motion count this much more than those of latents: what a better prediction gains, latents would have
gained in part. Measured: docs/ablations.md."""


@dataclass(frozen=True)
class Choices:
    """intra_bonus: of the frame that opens a segment, in qualities. spread: factor of other pictures' (depth_bonus).
    motion_caution: see above. caution: of the quantiser. joining: factor of the planner's thresholds; 0 leaves all
    chunks at one frame, 2 makes most of them as long as can be.
    """

    intra_bonus: int = INTRA_BONUS
    spread: float = 1.0
    motion_caution: float = MOTION_CAUTION
    caution: float = CAUTION
    joining: float = 1.0


USUAL = Choices()
