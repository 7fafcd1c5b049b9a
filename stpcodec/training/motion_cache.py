"""Motion fields of the cached clips, searched once: a search costs as much as several training steps.

Chunks start at every multiple of T frames; each is searched against its *original* reference at a Lagrangian
drawn per chunk, so that the networks meet fine and coarse fields. Stored beside the clip as int16
``[chunks, T, 2, rows, columns]`` in quarter samples.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.latents.motion_field import SPACING, reconstruct, scale_base
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import MotionTables
from stpcodec.training.cache import split_planes

LAGRANGIANS = (8.0, 25.0, 60.0, 120.0, 250.0)
"""Squared error (8-bit luma) per bit, about the range of qualities 95 to 5."""


def motion_path(clip: Path) -> Path:
    return clip.with_suffix(".motion.npy")


def chunk_field(base: list[Tensor], middle: list[Tensor], frames: int) -> Tensor:
    """All fields of a chunk, ``[T, 2, rows, columns]`` in quarter samples, from the coded residuals."""
    last = reconstruct(base)
    if frames == 1:
        return last
    return torch.cat((scale_base(last[0], frames) + reconstruct(middle), last))


def ensure_motion(clip: Path, frames: int, tables: MotionTables) -> Path:
    """Searches the motion of a cached clip unless it is there already."""
    target = motion_path(clip)
    if target.exists():
        return target
    luma, _, _ = split_planes(np.load(clip, mmap_mode="r"))
    count, height, width = luma.shape
    rows, columns = height // SPACING + 1, width // SPACING + 1
    chunks = (count - 1) // frames
    fields = np.zeros((chunks, frames, 2, rows, columns), dtype=np.int16)
    draw = np.random.default_rng(zlib.crc32(clip.name.encode()))
    for index in range(chunks):
        start = index * frames
        window = torch.from_numpy(luma[start : start + frames + 1].copy()).float() / 255
        lagrangian = float(draw.choice(LAGRANGIANS)) / 255**2
        base, middle = search(window[1:], window[0], cost_bits=tables.bits(), lagrangian=lagrangian)
        fields[index] = chunk_field(base, middle, frames)[..., :rows, :columns].numpy()
    temporary = target.with_name(target.name + ".tmp.npy")
    np.save(temporary, fields)
    temporary.rename(target)
    return target
