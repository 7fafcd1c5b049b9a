"""Decoded clips on disk: every training video becomes one memory-mapped array of 4:2:0 planes.

Decoding H.264 costs more than a small network's training step, so it is done once. A clip is cut to multiples
of 16 luma samples at its top left (training reads random crops, so the lost edge does not matter) and stored
as uint8 ``[F, H * 3 // 2, W]``: H rows of luma, then H/4 rows that hold u and H/4 that hold v, row-major.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from stpcodec.errors import InputError, StpError
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader

Stacked = TypeVar("Stacked", np.ndarray, Tensor)
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m", ".m4v", ".ts", ".mpg"})
PICTURE_SUFFIXES = frozenset({".webp", ".png", ".jpg", ".jpeg"})
HALF, BACK, FAST = "-half", "-back", "-fast"
SAMPLES, SAMPLE_BYTES = 16, 1 << 16
"""Of a file, evenly spread from its first byte to its last: up to a megabyte, the whole file counts."""
SHORTEST_FAST = 9
"""Frames of a clip that every second one is taken of: what is left is a chunk of four, and the frame before it."""
MAX_FRAMES = 256
"""Frames kept of one file: a feature film must not fill the disk with a single scene's look."""


def find_media(folders: Iterable[Path]) -> list[Path]:
    """All videos and pictures below the folders, sorted by path. Raises InputError when there is none."""
    folders = [Path(folder) for folder in folders]
    files = sorted(
        path
        for folder in folders
        for path in ([folder] if folder.is_file() else folder.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES
    )
    if not files:
        names = ", ".join(str(folder) for folder in folders)
        raise InputError(f"{names}: no video or picture found to train on; name a folder of videos")
    return files


def cache_path(source: Path, cache: Path) -> Path:
    """Where the planes of `source` lie: its name plus a hash of its size and of samples of its bytes.

    An edit is a miss; a copy elsewhere, or of another date, is not.
    """
    size = source.stat().st_size
    key = hashlib.sha256(str(size).encode())
    with source.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(number * max(0, size - SAMPLE_BYTES) // (SAMPLES - 1))
            key.update(file.read(SAMPLE_BYTES))
    return cache / f"{source.stem}-{key.hexdigest()[:12]}.npy"


def ensure_cached(source: Path, cache: Path) -> Path | None:
    """Decodes `source` into the cache unless it is there. None when it is too small or cannot be read."""
    try:
        target = cache_path(source, cache)
        if target.exists():
            return target
        planes = _decode(source)
    except (StpError, OSError):
        return None
    if planes is None:
        return None
    cache.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp.npy")
    np.save(temporary, planes)
    temporary.rename(target)
    return target


def _decode(source: Path) -> np.ndarray | None:
    stacked = []
    with VideoReader(source, warn=lambda message: None) as reader:
        height, width = reader.info.height // 16 * 16, reader.info.width // 16 * 16
        if height < 64 or width < 64:
            return None
        shift = reader.info.bit_depth - 8
        for frame in reader:
            stacked.append(stack_planes(frame, (0, 0, height, width), shift))
            if len(stacked) == MAX_FRAMES:
                break
    return np.stack(stacked) if stacked else None


def ensure_half(clip: Path) -> Path | None:
    """A cached clip at half its size, beside it; None when it would be under 64×64.

    Real footage comes compressed, and what its codec took away is missing from what is learned: sharp detail, chroma,
    noise. The mean of 2×2 samples is nearly free of that.
    """
    target = clip.with_name(f"{clip.stem}{HALF}.npy")
    if target.exists():
        return target
    planes = split_planes(np.load(clip, mmap_mode="r"))
    height, width = (side // 32 * 16 for side in planes[0].shape[1:])
    if min(height, width) < 64:
        return None
    smaller = []
    for plane, side in zip(planes, (1, 2, 2), strict=True):
        rows, columns = height // side, width // side
        blocks = plane[:, : 2 * rows, : 2 * columns].reshape(len(plane), rows, 2, columns, 2)
        mean = (blocks.sum((2, 4), dtype=np.uint16) + 2) // 4
        smaller.append(mean.astype(np.uint8).reshape(len(plane), -1, width))
    temporary = target.with_suffix(".tmp.npy")
    np.save(temporary, np.concatenate(smaller, 1))
    temporary.rename(target)
    return target


def ensure_retimed(clip: Path) -> Path | None:
    """A cached clip backwards, or every second frame of it, beside it; None of a single frame.

    Which of the two goes by its name. Not drawn anew for every step, since the motion of either has to be searched.
    """
    stacked = np.load(clip, mmap_mode="r")
    if len(stacked) < 2:
        return None
    fast = zlib.crc32(clip.stem.encode()) % 2 == 1 and len(stacked) >= SHORTEST_FAST
    target = clip.with_name(f"{clip.stem}{FAST if fast else BACK}.npy")
    if not target.exists():
        temporary = target.with_suffix(".tmp.npy")
        np.save(temporary, stacked[::2] if fast else stacked[::-1])
        temporary.rename(target)
    return target


def stack_planes(frame: Frame, window: tuple[int, int, int, int], shift: int) -> np.ndarray:
    """One row of the cache's array, ``[H * 3 // 2, W]``. window: top, left, height, width; multiples of 16."""
    top, left, height, width = window
    chroma = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
    planes = (
        frame.y[top : top + height, left : left + width],
        frame.u[chroma].reshape(height // 4, width),
        frame.v[chroma].reshape(height // 4, width),
    )
    return np.right_shift(np.concatenate(planes), shift).astype(np.uint8)


def frames_of(stacked: np.ndarray) -> list[Frame]:
    """``[F, H * 3 // 2, W]`` as frames of their own memory, numbered from 0."""
    y, u, v = (np.ascontiguousarray(plane) for plane in split_planes(stacked))
    return [Frame(y=y[n], u=u[n], v=v[n], pts=n, duration=1) for n in range(len(y))]


def split_planes(stacked: Stacked) -> tuple[Stacked, Stacked, Stacked]:
    """``[F, H * 3 // 2, W]``, array or tensor, to views y ``[F, H, W]``, u and v ``[F, H/2, W/2]``."""
    frames, rows, width = stacked.shape
    height = rows * 2 // 3
    quarter = height // 4
    u = stacked[:, height : height + quarter].reshape(frames, height // 2, width // 2)
    v = stacked[:, height + quarter :].reshape(frames, height // 2, width // 2)
    return stacked[:, :height], u, v
