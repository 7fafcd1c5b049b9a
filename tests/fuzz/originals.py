"""The undamaged files and everything that a damaged one may still show of them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

import stpcodec
from stpcodec.container import Segment, StpReader
from tests.golden.dct_v1 import GOLDEN

Picture = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Original:
    name: str
    data: bytes
    segments: tuple[Segment, ...]
    pictures: tuple[Picture, ...]
    times: tuple[int, ...]

    def segment_at(self, first_frame: int) -> Segment | None:
        return next((segment for segment in self.segments if segment.first_frame == first_frame), None)


def originals() -> list[Original]:
    found = []
    for golden in GOLDEN:
        data = golden.path.read_bytes()
        reader = StpReader(io.BytesIO(data))
        segments = tuple(reader.read_segment(number) for number in range(len(reader.segments)))
        with stpcodec.open(golden.path, device="cpu") as file:
            frames = list(file)
        pictures = tuple((frame.y, frame.u, frame.v) for frame in frames)
        found.append(Original(golden.name, data, segments, pictures, tuple(frame.pts for frame in frames)))
    return found
