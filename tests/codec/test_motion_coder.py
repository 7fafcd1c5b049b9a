"""Motion residuals through bytes and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.motion_coder import decode_motion, encode_motion, join_field
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.motion_field import LARGEST, Hierarchy, zero_levels
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import count_residuals, initial_tables, tables_from_counts
from tests.tiny_model import moving_planes

TABLES = TableSet(initial_tables().counts.long().numpy())
sides = st.integers(1, 12).map(lambda cells: 16 * cells)


def random_levels(count: int, height: int, width: int, *, density: float, seed: int) -> list[Tensor]:
    """Residuals at coded points only, some beyond the tables' largest."""
    random = torch.Generator().manual_seed(seed)
    hierarchy = Hierarchy.of(height, width)
    levels = zero_levels(hierarchy, count)
    for number, level in enumerate(levels):
        value = torch.randint(-3 * LARGEST, 3 * LARGEST + 1, level.shape, generator=random, dtype=torch.int32)
        keep = torch.rand(level.shape, generator=random) < density
        levels[number] = value * keep * hierarchy.coded(number, height, width)
    return levels


def encode(base: list[Tensor], middle: list[Tensor], height: int, width: int) -> bytes:
    coder = SymbolEncoder()
    encode_motion(coder, base, middle, TABLES, height, width)
    return coder.finish()


@given(
    height=sides, width=sides, frames=st.integers(1, 5),
    density=st.sampled_from([0.0, 0.1, 1.0]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_random_residuals_round_trip(height: int, width: int, frames: int, density: float, seed: int) -> None:
    base = random_levels(1, height, width, density=density, seed=seed)
    middle = random_levels(frames - 1, height, width, density=density, seed=seed + 1)
    data = encode(base, middle, height, width)
    field = decode_motion(SymbolDecoder(data), TABLES, frames, height, width)
    hierarchy = Hierarchy.of(height, width)
    assert field.shape == (frames, 2, hierarchy.rows, hierarchy.columns)
    assert field.dtype == torch.int32
    assert torch.equal(field, join_field(base, middle))


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_what_the_search_finds_round_trips(frames: int) -> None:
    planes = moving_planes(frames + 1, 80, 112, dy=2, dx=-3).y
    bits = initial_tables().bits()
    base, middle = search(planes[1:], planes[0], cost_bits=bits, lagrangian=30 / 255**2)
    data = encode(base, middle, 80, 112)
    field = decode_motion(SymbolDecoder(data), TABLES, frames, 80, 112)
    assert torch.equal(field, join_field(base, middle))
    assert field.any()


def test_coding_does_not_change_what_it_codes() -> None:
    base = random_levels(1, 48, 80, density=1.0, seed=0)
    middle = random_levels(3, 48, 80, density=1.0, seed=1)
    before = [level.clone() for level in base + middle]
    encode(base, middle, 48, 80)
    assert all(torch.equal(was, now) for was, now in zip(before, base + middle, strict=True))


def test_tables_count_the_symbols_that_are_coded() -> None:
    """Training counts with the same walk: tables fitted to a field code it in fewer bytes, near their own entropy."""
    base = random_levels(1, 320, 320, density=0.05, seed=3)
    middle = random_levels(3, 320, 320, density=0.05, seed=4)
    counts = torch.zeros(initial_tables().counts.shape, dtype=torch.float64)
    count_residuals(counts, base, None, 320, 320)
    count_residuals(counts, middle, base, 320, 320)
    fitted = tables_from_counts(counts)
    coder = SymbolEncoder()
    encode_motion(coder, base, middle, TableSet(fitted.counts.long().numpy()), 320, 320)
    data = coder.finish()
    assert len(data) < 0.8 * len(encode(base, middle, 320, 320))
    ideal_bits = float((counts * fitted.bits().double()).sum())
    escapes = int(counts[:, -1].sum())
    assert abs(8 * (len(data) - escapes) - ideal_bits) < 0.02 * ideal_bits + 200


def test_a_cut_stream_is_noticed() -> None:
    base = random_levels(1, 48, 80, density=0.5, seed=0)
    middle = random_levels(3, 48, 80, density=0.5, seed=1)
    data = encode(base, middle, 48, 80)
    for end in range(len(data)):
        with pytest.raises(CorruptFile):
            decode_motion(SymbolDecoder(data[:end]), TABLES, 4, 48, 80)


@given(st.binary(min_size=1, max_size=120), st.integers(1, 4))
def test_noise_decodes_to_a_field_or_is_refused(noise: bytes, frames: int) -> None:
    words = noise[: len(noise) // 4 * 4]
    stream = bytes([len(words) // 4]) + words + noise
    try:
        field = decode_motion(SymbolDecoder(stream), TABLES, frames, 48, 80)
    except CorruptFile:
        return
    assert field.shape[0] == frames


def test_motion_out_of_range_is_refused() -> None:
    base = zero_levels(Hierarchy.of(48, 80), 1)
    base[-1][:] = 40_000
    data = encode(base, [level[:0] for level in base], 48, 80)
    with pytest.raises(CorruptFile, match="motion of 40000 quarter samples"):
        decode_motion(SymbolDecoder(data), TABLES, 1, 48, 80)
