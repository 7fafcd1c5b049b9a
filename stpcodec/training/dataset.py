"""Random crops of cached clips, with their motion fields, as batches on the training device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.errors import InputError
from stpcodec.latents.motion_field import SPACING
from stpcodec.model.planes import Planes
from stpcodec.training.cache import split_planes
from stpcodec.training.motion_cache import motion_path
from stpcodec.training.store import ArrayStore


@dataclass(frozen=True)
class Sequence:
    """A batch of short videos: frame 0, then `chunks` chunks of n frames.

    frames: N = B·(1 + chunks·n), the sequence's frames together. fields: int16
    ``[B, chunks, n, 2, 2, rows, columns]`` in quarter samples, see training/motion_cache.py.
    """

    frames: Planes
    fields: Tensor
    batch: int
    length: int

    @property
    def chunk_frames(self) -> int:
        return self.fields.shape[2]

    def frame(self, number: int) -> Planes:
        """Frame `number` of every sequence, N = B."""

        def cut(plane: Tensor) -> Tensor:
            return plane.view(self.batch, self.length, *plane.shape[1:])[:, number]

        return self.frames.map(cut)


class ClipDataset:
    """Draws crops uniformly over clips, as `store` holds them (memory-mapped, unless one is given).

    Crops of `chunks` chunks of `frames` frames. Raises InputError when no clip is long and large enough.
    """

    def __init__(
        self, clips: list[Path], *, frames: int, crop: int, chunks: int, seed: int, store: ArrayStore | None = None
    ):
        store = store or ArrayStore(torch.device("cpu"))
        self.frames, self.crop = frames, crop
        self.random = np.random.default_rng(seed)
        self.motion = {clip: store(motion_path(clip, frames)) for clip in clips}
        self.arrays = {clip: store(clip) for clip in clips}
        self.clips = [
            clip for clip in clips
            if len(self.motion[clip]) >= chunks and min(split_planes(self.arrays[clip])[0].shape[1:]) >= crop
        ]  # fmt: skip
        if not self.clips:
            raise InputError(
                f"no clip of {1 + chunks * frames} frames and {crop}×{crop} samples to train on; add longer videos"
            )

    def sequences(self, batch: int, chunks: int, device: torch.device) -> Sequence:
        items = [self._draw(chunks) for _ in range(batch)]
        planes = joined([planes for planes, _ in items], device)
        fields = torch.stack([field.to(device) for _, field in items])
        return Sequence(planes, fields, batch, 1 + chunks * self.frames)

    def _draw(self, chunks: int) -> tuple[list[Tensor], Tensor]:
        """A crop's y, u and v ``[F, h, w]`` and field, where its clip lies."""
        clip = self.clips[self.random.integers(len(self.clips))]
        motion, (y, u, v) = self.motion[clip], split_planes(self.arrays[clip])
        size, unit = self.crop, SPACING
        first = int(self.random.integers(len(motion) - chunks + 1))
        top = int(self.random.integers((y.shape[1] - size) // unit + 1)) * unit
        left = int(self.random.integers((y.shape[2] - size) // unit + 1)) * unit
        start, count = first * self.frames, 1 + chunks * self.frames
        time = slice(start, start + count)
        luma = y[time, top : top + size, left : left + size]
        half = (time, slice(top // 2, (top + size) // 2), slice(left // 2, (left + size) // 2))
        points = size // unit + 1
        rows, columns = slice(top // unit, top // unit + points), slice(left // unit, left // unit + points)
        planes, field = [luma, u[half], v[half]], motion[first : first + chunks, ..., rows, columns]
        if self.random.random() < 0.5:  # left to right
            planes, field = [plane.flip(-1) for plane in planes], _mirrored(field, -1)
        if self.random.random() < 0.15:  # upside down: rare, since gravity is a prior worth learning
            planes, field = [plane.flip(-2) for plane in planes], _mirrored(field, -2)
        return planes, field


def _mirrored(field: Tensor, axis: int) -> Tensor:
    """Control points change places, and the vectors' component along the axis its sign: ``[..., 2, rows, columns]``,
    vertical first."""
    vectors = field.flip(axis)
    vectors[..., 2 + axis, :, :].neg_()
    return vectors


def joined(crops: list[list[Tensor]], device: torch.device) -> Planes:
    """y, u and v of every crop, uint8 ``[F, h, w]``, as frames in [0, 1], one crop's after the other's."""
    y, u, v = (torch.cat([crop[plane].to(device) for crop in crops]) for plane in range(3))
    return Planes(y, u, v).map(lambda plane: plane.float() / 255)


class MixedLengths:
    """Sequences in chunks of `frames` frames, and of one frame: both are coded by one network, in different clips.

    Of equal length: `chunks` chunks of `frames`, or frames times as many of one. Raises InputError like ClipDataset.
    """

    LONG_SHARE = 0.6
    """Of the sequences in long chunks. A choice; not measured."""

    def __init__(
        self, clips: list[Path], *, frames: int, crop: int, chunks: int, seed: int, store: ArrayStore | None = None
    ):
        self.frames = frames
        self.long = ClipDataset(clips, frames=frames, crop=crop, chunks=chunks, seed=seed, store=store)
        self.short = ClipDataset(clips, frames=1, crop=crop, chunks=chunks * frames, seed=seed + 1, store=store)
        # One generator for all: what a checkpoint has to keep.
        self.random = self.short.random = self.long.random

    def sequences(self, batch: int, chunks: int, device: torch.device) -> Sequence:
        if self.random.random() < self.LONG_SHARE:
            return self.long.sequences(batch, chunks, device)
        return self.short.sequences(batch, chunks * self.frames, device)


class PictureDataset:
    """Random crops of single frames and photographs, for the intra network. store: as ClipDataset's."""

    def __init__(self, clips: list[Path], *, crop: int, seed: int, store: ArrayStore | None = None):
        store = store or ArrayStore(torch.device("cpu"))
        self.arrays = [store(clip) for clip in clips]
        self.arrays = [a for a in self.arrays if min(a.shape[1] * 2 // 3, a.shape[2]) >= crop]
        if not self.arrays:
            raise InputError(f"no picture of at least {crop}×{crop} samples to train on; add larger pictures")
        self.crop = crop
        self.random = np.random.default_rng(seed)

    def pictures(self, batch: int, device: torch.device) -> Planes:
        crops = []
        for _ in range(batch):
            array = self.arrays[self.random.integers(len(self.arrays))]
            index = int(self.random.integers(len(array)))
            planes = split_planes(array[index : index + 1])
            top = int(self.random.integers((planes[0].shape[1] - self.crop) // 2 + 1)) * 2
            left = int(self.random.integers((planes[0].shape[2] - self.crop) // 2 + 1)) * 2
            mirrored = self.random.random() < 0.5
            parts = []
            for plane, scale in zip(planes, (1, 2, 2), strict=True):
                row, column, size = top // scale, left // scale, self.crop // scale
                part = plane[:, row : row + size, column : column + size]
                parts.append(part.flip(-1) if mirrored else part)
            crops.append(parts)
        return joined(crops, device)
