"""Motion residuals through bytes and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.motion_coder import decode_motion, encode_motion
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.motion_field import (
    LARGEST,
    OTHER,
    Hierarchy,
    decompose,
    join_field,
    reconstruct,
    walk,
    zero_levels,
)
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import count_residuals, initial_tables, tables_from_counts
from tests.tiny_model import moving_planes

TABLES = TableSet(initial_tables().counts.long().numpy())
sides = st.integers(1, 12).map(lambda cells: 16 * cells)


def random_levels(
    count: int, height: int, width: int, *, density: float, seed: int, largest: int = 3 * LARGEST
) -> list[Tensor]:
    """Residuals at coded points only, some beyond the tables' largest."""
    random = torch.Generator().manual_seed(seed)
    hierarchy = Hierarchy.of(height, width)
    levels = zero_levels(hierarchy, count)
    for number, level in enumerate(levels):
        value = torch.randint(-largest, largest + 1, level.shape, generator=random, dtype=torch.int32)
        keep = torch.rand(level.shape, generator=random) < density
        levels[number] = value * keep * hierarchy.coded(number, height, width)
    return levels


def encode(base: list[Tensor], middle: list[Tensor], height: int, width: int, before: Tensor | None = None) -> bytes:
    coder = SymbolEncoder()
    encode_motion(coder, base, middle, TABLES, height, width, before)
    return coder.finish()


def field_before(height: int, width: int, *, density: float, seed: int) -> Tensor:
    """The last field of a chunk before, ``[2, rows, columns]``."""
    return reconstruct(random_levels(1, height, width, density=density, seed=seed))[0]


@given(
    height=sides, width=sides, frames=st.integers(1, 5), density=st.sampled_from([0.0, 0.1, 1.0]),
    follows=st.sampled_from([None, 0.0, 0.1, 1.0]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_random_residuals_round_trip(
    height: int, width: int, frames: int, density: float, follows: float | None, seed: int
) -> None:
    """follows: density of the field before, None behind an intra chunk."""
    base = random_levels(1, height, width, density=density, seed=seed)
    middle = random_levels(frames - 1, height, width, density=density, seed=seed + 1)
    before = None if follows is None else field_before(height, width, density=follows, seed=seed + 2)
    data = encode(base, middle, height, width, before)
    field = decode_motion(SymbolDecoder(data), TABLES, frames, height, width, before)
    hierarchy = Hierarchy.of(height, width)
    assert field.shape == (frames, 2, hierarchy.rows, hierarchy.columns)
    assert field.dtype == torch.int32
    assert torch.equal(field, join_field(base, middle))


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_what_the_search_finds_round_trips(frames: int) -> None:
    """Three chunks, each with the last field of the one before."""
    planes = moving_planes(3 * frames + 1, 80, 112, dy=2, dx=-3).y
    bits, before = initial_tables().bits(), None
    for start in range(0, 3 * frames, frames):
        window = planes[start : start + frames + 1]
        base, middle = search(window[1:], window[0], cost_bits=bits, lagrangian=30 / 255**2, before=before)
        data = encode(base, middle, 80, 112, before)
        field = decode_motion(SymbolDecoder(data), TABLES, frames, 80, 112, before)
        assert torch.equal(field, join_field(base, middle))
        assert field.any()
        before = field[-1]


def test_a_field_like_the_one_before_is_cheaper() -> None:
    base = random_levels(1, 320, 320, density=0.05, seed=3, largest=3)
    middle = zero_levels(Hierarchy.of(320, 320), 0)
    like = reconstruct(base)[0]
    other = reconstruct(random_levels(1, 320, 320, density=0.05, seed=4, largest=3))[0]
    size = len(encode(base, middle, 320, 320, like))
    assert size < 0.9 * len(encode(base, middle, 320, 320))
    assert size < 0.9 * len(encode(base, middle, 320, 320, other)), "which one it is does count"


def test_the_second_component_learns_from_the_first() -> None:
    """As many residuals of one size are cheaper together at one point than each at its own."""
    together, apart = (zero_levels(Hierarchy.of(320, 320), 1) for _ in range(2))
    together[0][0, :, 1:33:4, 1:33:4] = 2
    apart[0][0, 0, 1:33:4, 1:33:4] = 2
    apart[0][0, 1, 3:35:4, 3:35:4] = 2
    middle = zero_levels(Hierarchy.of(320, 320), 0)
    assert together[0].sum() == apart[0].sum() > 0
    assert len(encode(together, middle, 320, 320)) < 0.85 * len(encode(apart, middle, 320, 320))


def torn_levels(height: int, width: int, *, seed: int) -> list[Tensor]:
    """Far apart at the top, and below it half of the points on the other side of a tear."""
    random = torch.Generator().manual_seed(seed)
    levels = zero_levels(Hierarchy.of(height, width), 1)
    for level, _, coded, other in walk(levels, None, height, width):
        far = torch.randint(-90, 91, other.shape, generator=random, dtype=torch.int32)
        follows = torch.rand(coded.shape, generator=random)[:, None] < 0.5
        levels[level][:] = (far if level == len(levels) - 1 else other * follows) * coded[:, None]
    return levels


@given(height=sides, width=sides, seed=st.integers(0, 10**6))
def test_points_on_the_other_side_of_a_tear_round_trip(height: int, width: int, seed: int) -> None:
    base = torn_levels(height, width, seed=seed)
    middle = random_levels(1, height, width, density=0.1, seed=seed)
    data = encode(base, middle, height, width)
    field = decode_motion(SymbolDecoder(data), TABLES, 2, height, width, None)
    assert torch.equal(field, join_field(base, middle))


def test_following_the_other_parent_takes_no_escape() -> None:
    """One symbol for dy, nothing for dx: with fitted tables far cheaper than a vector as long that leads elsewhere."""
    base = torn_levels(320, 320, seed=0)
    follows = [level.any(1, keepdim=True) for level in base[:-1]]
    elsewhere = [level + mask.int() for level, mask in zip(base, follows, strict=False)] + base[-1:]
    middle = zero_levels(Hierarchy.of(320, 320), 0)
    sizes = []
    for levels in (base, elsewhere):
        counts = torch.zeros(initial_tables().counts.shape, dtype=torch.float64)
        count_residuals(counts, levels, None, 320, 320)
        coder = SymbolEncoder()
        fitted = TableSet(tables_from_counts(counts).counts.long().numpy())
        encode_motion(coder, levels, middle, fitted, 320, 320, None)
        sizes.append(len(coder.finish()))
        if levels is base:
            assert counts[:, LARGEST + OTHER].sum() == sum(int(mask.sum()) for mask in follows) > 50
            assert counts[:, -1].sum() <= base[-1].numel()
    assert sizes[0] < 0.6 * sizes[1]


def test_another_field_before_decodes_to_something_else() -> None:
    """It is part of the state a decoder must have: what follows a lost chunk cannot be read."""
    base = random_levels(1, 96, 96, density=0.3, seed=0)
    middle = random_levels(1, 96, 96, density=0.3, seed=1)
    before = field_before(96, 96, density=0.3, seed=2)
    data = encode(base, middle, 96, 96, before)
    for other in (None, torch.zeros_like(before), field_before(96, 96, density=0.3, seed=3)):
        try:
            field = decode_motion(SymbolDecoder(data), TABLES, 2, 96, 96, other)
        except CorruptFile:
            continue
        assert not torch.equal(field, join_field(base, middle))


def test_coding_does_not_change_what_it_codes() -> None:
    base = random_levels(1, 48, 80, density=1.0, seed=0)
    middle = random_levels(3, 48, 80, density=1.0, seed=1)
    given_tensors = [*base, *middle, field_before(48, 80, density=1.0, seed=2)]
    copies = [level.clone() for level in given_tensors]
    encode(base, middle, 48, 80, given_tensors[-1])
    assert all(torch.equal(was, now) for was, now in zip(copies, given_tensors, strict=True))


@pytest.mark.parametrize("follows", [False, True])
def test_tables_count_the_symbols_that_are_coded(follows: bool) -> None:
    """Training counts with the same walk: tables fitted to a field code it in fewer bytes, near their own entropy."""
    base = random_levels(1, 320, 320, density=0.05, seed=3)
    middle = random_levels(3, 320, 320, density=0.05, seed=4)
    counts = torch.zeros(initial_tables().counts.shape, dtype=torch.float64)
    before = field_before(320, 320, density=0.05, seed=5) if follows else None
    like = None if before is None else decompose(before[None], Hierarchy.of(320, 320).top)
    count_residuals(counts, base, like, 320, 320)
    count_residuals(counts, middle, base, 320, 320)
    fitted = tables_from_counts(counts)
    coder = SymbolEncoder()
    encode_motion(coder, base, middle, TableSet(fitted.counts.long().numpy()), 320, 320, before)
    data = coder.finish()
    assert len(data) < 0.8 * len(encode(base, middle, 320, 320, before))
    ideal_bits = float((counts * fitted.bits().double()).sum())
    escapes = int(counts[:, -1].sum())
    assert abs(8 * (len(data) - escapes) - ideal_bits) < 0.02 * ideal_bits + 200


def test_a_cut_stream_is_noticed() -> None:
    base = random_levels(1, 48, 80, density=0.5, seed=0)
    middle = random_levels(3, 48, 80, density=0.5, seed=1)
    before = field_before(48, 80, density=0.5, seed=2)
    data = encode(base, middle, 48, 80, before)
    for end in range(len(data)):
        with pytest.raises(CorruptFile):
            decode_motion(SymbolDecoder(data[:end]), TABLES, 4, 48, 80, before)


@given(st.binary(min_size=1, max_size=120), st.integers(1, 4), st.booleans())
def test_noise_decodes_to_a_field_or_is_refused(noise: bytes, frames: int, follows: bool) -> None:
    before = field_before(48, 80, density=0.5, seed=2) if follows else None
    words = noise[: len(noise) // 4 * 4]
    stream = bytes([len(words) // 4]) + words + noise
    try:
        field = decode_motion(SymbolDecoder(stream), TABLES, frames, 48, 80, before)
    except CorruptFile:
        return
    assert field.shape[0] == frames


def test_motion_out_of_range_is_refused() -> None:
    base = zero_levels(Hierarchy.of(48, 80), 1)
    base[-1][:] = 40_000
    data = encode(base, [level[:0] for level in base], 48, 80)
    with pytest.raises(CorruptFile, match="motion of 40000 quarter samples"):
        decode_motion(SymbolDecoder(data), TABLES, 1, 48, 80, None)
