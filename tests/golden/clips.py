"""What golden files are made of and compared by: clips of integer arithmetic, hashes of decoded integers."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import stpcodec
from stpcodec.codec.tune import PSNR
from tests.codec.clips import Triple, write_video, write_y4m


@dataclass(frozen=True)
class Clip:
    """A video, and the options it is encoded with."""

    name: str
    frames: int
    height: int
    width: int
    bit_depth: int = 8
    quality: int = 50
    segment_frames: int = 128
    tile: int = 0
    sound: bool = False
    pattern: Literal["edges", "half"] = "edges"
    tune: str = PSNR


@dataclass(frozen=True)
class Golden:
    """A file, what it was made of, and SHA-256 of the integers of each of its segments."""

    clip: Clip
    path: Path
    sha256: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.clip.name


def picture(clip: Clip, number: int) -> Triple:
    """Integer arithmetic only, the same everywhere.

    Pattern ``edges``: moving edges, slopes and a little noise. ``half``: moving slopes, with noise on their right half
    alone, so that some regions are worth the network and others are not.
    """
    rows, columns = np.mgrid[0 : clip.height, 0 : clip.width].astype(np.int64)
    shift = 2 * number if number < 13 else -3 * number  # a cut at frame 13
    x, y = columns + shift, rows + number // 2
    noise = x * 7919 + y * 104729 + x * y * 31
    if clip.pattern == "half":
        luma = 40 + (abs(x * 2 % 256 - 128) + abs(y * 3 % 200 - 100)) // 2 + noise % 61 * (columns >= clip.width // 2)
    else:
        luma = 40 + (x * 3 + y * 2) % 97 + 60 * (((x // 11) + (y // 7)) % 2) + noise % 13
    half = (slice(None, None, 2), slice(None, None, 2))
    planes = (luma, 90 + (x[half] + 2 * y[half]) % 64, 170 - (2 * x[half] + y[half]) % 80)
    scale = 1 if clip.bit_depth == 8 else 4
    kind = np.uint8 if clip.bit_depth == 8 else np.uint16
    y_plane, u_plane, v_plane = ((plane * scale).astype(kind) for plane in planes)
    return y_plane, u_plane, v_plane


def make(clip: Clip, path: Path, *, model: str) -> None:
    """Encodes the clip to `path`, replacing what is there."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [picture(clip, number) for number in range(clip.frames)]
        if clip.sound:
            source = write_video(Path(folder) / "in.mkv", pictures, sound=True)
        else:
            source = write_y4m(Path(folder) / "in.y4m", pictures)
        stpcodec.encode(
            source,
            path,
            model=model,
            device="cpu",
            quality=clip.quality,
            tune=clip.tune,
            segment_frames=clip.segment_frames,
            tile=clip.tile,
            overwrite=True,
        )


def segment_sha256(path: Path, *, device: str = "cpu") -> tuple[str, ...]:
    """Of each segment: chunk by chunk, tile by tile, array by array in the order of names: shape, then int32 values."""
    found = []
    with stpcodec.open(path, device=device) as file:
        for number in range(len(file.segments)):
            digest = hashlib.sha256()
            for chunk in file.latents(number):
                for name, values in sorted(chunk.arrays.items()):
                    digest.update(f"{name}{chunk.frame_count}{values.shape}".encode())
                    digest.update(np.ascontiguousarray(values, "<i4").tobytes())
            found.append(digest.hexdigest())
    return tuple(found)


def worst_psnr_db(clip: Clip, path: Path, *, device: str = "cpu") -> float:
    """Of luma against the clip, of the frame that has the lowest."""
    peak = 255 if clip.bit_depth == 8 else 1023
    found = []
    with stpcodec.open(path, device=device) as file:
        for number, frame in enumerate(file):
            error = np.mean((frame.y.astype(float) - picture(clip, number)[0]) ** 2)
            found.append(10 * float(np.log10(peak**2 / error)))
    return min(found)
