"""How many bits any one second of a .stp file takes, and in which segments.

    frames     | | | | | | | | | | | | | | |      each with the bytes of its own picture
    windows    [········)                         one second from every frame's time on
                 [········)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from stpcodec.container import Chunk, StpReader
from stpcodec.latents.gop import coding_order

WINDOW_SECONDS = 1


@dataclass(frozen=True)
class FrameCost:
    """seconds: when it is shown, from the file's first frame. segment: number of its first frame in the file."""

    seconds: Fraction
    size_bytes: float
    segment: int


@dataclass(frozen=True)
class Window:
    """bits: of the frames that are shown from start_seconds on for a second. segments: their first frames."""

    start_seconds: float
    bits: float
    segments: tuple[int, ...]


def frame_costs(stream: StpReader) -> list[FrameCost]:
    """Of all frames, in order. What belongs to a segment and to no picture counts with its first frame."""
    costs: list[FrameCost] = []
    time_base = Fraction(*stream.header.time_base)
    for number, entry in enumerate(stream.segments):
        segment = stream.read_segment(number)
        sizes = [size for chunk in segment.chunks for size in _picture_bytes(chunk)]
        sizes[0] += entry.length - sum(sizes)
        for pts, size in zip(segment.pts, sizes, strict=True):
            costs.append(FrameCost((pts - stream.segments[0].first_pts) * time_base, size, entry.first_frame))
    return costs


def _picture_bytes(chunk: Chunk) -> list[float]:
    """Of every frame of the chunk, in order of time. Where a picture holds several frames, they share."""
    count, total = chunk.frame_count, float(sum(map(len, chunk.streams)))
    if len(chunk.streams[0]) != 2 * count:  # two bytes a picture (codec/chunk.py)
        return [total / count] * count
    per_tile = 1 + count
    sizes = [0.0] * count
    for number, stream in enumerate(chunk.streams):
        place = number % per_tile
        if place:
            sizes[coding_order(count)[place - 1].position - 1] += len(stream)
        else:
            sizes = [size + len(stream) / count for size in sizes]
    return sizes


def windows(costs: list[FrameCost]) -> list[Window]:
    """From every frame on; near the end they hold less than a second."""
    found, end, held = [], 0, 0.0
    for start, first in enumerate(costs):
        while end < len(costs) and costs[end].seconds < first.seconds + WINDOW_SECONDS:
            held += costs[end].size_bytes
            end += 1
        segments = tuple(sorted({cost.segment for cost in costs[start:end]}))
        found.append(Window(float(first.seconds), 8 * held / WINDOW_SECONDS, segments))
        held -= first.size_bytes
    return found
