"""Makes dct-v1-*.stp, golden files of format version 1 and model `dct` (run: python -m tests.golden.dct_v1).

They pin what an encoder wrote once: every later version must decode them to the same integers. Encoders may change,
so the files are never made anew to please a test, only added to, or replaced together with a new format version or
model and a line in the CHANGELOG. Running this prints the hashes of what it wrote.
"""

from __future__ import annotations

from pathlib import Path

from tests.golden.clips import Clip, Golden, make, segment_sha256

FOLDER = Path(__file__).parent


def _golden(clip: Clip, *sha256: str) -> Golden:
    return Golden(clip, FOLDER / f"dct-v1-{clip.name}.stp", sha256)


GOLDEN = (
    _golden(
        Clip("plain", 22, 48, 64, quality=40, segment_frames=9),
        "75eee0e7998fa50906f40ee6605fd131548ef52361760b0fc5ac6ce38b2d7bb0",
        "bff2c1c73f785a64ad60a868273d1a1b884bf837733edf4e560fe289affe7133",
        "f20e5edb6727efded7edc9ed8f29a58a8fc95727ba0a3a8cb74579f6004f4175",
    ),
    _golden(
        Clip("odd-10-bit", 7, 37, 51, bit_depth=10, quality=80),
        "0451763fd25eea00517784081c310b1ffd2d9ceac7dc152f2e767cc545aab51a",
    ),
    _golden(
        Clip("tiles", 3, 96, 144, quality=3, segment_frames=2, tile=128),
        "df58761f7be72b85426e6348c13e0231b70cfa99b58c34e60b6eb5924cc2b8f8",
        "7d39b920cccbc010fa59c00753a0cbbaf123bf6789223258d0b7851dcfe689c9",
    ),
    _golden(
        Clip("sound", 20, 32, 64, quality=20, segment_frames=4, sound=True),
        "afa5c75e3def653040c94f2135526b234dea40d3d3bcb5155e0ec2f350c4d32f",
        "2a3ad4eb25f0e1ac7c6a4470e3236a8e465b62ecf5f337dddfccfed3cc022181",
        "2fa78459f4d06ab5dcf935b16830e0387600cf60d12376581dcede5560a29948",
        "6f87270686b03c1616661bdcf299a0041aa352270280d64c1139391b06eb9e80",
        "b7f62381aa514e36f9e4f0d2f707b8dcbd1130fa8ceff4c2c208e5a02e80dff8",
    ),
)


if __name__ == "__main__":
    for one in GOLDEN:
        make(one.clip, one.path, model="dct")
        print(one.name, one.path.stat().st_size, segment_sha256(one.path))
