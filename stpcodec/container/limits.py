"""The limits of the format (FORMAT.md §8): what a writer keeps and a reader checks before it allocates."""

from __future__ import annotations

MAX_SIDE = 16384  # width and height, in luma samples
MAX_FRAMES = 1 << 24
MAX_SEGMENT_FRAMES = 256
MAX_TILT = 16
MAX_RECORDS = 1 << 17  # of a hostile file each takes some 600 bytes of memory: 75 MiB
MAX_STREAMS_PER_CHUNK = 1 << 16
MAX_PTS = 1 << 62

MAX_HEADER_RAW = 1 << 20
MAX_INDEX_RAW = 1 << 24
MAX_SIDECAR_PIECE = 1 << 20
BLOCK_SLACK = 64  # what a block's two sizes and the index's foot may add to the raw limit
MAX_PAYLOAD = (1 << 32) - 1
MAX_ZSTD_WINDOW_LOG = 20

MAX_PIXEL_FORMAT_BYTES = 64
MAX_ENCODER_BYTES = 256


def max_side_information(payload_size: int) -> int:
    """Raw bytes of the side information of a segment whose payload has `payload_size` bytes.

    In proportion, so that a small file cannot ask for much work; 8 KiB hold the times of 256 frames.
    """
    return min(1 << 20, (8 << 10) + 16 * payload_size)


def max_segment_payload(width: int, height: int, frame_count: int) -> int:
    """Bytes that the payload of a segment of `frame_count` frames may have at most.

    Four bytes for each pixel of the frame padded to whole 16 × 16 patches: more than the planes themselves
    take at 10 bit (3 bytes), so no encoder worth its name gets there, but a forged length is caught.
    """
    patches = -(-width // 16) * -(-height // 16)
    return min(MAX_PAYLOAD, (2 << 20) + frame_count * ((64 << 10) + 1024 * patches))
