"""The undamaged files and everything that a damaged one may still show of them."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

import stpcodec
from stpcodec.container import Segment, StpReader
from tests.golden import dct_v1
from tests.golden.clips import Golden
from tests.golden.learned import golden_files

MODELS = ("dct", "learned")
Picture = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Original:
    name: str
    data: bytes
    segments: tuple[Segment, ...]
    pictures: tuple[Picture, ...]
    times: tuple[int, ...]
    has_sound: bool = False

    def segment_at(self, first_frame: int) -> Segment | None:
        return next((segment for segment in self.segments if segment.first_frame == first_frame), None)


def originals(models: Collection[str] = MODELS) -> list[Original]:
    """The golden files of the models: ``dct``, and ``learned`` as far as the package has their weights."""
    found: list[Original] = []
    if "dct" in models:
        found += [_original(golden.name, golden) for golden in dct_v1.GOLDEN]
    if "learned" in models:
        found += [_original(golden.path.stem, golden) for golden in golden_files() if golden.installed]
    return found


def _original(name: str, golden: Golden) -> Original:
    data = golden.path.read_bytes()
    reader = StpReader(io.BytesIO(data))
    segments = tuple(reader.read_segment(number) for number in range(len(reader.segments)))
    with stpcodec.open(golden.path, device="cpu") as file:
        frames = list(file)
    pictures = tuple((frame.y, frame.u, frame.v) for frame in frames)
    times = tuple(frame.pts for frame in frames)
    return Original(name, data, segments, pictures, times, has_sound=golden.clip.sound)
