"""Motion fields of the cached clips, searched once: a search costs as much as several training steps.

A clip is cut into chunks of n frames behind its first; every picture of a chunk is searched against its *original*
references at a Lagrangian drawn per clip, so that the networks meet fine and coarse fields. Stored beside the clip
as int16 ``[chunks, n, 2, 2, rows, columns]`` in quarter samples: pictures in the order of coding (latents/gop.py),
then the field to each of two references, zero where there is only one.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.latents.gop import coding_order, predicted_past
from stpcodec.latents.motion_field import SPACING
from stpcodec.model.motion_tables import MotionTables
from stpcodec.model.picture_motion import MOTION_CAUTION, PictureMotion, anchor_motion, between_motion
from stpcodec.model.planes import Planes
from stpcodec.training.cache import split_planes

LAGRANGIANS = (8.0, 25.0, 60.0, 120.0, 250.0)
"""Squared error (8-bit luma) per bit of motion, about the range of qualities 95 to 5."""
VERSION = 3
"""Of the search and of the fields' layout: older files are not used."""
LONGEST = 16
"""Frames searched per clip: enough variety, since crops are drawn from them again and again."""


def motion_path(clip: Path, frames: int) -> Path:
    """Where the fields of a cached clip lie, cut into chunks of `frames`."""
    return clip.with_suffix(f".motion{VERSION}-{frames}.npy")


def ensure_motion(clip: Path, frames: int, tables: MotionTables) -> Path:
    """Searches the motion of a cached clip's first LONGEST frames in chunks of `frames`, unless it is there already."""
    target = motion_path(clip, frames)
    if target.exists():
        return target
    array = np.load(clip, mmap_mode="r")
    count, (height, width) = len(array), split_planes(array)[0].shape[1:]
    rows, columns = height // SPACING + 1, width // SPACING + 1
    chunks = min(LONGEST, count - 1) // frames
    fields = np.zeros((chunks, frames, 2, 2, rows, columns), dtype=np.int16)
    draw = np.random.default_rng(zlib.crc32(clip.name.encode()))
    # One Lagrangian a clip, since a field is coded by the one before it.
    lagrangian, before = float(draw.choice(LAGRANGIANS)) / (MOTION_CAUTION * 255**2), None
    for index in range(chunks):
        window = planes_of(array, index * frames, (index + 1) * frames + 1)
        found = search_chunk(window, tables, lagrangian, before)
        before = found[0].fields[0]
        for number, motion in enumerate(found):
            fields[index, number, : len(motion.fields)] = motion.fields[..., :rows, :columns].numpy()
    temporary = target.with_name(target.name + ".tmp.npy")
    np.save(temporary, fields)
    temporary.rename(target)
    return target


def search_chunk(
    window: Planes, tables: MotionTables, lagrangian: float, before: Tensor | None
) -> list[PictureMotion]:
    """Motion of all pictures of a chunk, in the order of coding: window holds the frame before it, too."""
    fields: dict[int, Tensor] = {}
    found = []
    for picture in coding_order(len(window) - 1):
        frame, past = (window[slice(p, p + 1)] for p in (picture.position, picture.past))
        if picture.future is None:
            motion = anchor_motion(frame, past, tables, lagrangian, before=before, hint=before)
        else:
            predicted, across = predicted_past(picture, fields)
            future = window[slice(picture.future, picture.future + 1)]
            motion = between_motion(
                frame, past, future, picture, tables, lagrangian, predicted=predicted, across=across
            )  # fmt: skip
        fields[picture.position] = motion.fields
        found.append(motion)
    return found


def planes_of(array: np.ndarray, start: int, stop: int) -> Planes:
    """Frames of a cached clip in [0, 1]."""
    y, u, v = split_planes(array[start:stop])
    return Planes(*(torch.from_numpy(plane.copy()).float() / 255 for plane in (y, u, v)))
