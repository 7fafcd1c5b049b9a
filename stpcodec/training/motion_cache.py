"""Motion fields of the cached clips, searched once: a search costs as much as several training steps.

Chunks start at every multiple of T frames; each is searched against its *original* reference at a Lagrangian
drawn per clip, so that the networks meet fine and coarse fields. Stored beside the clip as int16
``[chunks, T, 2, rows, columns]`` in quarter samples.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

from stpcodec.latents.motion_field import SPACING, join_field
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import MotionTables
from stpcodec.training.cache import split_planes

LAGRANGIANS = (8.0, 25.0, 60.0, 120.0, 250.0)
"""Squared error (8-bit luma) per bit, about the range of qualities 95 to 5."""
VERSION = 2
"""Of the search and of the fields' layout: older files are not used."""
LONGEST = 16
"""Chunks searched per clip: enough variety, since crops are drawn from them again and again."""


def motion_path(clip: Path, frames: int) -> Path:
    """Where the fields of a cached clip lie, cut into chunks of `frames`."""
    return clip.with_suffix(f".motion{VERSION}-{frames}.npy")


def ensure_motion(clip: Path, frames: int, tables: MotionTables) -> Path:
    """Searches the motion of a cached clip's first LONGEST chunks unless it is there already."""
    target = motion_path(clip, frames)
    if target.exists():
        return target
    luma, _, _ = split_planes(np.load(clip, mmap_mode="r"))
    count, height, width = luma.shape
    rows, columns = height // SPACING + 1, width // SPACING + 1
    chunks = min(LONGEST, (count - 1) // frames)
    fields = np.zeros((chunks, frames, 2, rows, columns), dtype=np.int16)
    draw = np.random.default_rng(zlib.crc32(clip.name.encode()))
    # One Lagrangian a clip, since a field is coded by the one before it.
    lagrangian, before = float(draw.choice(LAGRANGIANS)) / 255**2, None
    for index in range(chunks):
        start = index * frames
        window = torch.from_numpy(luma[start : start + frames + 1].copy()).float() / 255
        base, middle = search(window[1:], window[0], cost_bits=tables.bits(), lagrangian=lagrangian, before=before)
        field = join_field(base, middle)
        before = field[-1]
        fields[index] = field[..., :rows, :columns].numpy()
    temporary = target.with_name(target.name + ".tmp.npy")
    np.save(temporary, fields)
    temporary.rename(target)
    return target
