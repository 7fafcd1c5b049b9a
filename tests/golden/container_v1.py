"""Makes container-v1.stp, the golden file of format version 1 (run: python -m tests.golden.container_v1).

Payloads are dummies: no model reads them. The file pins bytes, so it is made anew only together with a new
format version and a line in the CHANGELOG.
"""

from __future__ import annotations

import io
from pathlib import Path

from stpcodec.container import Chunk, Segment, StpWriter, StreamHeader

PATH = Path(__file__).with_name("container-v1.stp")

HEADER = StreamHeader(
    width=1919,
    height=1079,
    bit_depth=10,
    time_base=(1, 90000),
    average_rate=(30000, 1001),
    color_range=1,
    color_primaries=9,
    color_transfer=16,
    color_space=9,
    chroma_location=1,
    sample_aspect_ratio=(4, 3),
    rotation=-90,
    interlaced=True,
    source_pixel_format="yuv420p10le",
    model="dummy-model",
    weights_sha256=bytes(range(32)).hex(),
    quality=73,
    segment_frames=128,
    tile=1024,
    tile_overlap=64,
    metadata={"title": "Golden file – größer als nichts"},
    stream_metadata={"language": "und"},
    encoder="stpcodec golden",
)


def _stream(seed: int, length: int) -> bytes:
    """Bytes of a linear congruential generator, the same everywhere."""
    out = bytearray()
    for _ in range(length):
        seed = (seed * 1103515245 + 12345) % (1 << 31)
        out.append(seed >> 16 & 0xFF)
    return bytes(out)


# constant frame rate, durations known, tables long enough to be compressed
FIRST = Segment(
    first_frame=0,
    pts=tuple(-3003 + 3003 * index for index in range(61)),
    durations=(3003,) * 61,
    chunks=(
        Chunk(1, (_stream(1, 40), _stream(2, 7))),
        *(Chunk(4, (_stream(10 + index, 12), b"", _stream(40 + index, 3))) for index in range(15)),
    ),
    latents_hash=bytes(range(100, 116)),
)
# variable frame rate, durations not known, tables too short to be compressed
SECOND = Segment(
    first_frame=61,
    pts=(200_000, 203_003, 209_009, 209_010),
    durations=None,
    chunks=(Chunk(1, (_stream(3, 20),)), Chunk(3, (_stream(4, 11), _stream(5, 1)))),
    latents_hash=bytes(range(200, 216)),
)
SIDECAR = b"not really Matroska, but nobody looks"


def build() -> bytes:
    """The file's bytes."""
    file = io.BytesIO()
    writer = StpWriter(file)
    writer.write_header(HEADER)
    writer.write_segment(FIRST)
    writer.write_sidecar([SIDECAR])
    writer.write_segment(SECOND)
    writer.finish()
    return file.getvalue()


if __name__ == "__main__":
    PATH.write_bytes(build())
