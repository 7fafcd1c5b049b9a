"""How much memory coding takes, and what keeps it below a limit: smaller tiles, fewer pictures at once, fewer jobs.

    limit    --max-memory, of all processes together; otherwise what this one has and half of what is free
    tiles    are part of the file: frames above 4096×2304 have them, smaller ones only where --max-memory asks for it,
             so the bytes follow from the command, never from the machine
    jobs     and pictures at once are not: as many as fit
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stpcodec.codec.free_memory import free_bytes, resident_bytes
from stpcodec.codec.tiling import choose_tile
from stpcodec.errors import UsageError
from stpcodec.latents.chunk import PATCH

TILES = (2048, 1536, 1024, 768, 512, 384, 256)
"""What a limit is met with, the first that fits."""
LEAST_BYTES = 720e6
"""A process with torch, a model and small frames."""


@dataclass(frozen=True)
class Use:
    """Peak memory of a process that codes, in bytes: measured, docs/speed.md.

    base: without any frame. per_sample: of the frame's luma samples, however it is tiled. per_tile_sample: of those of
    one tile, or of the frame where it is coded whole. per_picture_sample: likewise, of each picture at once after the
    first.
    """

    base: float
    per_sample: float
    per_tile_sample: float
    per_picture_sample: float

    def bytes(self, height: int, width: int, tile: int, *, pictures: int = 1) -> float:
        """tile: as in the stream header."""
        samples = height * width
        at_once = min(height, tile) * min(width, tile) if tile else samples
        more = self.per_tile_sample + self.per_picture_sample * (pictures - 1)
        return self.base + self.per_sample * samples + more * at_once


ENCODING = Use(705e6, 330, 211, 131)
DECODING = Use(645e6, 330, 0, 0)
"""Tiles save a decoder nothing: whole frames are synthesised in bands, and overlaps have latents of their own."""


@dataclass(frozen=True)
class Budget:
    """Memory for all processes together, in bytes. asked: by --max-memory, so that nothing starts that does not fit."""

    bytes: float
    asked: bool = False


def budget(max_memory: float | None) -> Budget:
    """max_memory: in bytes, None for what this process has and half of what is free.

    Raises UsageError where no model would have room.
    """
    if max_memory is None:
        free = free_bytes()
        return Budget(math.inf if free is None else resident_bytes() + free / 2)
    if max_memory < LEAST_BYTES:
        raise UsageError(f"--max-memory {size_text(max_memory)}: the smallest video takes {size_text(LEAST_BYTES)}")
    return Budget(max_memory, asked=True)


def tile_within(limit: Budget, height: int, width: int, *, asked: int, held_bytes: float = 0) -> int:
    """The tile size of a stream's header: what was asked for if that is not 0; else, where a limit was asked for, the
    first that keeps it: the rule for large frames, or smaller tiles; the smallest where none does.

    held_bytes: of the frames that the encoder holds beside those that it codes. Raises UsageError, as `choose_tile`.
    """
    tile, _ = choose_tile(height, width, asked, PATCH)
    if asked or not limit.asked:
        return tile
    for size in (0, *TILES):
        tile, _ = choose_tile(height, width, size, PATCH)
        if ENCODING.bytes(height, width, tile) + held_bytes <= limit.bytes:
            break
    return tile


def size_text(size_bytes: float) -> str:
    """`850 MB`, `3.2 GB`."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
