"""The clips that come with the project are there, play, and are what their names say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parent.parent / "sample_videos"


@pytest.mark.parametrize(
    ("name", "size", "frames", "sound"),
    [("flight", (640, 360), 100, False), ("crossing", (480, 270), 100, False), ("yard", (320, 180), 90, True)],
)
def test_a_clip_decodes_completely(name: str, size: tuple[int, int], frames: int, sound: bool) -> None:
    with av.open(str(SAMPLES / f"{name}.mp4")) as container:
        assert bool(container.streams.audio) == sound
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size
        assert 3 <= float(stream.duration * stream.time_base) <= 6
        lumas = [frame.to_ndarray()[: size[1]].astype(np.int16) for frame in container.decode(stream)]
    assert len(lumas) == frames
    assert np.std(lumas[0]) > 15  # a picture
    assert all(np.abs(a - b).mean() > 0.3 for a, b in pairwise(lumas))  # that moves


def test_all_clips_together_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.mp4")) < 4_000_000
