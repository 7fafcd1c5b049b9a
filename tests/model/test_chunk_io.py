"""Planes to packed chunks and back."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.blend import BOTH, ONLY_FUTURE, ONLY_PAST
from stpcodec.model.chunk_io import blend, pack_frames, predict, unpack_frames, warped_pair
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


def test_predict_warps_each_reference_by_its_own_field() -> None:
    references = moving_planes(2, 32, 48, dx=5)
    fields = torch.zeros(2, 2, 5, 7, dtype=torch.int32)
    fields[1, 1] = 8  # the second sequence: two samples from the right
    prediction, packed = predict(references, fields)
    assert prediction.shape == (2, 96, 4, 6)
    torch.testing.assert_close(packed, pack_frames(references, 1))
    frames = unpack_frames(prediction, 1)
    torch.testing.assert_close(frames.y[0], references.y[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(frames.y[1, :, :40], references.y[1, :, 2:42], atol=1e-4, rtol=0)


def test_two_references_are_moved_and_mixed_block_by_block() -> None:
    """Each by its own field, in every plane; what they disagree about is half of their difference, where both count."""
    past, future = moving_planes(2, 32, 48, dx=5), moving_planes(2, 32, 48, dy=-3, seed=4)
    fields = torch.zeros(2, 2, 2, 5, 7, dtype=torch.int32)
    fields[1, 0, 1], fields[1, 1, 0] = 8, -16  # of the second: two from the right, four from above
    choice = torch.tensor([[BOTH, ONLY_PAST, ONLY_FUTURE], [ONLY_FUTURE, BOTH, ONLY_PAST]]).expand(2, 2, 3)
    prediction, difference = blend(warped_pair(past, future, fields), choice)
    assert prediction.shape == difference.shape == (2, 96, 4, 6)
    mixed, apart = unpack_frames(prediction, 1), unpack_frames(difference, 1)
    first, second = (unpack_frames(predict(r, fields[:, i])[0], 1) for i, r in enumerate((past, future)))
    torch.testing.assert_close(second.y[1, 8:, :], future.y[1, 4:-4, :], atol=1e-4, rtol=0)
    for name, side in (("y", 16), ("u", 8), ("v", 8)):
        for row in range(2):
            for column in range(3):
                block = (..., slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))
                a, b = getattr(first, name)[block], getattr(second, name)[block]
                kind = int(choice[0, row, column])
                wanted = {BOTH: (a + b) / 2, ONLY_PAST: a, ONLY_FUTURE: b}[kind]
                torch.testing.assert_close(getattr(mixed, name)[block], wanted, atol=1e-6, rtol=0)
                half = (a - b) / 2 if kind == BOTH else torch.zeros_like(a)
                torch.testing.assert_close(getattr(apart, name)[block], half, atol=1e-6, rtol=0)
