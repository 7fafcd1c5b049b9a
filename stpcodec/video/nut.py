"""NUT, FFmpeg's own container: raw frames with exact times, and sound, through a pipe. What it loses is named here."""

from __future__ import annotations

from stpcodec.video.frames import COLOR_UNSPECIFIED, DISPLAY_MATRIX, RANGE_FULL, VideoInfo

CODEC = "rawvideo"


def not_held(info: VideoInfo) -> list[str]:
    """What of this video's description a .nut of raw frames does not keep."""
    lost = []
    if info.rotation or DISPLAY_MATRIX in info.stream_metadata:
        lost.append("rotation")
    if (info.sample_aspect_ratio or 1) != 1:
        lost.append("the pixel aspect ratio")
    colour = (info.color_primaries, info.color_transfer, info.color_space)
    if any(value != COLOR_UNSPECIFIED for value in colour) or info.color_range == RANGE_FULL:
        lost.append("colour range, primaries, transfer and matrix")
    return lost
