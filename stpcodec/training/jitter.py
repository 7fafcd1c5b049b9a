"""Brightness and contrast drawn anew for every sequence: the same scene at other exposures.

Within a sequence all frames get the same, so that motion and prediction stay what they are.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from stpcodec.model.planes import Planes
from stpcodec.training.dataset import Sequence

GREY = 0.5


def jittered(sequence: Sequence, strength: float) -> Sequence:
    """strength: contrast within 1 ± strength, brightness within ± strength / 2 of full scale; 0: as it is."""
    if not strength:
        return sequence
    return replace(sequence, frames=_exposed(sequence.frames, sequence.batch, strength))


def jittered_pictures(pictures: Planes, strength: float) -> Planes:
    """The same for N frames that have nothing to do with each other."""
    return _exposed(pictures, len(pictures), strength) if strength else pictures


def _exposed(frames: Planes, scenes: int, strength: float) -> Planes:
    """frames: N = scenes · F, a scene's frames together. Chroma scales with contrast, around grey."""

    def drawn() -> Tensor:
        values = strength * (2 * torch.rand(scenes, device=frames.y.device) - 1)
        return values.repeat_interleave(len(frames) // scenes)[:, None, None]

    contrast, brightness = 1 + drawn(), drawn() / 2
    y = GREY + contrast * (frames.y - GREY) + brightness
    u, v = (GREY + contrast * (plane - GREY) for plane in (frames.u, frames.v))
    return Planes(y, u, v).clamp()
