"""Planes to packed chunks and back."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.model.chunk_io import pack_frames, predict, unpack_frames
from tests.tiny_model import moving_planes


@given(batch=st.integers(1, 3), count=st.integers(1, 4), rows=st.integers(1, 4), columns=st.integers(1, 4))
def test_pack_and_unpack_are_inverse(batch: int, count: int, rows: int, columns: int) -> None:
    planes = moving_planes(batch * count, 16 * rows, 16 * columns)
    packed = pack_frames(planes, count)
    assert packed.shape == (batch, 96 * count, 2 * rows, 2 * columns)
    back = unpack_frames(packed, count)
    for name in ("y", "u", "v"):
        assert torch.equal(getattr(back, name), getattr(planes, name))


def test_a_frames_channels_lie_together() -> None:
    """Frame t of a chunk is channels 96·t to 96·(t + 1)."""
    planes = moving_planes(6, 32, 48, dx=3)
    packed = pack_frames(planes, 3)
    for number in range(6):
        alone = pack_frames(planes[number : number + 1], 1)
        batch, t = divmod(number, 3)
        assert torch.equal(packed[batch, 96 * t : 96 * (t + 1)], alone[0])


def test_predict_warps_each_reference_by_its_own_fields() -> None:
    references = moving_planes(2, 32, 48, dx=5)
    fields = torch.zeros(2, 3, 2, 5, 7, dtype=torch.int32)
    fields[1, 2, 1] = 8  # second sequence, third frame: two samples from the right
    prediction, packed = predict(references, fields)
    assert prediction.shape == (2, 3 * 96, 4, 6)
    torch.testing.assert_close(packed, pack_frames(references, 1))
    frames = unpack_frames(prediction, 3)
    for number in range(5):
        torch.testing.assert_close(frames.y[number], references.y[number // 3], atol=1e-5, rtol=0)
    torch.testing.assert_close(frames.y[5, :, :40], references.y[1, :, 2:42], atol=1e-4, rtol=0)
