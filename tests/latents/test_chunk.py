"""ChunkLatents: what the latents hash sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xxhash

from stpcodec.latents.chunk import ChunkLatents, to_integers


def latents(**changes: object) -> ChunkLatents:
    y = torch.arange(24, dtype=torch.int32).view(2, 3, 4) - 7
    z = torch.arange(4, dtype=torch.int32).view(1, 2, 2)
    field = torch.zeros(3, 2, 2, 2, dtype=torch.int32)
    return replace(ChunkLatents(y, z, field, frame_count=3, quality=50, mode=0), **changes)  # type: ignore[arg-type]


def digest(chunk: ChunkLatents) -> str:
    state = xxhash.xxh3_128()
    chunk.hash_into(state)
    return state.hexdigest()


def test_arrays_by_name() -> None:
    inter, intra = latents(), latents(field=None, frame_count=1)
    assert set(inter.arrays()) == {"y", "z", "motion"}
    assert not inter.intra
    assert set(intra.arrays()) == {"y", "z"}
    assert intra.intra
    assert all(array.dtype == np.int32 for array in inter.arrays().values())
    np.testing.assert_array_equal(inter.arrays()["y"], inter.y.numpy())


def test_hash_is_pinned() -> None:
    """Files hold this hash: a change here is a change of the format version."""
    assert digest(latents()) == "84715e83c2ad86ac6656db73b5cf1f08"
    assert digest(latents(field=None, frame_count=1)) == "6c82db7f4b7df93a0a414529f78b2e46"


def test_hash_follows_the_format() -> None:
    """FORMAT.md, latents hash, by hand."""
    chunk = latents()
    text = b"y(2, 3, 4)q50m0n3" + b"".join(value.to_bytes(4, "little", signed=True) for value in range(-7, 17))
    text += b"z(1, 2, 2)q50m0n3" + b"".join(value.to_bytes(4, "little") for value in range(4))
    text += b"motion(3, 2, 2, 2)q50m0n3" + bytes(4 * 24)
    assert digest(chunk) == xxhash.xxh3_128(text).hexdigest()


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
        {"y": latents().y.view(2, 4, 3)},
        {"y": latents().y + torch.tensor([0, 0, 0, 1], dtype=torch.int32)},
        {"z": -latents().z},
    ],
    ids=["quality", "mode", "frame_count", "motion", "shape", "one value", "sign"],
)
def test_hash_sees_everything(changes: dict[str, object]) -> None:
    assert digest(latents(**changes)) != digest(latents())


def test_to_integers_is_exact_on_integer_valued_floats() -> None:
    values = torch.tensor([-(2.0**23), -1.0, 0.0, 5.0, 2.0**24])
    assert to_integers(values).tolist() == [-(2**23), -1, 0, 5, 2**24]
