"""Sequences as long, and crops as large, as the clips at hand allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stpcodec.errors import InputError
from stpcodec.training import train as training
from stpcodec.training.dataset import ClipDataset
from stpcodec.training.options import TrainOptions

SMALLEST_CROP = 64


def longest_fit(clips: list[Path], options: TrainOptions) -> TrainOptions:
    """options with the largest crop, then the most chunks, then the longest lead that half of the clips have.

    Half of those that are long and large enough for anything at all. Raises InputError when none is.
    """
    wanted = [(options.crop, options.chunks, lead) for lead in range(options.lead, -1, -1)]
    wanted += [(options.crop, chunks, 0) for chunks in range(options.chunks - 1, 0, -1)]
    wanted += [(SMALLEST_CROP, chunks, lead) for _, chunks, lead in wanted]
    usable = _count(clips, SMALLEST_CROP, 1)
    for crop, chunks, lead in wanted:
        if 2 * _count(clips, crop, lead + chunks) >= max(1, usable):
            return replace(options, crop=crop, chunks=chunks, lead=lead)
    raise InputError(
        f"{clips[0].parent}: no piece of the footage is of {1 + training.CHUNK_FRAMES} frames and "
        f"{SMALLEST_CROP}×{SMALLEST_CROP} samples; name longer or larger videos"
    )


def _count(clips: list[Path], crop: int, chunks: int) -> int:
    try:
        return len(ClipDataset(clips, frames=training.CHUNK_FRAMES, crop=crop, chunks=chunks, seed=0).clips)
    except InputError:
        return 0
