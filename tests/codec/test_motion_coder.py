"""Motion residuals and choices through bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.motion_coder import decode_choice, decode_field, encode_choice, encode_field, in_range
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.blend import BLEND_CONTEXTS, BOTH, CHOICES, ONLY_FUTURE, ONLY_PAST, walk_blend
from stpcodec.latents.gop import coding_order, predicted_past
from stpcodec.latents.motion_field import (
    ANCHOR,
    FUTURE,
    KIND_CONTEXTS,
    LARGEST,
    MAX_VECTOR,
    OTHER,
    PAST,
    Hierarchy,
    decompose,
    reconstruct,
    walk,
    zero_levels,
)
from stpcodec.model.motion_tables import count_choices, count_residuals, initial_tables, tables_from_counts
from stpcodec.model.picture_motion import anchor_motion, between_motion
from tests.tiny_model import moving_planes

INITIAL = initial_tables()
NO_BLEND = torch.zeros(BLEND_CONTEXTS, CHOICES + 1, dtype=torch.float64)


def different_kinds() -> TableSet:
    """The initial tables, but each kind of field has its own: coded as another it would be another."""
    counts = INITIAL.counts.clone()
    for kind in (PAST, FUTURE):
        counts[kind * KIND_CONTEXTS : (kind + 1) * KIND_CONTEXTS, LARGEST] *= 1 + 2 * kind
    return TableSet(counts.long().numpy())


TABLES, CHOICE_TABLES = different_kinds(), TableSet(INITIAL.blend.long().numpy())
sides = st.integers(1, 12).map(lambda cells: 16 * cells)
kinds = st.sampled_from([ANCHOR, PAST, FUTURE])


def random_levels(height: int, width: int, *, density: float, seed: int, largest: int = 3 * LARGEST) -> list[Tensor]:
    """Residuals at coded points only, some beyond the tables' largest."""
    random = torch.Generator().manual_seed(seed)
    hierarchy = Hierarchy.of(height, width)
    levels = zero_levels(hierarchy, 1)
    for number, level in enumerate(levels):
        value = torch.randint(-largest, largest + 1, level.shape, generator=random, dtype=torch.int32)
        keep = torch.rand(level.shape, generator=random) < density
        levels[number] = value * keep * hierarchy.coded(number, height, width)
    return levels


def encode(
    levels: list[Tensor], height: int, width: int, like: Tensor | None = None, kind: int = ANCHOR,
    tables: TableSet = TABLES,
) -> bytes:  # fmt: skip
    coder = SymbolEncoder()
    encode_field(coder, levels, tables, height, width, like=like, kind=kind)
    return coder.finish()


def decode(data: bytes, height: int, width: int, like: Tensor | None = None, kind: int = ANCHOR) -> Tensor:
    return decode_field(SymbolDecoder(data), TABLES, height, width, like=like, kind=kind)


def like_field(height: int, width: int, *, density: float, seed: int) -> Tensor:
    """What contexts look at, ``[2, rows, columns]``."""
    return reconstruct(random_levels(height, width, density=density, seed=seed))[0]


@given(
    height=sides, width=sides, kind=kinds, density=st.sampled_from([0.0, 0.1, 1.0]),
    follows=st.sampled_from([None, 0.0, 0.1, 1.0]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_random_residuals_round_trip(
    height: int, width: int, kind: int, density: float, follows: float | None, seed: int
) -> None:
    """follows: density of the like field, None where there is none, as behind an intra chunk."""
    levels = random_levels(height, width, density=density, seed=seed)
    like = None if follows is None else like_field(height, width, density=follows, seed=seed + 2)
    field = decode(encode(levels, height, width, like, kind), height, width, like, kind)
    hierarchy = Hierarchy.of(height, width)
    assert field.shape == (2, hierarchy.rows, hierarchy.columns)
    assert field.dtype == torch.int32
    assert torch.equal(field, reconstruct(levels)[0])


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_what_the_search_finds_round_trips(frames: int) -> None:
    """Three chunks, each with the anchor's field of the one before, and their pictures between two references."""
    planes = moving_planes(3 * frames + 1, 80, 112, dy=2, dx=-3)
    before, price = None, 30 / 255**2
    for start in range(0, 3 * frames, frames):
        fields: dict[int, Tensor] = {}
        for picture in coding_order(frames):
            at = [start + position for position in (picture.position, *picture.references)]
            frame, *references = (planes[p : p + 1] for p in at)
            if picture.future is None:
                motion = anchor_motion(frame, references[0], INITIAL, price, before=before, hint=before)
            else:
                predicted, across = predicted_past(picture, fields)
                motion = between_motion(
                    frame, references[0], references[1], picture, INITIAL, price, predicted=predicted, across=across
                )  # fmt: skip
            numbers = (ANCHOR,) if picture.future is None else (PAST, FUTURE)
            for levels, like, kind in zip(motion.residuals, motion.likes, numbers, strict=True):
                field = decode(encode(levels, 80, 112, like, kind), 80, 112, like, kind)
                assert torch.equal(field, reconstruct(levels)[0])
            fields[picture.position] = motion.fields
        assert fields[frames].any()
        before = fields[frames][0]


@pytest.mark.parametrize("kind", [ANCHOR, PAST, FUTURE])
def test_a_field_like_another_is_cheaper_knowing_it(kind: int) -> None:
    levels = random_levels(320, 320, density=0.05, seed=3, largest=3)
    like = reconstruct(levels)[0]
    other = reconstruct(random_levels(320, 320, density=0.05, seed=4, largest=3))[0]
    size = len(encode(levels, 320, 320, like, kind))
    assert size < 0.9 * len(encode(levels, 320, 320, None, kind))
    assert size < 0.9 * len(encode(levels, 320, 320, other, kind)), "which one it is does count"


def test_each_kind_has_tables_of_its_own() -> None:
    """Read as another kind the same bytes are another field, or none."""
    levels = random_levels(96, 96, density=0.1, seed=0)
    like = like_field(96, 96, density=0.1, seed=1)
    streams = {kind: encode(levels, 96, 96, like, kind) for kind in (ANCHOR, PAST, FUTURE)}
    assert len(set(streams.values())) == 3
    for written, data in streams.items():
        for read in streams:
            try:
                field = decode(data, 96, 96, like, read)
            except CorruptFile:
                continue
            assert torch.equal(field, reconstruct(levels)[0]) == (read == written)


def test_the_second_component_learns_from_the_first() -> None:
    """As many residuals of one size are cheaper together at one point than each at its own."""
    together, apart = (zero_levels(Hierarchy.of(320, 320), 1) for _ in range(2))
    together[0][0, :, 1:33:4, 1:33:4] = 2
    apart[0][0, 0, 1:33:4, 1:33:4] = 2
    apart[0][0, 1, 3:35:4, 3:35:4] = 2
    assert together[0].sum() == apart[0].sum() > 0
    assert len(encode(together, 320, 320)) < 0.85 * len(encode(apart, 320, 320))


def torn_levels(height: int, width: int, *, seed: int) -> list[Tensor]:
    """Far apart at the top, and below it half of the points on the other side of a tear."""
    random = torch.Generator().manual_seed(seed)
    levels = zero_levels(Hierarchy.of(height, width), 1)
    for level, _, coded, other, _ in walk(levels, None, height, width):
        far = torch.randint(-90, 91, other.shape, generator=random, dtype=torch.int32)
        follows = torch.rand(coded.shape, generator=random)[:, None] < 0.5
        levels[level][:] = (far if level == len(levels) - 1 else other * follows) * coded[:, None]
    return levels


@given(height=sides, width=sides, kind=kinds, seed=st.integers(0, 10**6))
def test_points_on_the_other_side_of_a_tear_round_trip(height: int, width: int, kind: int, seed: int) -> None:
    levels = torn_levels(height, width, seed=seed)
    data = encode(levels, height, width, kind=kind)
    assert torch.equal(decode(data, height, width, kind=kind), reconstruct(levels)[0])


def test_following_the_other_parent_takes_no_escape() -> None:
    """One symbol for dy, nothing for dx: with fitted tables far cheaper than a vector as long that leads elsewhere."""
    base = torn_levels(320, 320, seed=0)
    follows = [level.any(1, keepdim=True) for level in base[:-1]]
    elsewhere = [level + mask.int() for level, mask in zip(base, follows, strict=False)] + base[-1:]
    sizes = []
    for levels in (base, elsewhere):
        counts = torch.zeros(INITIAL.counts.shape, dtype=torch.float64)
        count_residuals(counts, levels, None, 320, 320, ANCHOR)
        fitted = TableSet(tables_from_counts(counts, NO_BLEND).counts.long().numpy())
        sizes.append(len(encode(levels, 320, 320, tables=fitted)))
        if levels is base:
            assert counts[:, LARGEST + OTHER].sum() == sum(int(mask.sum()) for mask in follows) > 50
            assert counts[:, -1].sum() <= base[-1].numel()
    assert sizes[0] < 0.6 * sizes[1]


def test_another_like_field_decodes_to_something_else() -> None:
    """It is part of the state a decoder must have: what follows a lost chunk cannot be read."""
    levels = random_levels(96, 96, density=0.3, seed=0)
    like = like_field(96, 96, density=0.3, seed=2)
    data = encode(levels, 96, 96, like)
    for other in (None, torch.zeros_like(like), like_field(96, 96, density=0.3, seed=3)):
        try:
            field = decode(data, 96, 96, other)
        except CorruptFile:
            continue
        assert not torch.equal(field, reconstruct(levels)[0])


def test_coding_does_not_change_what_it_codes() -> None:
    levels = random_levels(48, 80, density=1.0, seed=0)
    choice = random_choice(3, 5, 0)
    given_tensors = [*levels, like_field(48, 80, density=1.0, seed=2), choice]
    copies = [level.clone() for level in given_tensors]
    encode(levels, 48, 80, given_tensors[-2], PAST)
    encode_choice(SymbolEncoder(), choice, CHOICE_TABLES)
    assert all(torch.equal(was, now) for was, now in zip(copies, given_tensors, strict=True))


@pytest.mark.parametrize("kind", [ANCHOR, PAST, FUTURE])
@pytest.mark.parametrize("follows", [False, True])
def test_tables_count_the_symbols_that_are_coded(follows: bool, kind: int) -> None:
    """Training counts with the same walk: tables fitted to a field code it in fewer bytes, near their own entropy."""
    levels = random_levels(320, 320, density=0.05, seed=3)
    counts = torch.zeros(INITIAL.counts.shape, dtype=torch.float64)
    field = like_field(320, 320, density=0.05, seed=5) if follows else None
    like = None if field is None else decompose(field[None], Hierarchy.of(320, 320).top)
    count_residuals(counts, levels, like, 320, 320, kind)
    fitted = tables_from_counts(counts, NO_BLEND)
    data = encode(levels, 320, 320, field, kind, TableSet(fitted.counts.long().numpy()))
    assert len(data) < 0.8 * len(encode(levels, 320, 320, field, kind))
    own = counts[kind * KIND_CONTEXTS : (kind + 1) * KIND_CONTEXTS]
    assert own.sum() == counts.sum()
    ideal_bits = float((own * fitted.bits(kind).double()).sum())
    escapes = int(counts[:, -1].sum())
    assert abs(8 * (len(data) - escapes) - ideal_bits) < 0.02 * ideal_bits + 200


@pytest.mark.parametrize("kind", [ANCHOR, PAST, FUTURE])
def test_a_cut_stream_is_noticed(kind: int) -> None:
    levels = random_levels(48, 80, density=0.5, seed=0)
    like = like_field(48, 80, density=0.5, seed=2)
    data = encode(levels, 48, 80, like, kind)
    for end in range(len(data)):
        with pytest.raises(CorruptFile):
            decode(data[:end], 48, 80, like, kind)


@given(st.binary(min_size=1, max_size=120), kinds, st.booleans())
def test_noise_decodes_to_a_field_or_is_refused(noise: bytes, kind: int, follows: bool) -> None:
    like = like_field(48, 80, density=0.5, seed=2) if follows else None
    words = noise[: len(noise) // 4 * 4]
    stream = bytes([len(words) // 4]) + words + noise
    try:
        field = decode(stream, 48, 80, like, kind)
    except CorruptFile:
        return
    assert field.shape == like_field(48, 80, density=0, seed=0).shape
    assert field.abs().max() <= 16 * MAX_VECTOR


@pytest.mark.parametrize("kind", [ANCHOR, PAST, FUTURE])
def test_motion_out_of_range_is_refused(kind: int) -> None:
    levels = zero_levels(Hierarchy.of(48, 80), 1)
    levels[-1][:] = 40_000
    with pytest.raises(CorruptFile, match="motion of 40000 quarter samples"):
        decode(encode(levels, 48, 80, kind=kind), 48, 80, kind=kind)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_of_motion(sign: int) -> None:
    field = torch.zeros(2, 7, 11, dtype=torch.int32)
    field[1, 3, 4] = sign * 32752
    assert in_range(field) is field
    field[1, 3, 4] += sign
    with pytest.raises(CorruptFile, match="motion of 32753 quarter samples is out of range"):
        in_range(field)


def random_choice(height: int, width: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, CHOICES, (height, width), generator=random, dtype=torch.int32)


def encode_choices(choice: Tensor, tables: TableSet = CHOICE_TABLES) -> bytes:
    coder = SymbolEncoder()
    encode_choice(coder, choice, tables)
    return coder.finish()


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_random_choices_round_trip(height: int, width: int, seed: int) -> None:
    choice = random_choice(height, width, seed)
    found = decode_choice(SymbolDecoder(encode_choices(choice)), CHOICE_TABLES, height, width)
    assert torch.equal(found, choice)
    assert found.dtype == torch.int32


def test_choices_follow_the_motion_in_one_stream() -> None:
    """As pictures are coded: to the past, to the future, choices."""
    past, future = (random_levels(48, 80, density=0.2, seed=seed) for seed in (0, 1))
    choice, like = random_choice(3, 5, 2), reconstruct(past)[0]
    coder = SymbolEncoder()
    encode_field(coder, past, TABLES, 48, 80, like=None, kind=PAST)
    encode_field(coder, future, TABLES, 48, 80, like=like, kind=FUTURE)
    encode_choice(coder, choice, CHOICE_TABLES)
    decoder = SymbolDecoder(coder.finish())
    assert torch.equal(decode_field(decoder, TABLES, 48, 80, like=None, kind=PAST), like)
    found = decode_field(decoder, TABLES, 48, 80, like=like, kind=FUTURE)
    assert torch.equal(found, reconstruct(future)[0])
    assert torch.equal(decode_choice(decoder, CHOICE_TABLES, 3, 5), choice)


def test_what_neighbours_agree_about_is_nearly_free() -> None:
    """Fitted tables: a picture of few edges between choices takes a fraction of one without any order."""
    ordered = torch.full((40, 40), BOTH, dtype=torch.int32)
    ordered[8:20, 5:31], ordered[25:33, 12:40] = ONLY_PAST, ONLY_FUTURE
    shuffled = ordered.flatten()[torch.randperm(1600, generator=torch.Generator().manual_seed(0))].view(40, 40)
    sizes = []
    for choice in (ordered, shuffled):
        counts = NO_BLEND.clone()
        count_choices(counts, choice)
        fitted = tables_from_counts(torch.zeros(INITIAL.counts.shape, dtype=torch.float64), counts)
        sizes.append(len(encode_choices(choice, TableSet(fitted.blend.long().numpy()))))
    assert sizes[0] < 0.4 * sizes[1]


@pytest.mark.parametrize("value", [-1, 3, 4, 1000, -1000, 2**20])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (2, 4)])
def test_choices_that_do_not_exist_are_refused(value: int, place: tuple[int, int]) -> None:
    """Only an escape can carry them: a decoder must not take them for weights."""
    coder = SymbolEncoder()
    choice = torch.zeros(3, 5, dtype=torch.int32)
    for part, context in walk_blend(choice):
        symbols = choice[part].numpy() - 1
        columns = range(5)[part[1]]
        if part[0] == place[0] and place[1] in columns:
            symbols = symbols.copy()
            symbols[list(columns).index(place[1])] = value - 1
            coder.encode(symbols, CHOICE_TABLES, context.numpy())
            break
        coder.encode(symbols, CHOICE_TABLES, context.numpy())
    with pytest.raises(CorruptFile, match="a reference that does not exist"):
        decode_choice(SymbolDecoder(coder.finish()), CHOICE_TABLES, 3, 5)


@given(st.binary(max_size=80))
def test_noise_is_choices_or_refused(noise: bytes) -> None:
    words = noise[: len(noise) // 4 * 4]
    try:
        choice = decode_choice(SymbolDecoder(bytes([len(words) // 4]) + words + noise), CHOICE_TABLES, 3, 5)
    except CorruptFile:
        return
    assert set(np.unique(choice.numpy())) <= {BOTH, ONLY_PAST, ONLY_FUTURE}
