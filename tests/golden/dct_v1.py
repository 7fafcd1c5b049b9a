"""Makes dct-v1-*.stp, golden files of format version 1 and model `dct` (run: python -m tests.golden.dct_v1).

They pin what an encoder wrote once: every later version must decode them to the same integers. Encoders may change,
so the files are never made anew to please a test, only added to, or replaced together with a new format version or
model and a line in the CHANGELOG. Running this prints the hashes of what it wrote.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import stpcodec
from tests.codec.clips import Triple, write_video, write_y4m

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """A file, how it was made, and SHA-256 of the integers of each of its segments."""

    name: str
    frames: int
    height: int
    width: int
    bit_depth: int
    quality: int
    segment_frames: int
    tile: int
    sha256: tuple[str, ...]
    sound: bool = False

    @property
    def path(self) -> Path:
        return FOLDER / f"dct-v1-{self.name}.stp"


GOLDEN = (
    Golden(
        "plain", 22, 48, 64, 8, 40, 9, 0,
        (
            "75eee0e7998fa50906f40ee6605fd131548ef52361760b0fc5ac6ce38b2d7bb0",
            "bff2c1c73f785a64ad60a868273d1a1b884bf837733edf4e560fe289affe7133",
            "f20e5edb6727efded7edc9ed8f29a58a8fc95727ba0a3a8cb74579f6004f4175",
        ),
    ),
    Golden(
        "odd-10-bit", 7, 37, 51, 10, 80, 128, 0,
        (
            "0451763fd25eea00517784081c310b1ffd2d9ceac7dc152f2e767cc545aab51a",
        ),
    ),
    Golden(
        "tiles", 3, 96, 144, 8, 3, 2, 128,
        (
            "df58761f7be72b85426e6348c13e0231b70cfa99b58c34e60b6eb5924cc2b8f8",
            "7d39b920cccbc010fa59c00753a0cbbaf123bf6789223258d0b7851dcfe689c9",
        ),
    ),
    Golden(
        "sound", 20, 32, 64, 8, 20, 4, 0,
        (
            "afa5c75e3def653040c94f2135526b234dea40d3d3bcb5155e0ec2f350c4d32f",
            "2a3ad4eb25f0e1ac7c6a4470e3236a8e465b62ecf5f337dddfccfed3cc022181",
            "2fa78459f4d06ab5dcf935b16830e0387600cf60d12376581dcede5560a29948",
            "6f87270686b03c1616661bdcf299a0041aa352270280d64c1139391b06eb9e80",
            "b7f62381aa514e36f9e4f0d2f707b8dcbd1130fa8ceff4c2c208e5a02e80dff8",
        ),
        sound=True,
    ),
)


def picture(golden: Golden, number: int) -> Triple:
    """Integer arithmetic only, the same everywhere: a moving pattern with edges, slopes and a little noise."""
    rows, columns = np.mgrid[0 : golden.height, 0 : golden.width].astype(np.int64)
    shift = 2 * number if number < 13 else -3 * number  # a cut at frame 13
    x, y = columns + shift, rows + number // 2
    noise = (x * 7919 + y * 104729 + x * y * 31) % 13
    luma = 40 + (x * 3 + y * 2) % 97 + 60 * (((x // 11) + (y // 7)) % 2) + noise
    half = (slice(None, None, 2), slice(None, None, 2))
    planes = (luma, 90 + (x[half] + 2 * y[half]) % 64, 170 - (2 * x[half] + y[half]) % 80)
    scale = 1 if golden.bit_depth == 8 else 4
    kind = np.uint8 if golden.bit_depth == 8 else np.uint16
    y_plane, u_plane, v_plane = ((plane * scale).astype(kind) for plane in planes)
    return y_plane, u_plane, v_plane


def segment_sha256(path: Path) -> tuple[str, ...]:
    """Of each segment: chunk by chunk, tile by tile, array by array in the order of names: shape, then int32 values."""
    found = []
    with stpcodec.open(path, device="cpu") as file:
        for number in range(len(file.segments)):
            digest = hashlib.sha256()
            for chunk in file.latents(number):
                for name, values in sorted(chunk.arrays.items()):
                    digest.update(f"{name}{chunk.frame_count}{values.shape}".encode())
                    digest.update(np.ascontiguousarray(values, "<i4").tobytes())
            found.append(digest.hexdigest())
    return tuple(found)


def make(golden: Golden) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pictures = [picture(golden, number) for number in range(golden.frames)]
        if golden.sound:
            source = write_video(Path(folder) / "in.mkv", pictures, sound=True)
        else:
            source = write_y4m(Path(folder) / "in.y4m", pictures)
        stpcodec.encode(
            source,
            golden.path,
            model="dct",
            device="cpu",
            quality=golden.quality,
            segment_frames=golden.segment_frames,
            tile=golden.tile,
            overwrite=True,
        )


if __name__ == "__main__":
    for one in GOLDEN:
        make(one)
        print(one.name, one.path.stat().st_size, segment_sha256(one.path))
