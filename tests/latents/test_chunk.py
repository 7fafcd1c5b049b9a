"""The integers of a chunk: what the latents hash sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xxhash

from stpcodec.latents.chunk import ChunkLatents, PictureLatents, to_integers


def latents(**changes: object) -> PictureLatents:
    """A picture between two references."""
    y = torch.arange(24, dtype=torch.int32).view(2, 3, 4) - 7
    z = torch.arange(4, dtype=torch.int32).view(1, 2, 2)
    field = torch.zeros(2, 2, 3, 2, dtype=torch.int32)
    field[1, 0] = -2
    choice = torch.tensor([[0, 1, 2, 0]], dtype=torch.int32).expand(3, 4).contiguous()
    picture = PictureLatents(y, z, field, choice, first_frame=3, frame_count=1, quality=50, mode=0)
    return replace(picture, **changes)  # type: ignore[arg-type]


INTRA = {"field": None, "choice": None, "first_frame": 0}
ANCHOR = {"field": latents().field[:1], "choice": None}  # type: ignore[index]


def digest(latents: PictureLatents | ChunkLatents) -> str:
    state = xxhash.xxh3_128()
    latents.hash_into(state)
    return state.hexdigest()


def test_arrays_by_name() -> None:
    between, anchor, intra = latents(), latents(**ANCHOR), latents(**INTRA)
    assert list(between.arrays()) == ["y", "z", "motion", "blend"], "in the order of the hash"
    assert list(anchor.arrays()) == ["y", "z", "motion"]
    assert list(intra.arrays()) == ["y", "z"]
    assert (between.intra, anchor.intra, intra.intra) == (False, False, True)
    assert all(array.dtype == np.int32 for array in between.arrays().values())
    np.testing.assert_array_equal(between.arrays()["y"], between.y.numpy())
    np.testing.assert_array_equal(between.arrays()["blend"], between.choice.numpy())  # type: ignore[union-attr]


def test_hash_is_pinned() -> None:
    """Files hold this hash: a change here is a change of the format version."""
    assert digest(latents()) == "b75d58657a57e0d71ec2a11cbf960443"
    assert digest(latents(**ANCHOR)) == "cf6eb84b505b23f8086db7138eda7101"
    assert digest(latents(**INTRA)) == "6c82db7f4b7df93a0a414529f78b2e46"
    several = latents(field=torch.zeros(3, 2, 2, 2, dtype=torch.int32), choice=None, frame_count=3)
    assert digest(several) == "84715e83c2ad86ac6656db73b5cf1f08", "frames coded jointly, as `dct` does"


def test_hash_follows_the_format() -> None:
    """FORMAT.md, latents hash, by hand."""
    text = b"y(2, 3, 4)q50m0n1" + b"".join(value.to_bytes(4, "little", signed=True) for value in range(-7, 17))
    text += b"z(1, 2, 2)q50m0n1" + b"".join(value.to_bytes(4, "little") for value in range(4))
    text += b"motion(2, 2, 3, 2)q50m0n1" + bytes(4 * 12) + b"\xfe\xff\xff\xff" * 6 + bytes(4 * 6)
    text += b"blend(3, 4)q50m0n1" + b"\0\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0" * 3
    assert digest(latents()) == xxhash.xxh3_128(text).hexdigest()


def test_a_chunks_hash_is_that_of_its_pictures_in_the_order_of_coding() -> None:
    anchor, between = latents(**ANCHOR), latents(first_frame=1, quality=43)
    state = xxhash.xxh3_128()
    for picture in (anchor, between):
        picture.hash_into(state)
    assert digest(ChunkLatents((anchor, between))) == state.hexdigest()
    assert digest(ChunkLatents((between, anchor))) != state.hexdigest()


def test_a_chunk_counts_the_frames_of_its_pictures() -> None:
    chunk = ChunkLatents((latents(**ANCHOR), latents(first_frame=1), latents(first_frame=0)))
    assert chunk.frame_count == 3
    assert chunk.anchor is chunk.pictures[0]
    jointly = ChunkLatents((latents(field=torch.zeros(4, 2, 2, 2, dtype=torch.int32), choice=None, frame_count=4),))
    assert jointly.frame_count == 4


def test_hash_does_not_depend_on_memory_layout() -> None:
    y = latents().y
    strided = torch.empty(4, 3, 2, dtype=torch.int32).permute(2, 1, 0)
    strided.copy_(y)
    assert not strided.is_contiguous()
    assert digest(latents(y=strided)) == digest(latents())


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": 51},
        {"mode": 1},
        {"frame_count": 2},
        {"field": None},
        {"choice": None},
        {"choice": torch.zeros(3, 4, dtype=torch.int32)},
        {"field": -latents().field},  # type: ignore[operator]
        {"y": latents().y.view(2, 4, 3)},
        {"y": latents().y + torch.tensor([0, 0, 0, 1], dtype=torch.int32)},
        {"z": -latents().z},
    ],
    ids=["quality", "mode", "frame_count", "motion", "blend", "choices", "vectors", "shape", "one value", "sign"],
)
def test_hash_sees_everything(changes: dict[str, object]) -> None:
    assert digest(latents(**changes)) != digest(latents())


def test_to_integers_is_exact_on_integer_valued_floats() -> None:
    values = torch.tensor([-(2.0**23), -1.0, 0.0, 5.0, 2.0**24])
    assert to_integers(values).tolist() == [-(2**23), -1, 0, 5, 2**24]
