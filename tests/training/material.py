"""Tiny videos and pictures on disk, and the cache entries made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpcodec.model.motion_tables import initial_tables
from stpcodec.training.motion_cache import ensure_motion
from tests.codec.clips import write_video
from tests.tiny_model import moving_planes


def triples(count: int, height: int, width: int, *, dx: int, seed: int) -> list[tuple[np.ndarray, ...]]:
    planes = moving_planes(count, height, width, dx=dx, seed=seed)
    arrays = [(getattr(planes, name) * 255).round().numpy().astype(np.uint8) for name in ("y", "u", "v")]
    return list(zip(*arrays, strict=True))


def write_clip(path: Path, *, count: int = 7, height: int = 80, width: int = 112, dx: int = 2, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, triples(count, height, width, dx=dx, seed=seed), codec="libx264")  # type: ignore[arg-type]


def cached_clip(
    folder: Path, *, count: int = 7, height: int = 80, width: int = 112, frames: int = 2, seed: int = 0
) -> Path:
    """A clip as the cache holds it, with its motion; rows of luma, u and v under each other."""
    planes = moving_planes(count, height, width, dx=1, dy=1, seed=seed)
    y, u, v = ((getattr(planes, name) * 255).round().numpy().astype(np.uint8) for name in ("y", "u", "v"))
    stacked = np.concatenate((y, u.reshape(count, height // 4, width), v.reshape(count, height // 4, width)), axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"clip-{seed}.npy"
    np.save(path, stacked)
    ensure_motion(path, frames, initial_tables())
    return path
