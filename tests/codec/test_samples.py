from __future__ import annotations

import numpy as np
import pytest
import torch

from stpcodec.codec.samples import to_planes, to_samples
from stpcodec.model.planes import Planes
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures

CPU = torch.device("cpu")


@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (37, 51), (48, 64)])
def test_there_and_back_is_exact(bit_depth: int, height: int, width: int) -> None:
    frames = [
        Frame(*triple, pts=i) for i, triple in enumerate(pictures(3, height=height, width=width, bit_depth=bit_depth))
    ]
    planes = to_planes(frames, bit_depth=bit_depth, multiple=16, device=CPU)
    assert planes.height % 16 == planes.width % 16 == 0
    assert planes.u.shape == (3, planes.height // 2, planes.width // 2)
    assert 0 <= float(planes.y.min()) <= float(planes.y.max()) <= 1
    back = to_samples(planes, height=height, width=width, bit_depth=bit_depth)
    for frame, (y, u, v) in zip(frames, back, strict=True):
        for ours, theirs in ((frame.y, y), (frame.u, u), (frame.v, v)):
            assert theirs.dtype == ours.dtype
            np.testing.assert_array_equal(theirs, ours)


def test_every_10_bit_value_survives() -> None:
    ramp = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    frame = Frame(ramp, ramp[:16, :16], ramp[16:, 16:], pts=0)
    planes = to_planes([frame], bit_depth=10, multiple=16, device=CPU)
    np.testing.assert_array_equal(to_samples(planes, height=32, width=32, bit_depth=10)[0][0], ramp)


def test_values_out_of_range_are_clamped_and_halves_rounded_to_even() -> None:
    luma = torch.tensor([-0.5, 1.5, 0.5 / 255, 1.5 / 255]).expand(1, 16, 4).repeat(1, 1, 4)
    chroma = torch.zeros(1, 8, 8)
    y, _, _ = to_samples(Planes(luma, chroma, chroma), height=1, width=4, bit_depth=8)[0]
    assert y[0].tolist() == [0, 255, 0, 2]
