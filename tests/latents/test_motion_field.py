"""The motion hierarchy: grids of odd sizes, integer interpolation and its tears, contexts."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import (
    ANCHOR,
    CONTEXTS,
    FUTURE,
    KIND_CONTEXTS,
    LARGEST,
    MAX_LEVELS,
    OTHER,
    PAST,
    POINT_CONTEXTS,
    SPACING,
    Hierarchy,
    activity_after,
    context_of,
    decompose,
    magnitude,
    reconstruct,
    scaled,
    second_context,
    spread,
    to_residuals,
    to_symbols,
    upsample,
    upsample_both,
    walk,
    zero_levels,
)
from stpcodec.latents.motion_kernels import TEAR

sides = st.integers(1, 70).map(lambda cells: cells * SPACING)


@given(sides, sides)
def test_every_level_fits_the_one_above(height: int, width: int) -> None:
    hierarchy = Hierarchy.of(height, width)
    assert hierarchy.top < MAX_LEVELS
    assert hierarchy.shape(0) == (hierarchy.rows, hierarchy.columns)
    assert hierarchy.rows > height // SPACING, "control points up to the far edge"
    assert hierarchy.columns > width // SPACING
    for level in range(hierarchy.top):
        rows, columns = hierarchy.shape(level + 1)
        assert hierarchy.shape(level) == (2 * rows - 1, 2 * columns - 1)


@given(sides, sides)
def test_coded_points_partition_the_grid(height: int, width: int) -> None:
    """Each control point of the frame is coded on exactly one level; nothing without influence is coded."""
    hierarchy = Hierarchy.of(height, width)
    times = torch.zeros(hierarchy.rows, hierarchy.columns, dtype=torch.int32)
    for level in range(hierarchy.top + 1):
        coded = hierarchy.coded(level, height, width)
        assert coded.shape == hierarchy.shape(level)
        times[:: 1 << level, :: 1 << level] += coded.int()
    inside = times[: height // SPACING + 1, : width // SPACING + 1]
    assert (inside == 1).all()
    assert times.max() == 1, "and never twice outside either"


@pytest.mark.parametrize("vector", [TEAR, 64, -64], ids=["smooth", "torn", "torn the other way"])
def test_a_point_that_is_not_coded_moves_nothing_inside(vector: int) -> None:
    """Its whole influence lies beyond the frame, checked by moving each such point in turn."""
    height, width = 48, 80
    hierarchy = Hierarchy.of(height, width)
    for level in range(hierarchy.top + 1):
        outside = ~hierarchy.coded(level, height, width)
        if level < hierarchy.top:  # points that exist already on the coarser level are not new here
            outside[::2, ::2] = False
        for row, column in outside.nonzero().tolist():
            levels = zero_levels(hierarchy, 1)
            levels[level][0, :, row, column] = vector
            field = reconstruct(levels)[..., : height // SPACING + 1, : width // SPACING + 1]
            assert not field.any(), (level, row, column)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_upsample_is_rounded_bilinear_interpolation(rows: int, columns: int, seed: int) -> None:
    """Where no two parents differ by more than TEAR."""
    random = torch.Generator().manual_seed(seed)
    smooth = torch.randint(0, TEAR + 1, (2, 2, rows, columns), generator=random, dtype=torch.int32)
    parents = smooth + torch.randint(-500, 500, (2, 2, 1, 1), generator=random, dtype=torch.int32)
    children = upsample(parents)
    assert children.shape == (2, 2, 2 * rows - 1, 2 * columns - 1)
    assert children.dtype == torch.int32
    assert torch.equal(children[..., ::2, ::2], parents), "parents stay"
    for row in range(2 * rows - 1):
        for column in range(2 * columns - 1):
            around = parents[..., row // 2 : row // 2 + 1 + row % 2, column // 2 : column // 2 + 1 + column % 2]
            exact = around.double().mean((-2, -1))
            # One rounding an axis, each by at most a half upwards.
            assert ((children[..., row, column] - exact) >= 0).all()
            assert ((children[..., row, column] - exact) <= 1).all()


Vector = tuple[int, ...]


def between(first: Vector, second: Vector, *, other: bool) -> Vector:
    """A point's vector from its upper or left parent and its lower or right one, in Python's integers."""
    if any(abs(a - b) > TEAR for a, b in zip(first, second, strict=True)):
        return second if other else first
    return tuple((a + b + 1) // 2 for a, b in zip(first, second, strict=True))


def upsampled(vectors: list[list[Vector]], *, other: bool) -> list[list[Vector]]:
    """First down every column, then along every row: the order is part of the format."""
    taller = [vectors[0]]
    for upper, lower in itertools.pairwise(vectors):
        taller += [[between(a, b, other=other) for a, b in zip(upper, lower, strict=True)], lower]
    wider = []
    for row in taller:
        wider.append([row[0]])
        for left, right in itertools.pairwise(row):
            wider[-1] += [between(left, right, other=other), right]
    return wider


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([4, 12, 500]), st.integers(0, 10_000))
def test_upsample_follows_the_upper_or_left_parent_across_a_tear(
    rows: int, columns: int, largest: int, seed: int
) -> None:
    """And its second result the lower or right one."""
    random = torch.Generator().manual_seed(seed)
    parents = torch.randint(-largest, largest + 1, (2, 2, rows, columns), generator=random, dtype=torch.int32)
    first, second = upsample_both(parents)
    assert torch.equal(upsample(parents), first)
    for number in range(2):
        vectors = [[tuple(v) for v in row] for row in parents[number].permute(1, 2, 0).tolist()]
        for found, other in ((first, False), (second, True)):
            rows_found = [[tuple(v) for v in row] for row in found[number].permute(1, 2, 0).tolist()]
            assert rows_found == upsampled(vectors, other=other)


def test_tears_of_known_vectors() -> None:
    def torn(parents: list[list[int]], which: int = 0) -> list[list[int]]:
        field = torch.tensor(parents, dtype=torch.int32)
        return upsample_both(torch.stack((field, torch.zeros_like(field)))[None])[which][0, 0].tolist()

    assert TEAR == 8
    assert torn([[0, 8, 17]]) == [[0, 4, 8, 8, 17]], "a difference of TEAR is still smooth"
    assert torn([[0, -8, -17]]) == [[0, -4, -8, -8, -17]]
    assert torn([[30], [0]]) == [[30], [30], [0]]
    assert torn([[30], [0]], 1) == [[30], [0], [0]]
    assert torn([[0, 8, 17]], 1) == [[0, 4, 8, 17, 17]]
    assert torn([[0, 20], [6, 0]]) == [[0, 0, 20], [3, 3, 20], [6, 3, 0]], "columns first would put 2 in the middle"
    both = upsample(torch.tensor([[[[0, 4]], [[0, 400]]]]))
    assert both.tolist() == [[[[0, 0, 4]], [[0, 0, 400]]]], "a vector is followed whole"


@given(st.integers(-3, 3), st.integers(0, 10_000))
def test_symbols_and_residuals_are_each_others_inverse(shift: int, seed: int) -> None:
    """Around OTHER's own value, for points with another parent and without, that follow it and do not."""
    random = torch.Generator().manual_seed(seed)
    residual = torch.randint(-3 * LARGEST, 3 * LARGEST, (2, 60), generator=random, dtype=torch.int32)
    residual[0, :20] = OTHER + shift
    other = torch.randint(-60, 60, (2, 60), generator=random, dtype=torch.int32)
    other[:, 10:30] = 0
    residual[:, 40:] = other[:, 40:]
    symbols = to_symbols(residual, other)
    assert symbols.dtype == residual.dtype
    assert torch.equal(to_residuals(symbols, other), residual)
    follows = (residual == other).all(0) & other.any(0)
    assert torch.equal(symbols[0] == OTHER, follows), "no residual has OTHER's symbol"
    assert not symbols[1, follows].any()
    small = ~follows & (residual < OTHER).all(0)
    assert torch.equal(symbols[:, small], residual[:, small])


@given(sides, sides, st.sampled_from([3, 40]), st.integers(0, 10_000))
def test_the_walk_knows_what_would_follow_the_other_parent(height: int, width: int, largest: int, seed: int) -> None:
    """Also while a decoder fills the levels in, one after the other."""
    hierarchy, random = Hierarchy.of(height, width), torch.Generator().manual_seed(seed)
    levels = zero_levels(hierarchy, 2)
    field = None
    for level, context, coded, other, predicted in walk(levels, None, height, width):
        shape = (2, 2, *hierarchy.shape(level))
        assert other.shape == shape
        assert context.shape == coded.shape == (2, *shape[2:])
        if field is None:
            assert not other.any()
            assert not predicted.any()
        else:
            first, second = upsample_both(field)
            assert torch.equal(other, second - first)
            assert torch.equal(predicted, first)
        residual = torch.randint(-largest, largest + 1, shape, generator=random, dtype=torch.int32)
        levels[level][:] = residual * coded[:, None]
        field = levels[level] if field is None else upsample(field) + levels[level]
    assert field is not None
    assert torch.equal(field, reconstruct(levels))


tops = st.integers(0, 4)
cells = st.integers(1, 4)


def odd_shape(top: int, rows: int, columns: int) -> tuple[int, int]:
    """A grid whose coarsest level has rows × columns cells."""
    return (rows << top) + 1, (columns << top) + 1


@given(tops, cells, cells, st.sampled_from([3, 40, 2047]), st.integers(0, 10_000))
def test_every_field_is_the_sum_of_its_residuals(top: int, rows: int, columns: int, largest: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    shape = (2, 2, *odd_shape(top, rows, columns))
    field = torch.randint(-largest, largest + 1, shape, generator=random, dtype=torch.int32)
    levels = decompose(field, top)
    assert len(levels) == top + 1
    assert all(level.dtype == torch.int32 for level in levels)
    assert torch.equal(reconstruct(levels), field)
    for level in levels[:-1]:
        assert not level[..., ::2, ::2].any(), "a coarser level's points have no residual of their own"


@given(tops, cells, cells, st.sampled_from([3, 40, 2047]), st.integers(0, 10_000))
def test_decompose_finds_the_residuals_that_were_coded(
    top: int, rows: int, columns: int, largest: int, seed: int
) -> None:
    """Encoder and decoder look at the field before through its residuals: they must be those of its own bytes."""
    random = torch.Generator().manual_seed(seed)
    levels = []
    for level in range(top + 1):
        shape = (1, 2, *odd_shape(top - level, rows, columns))
        residual = torch.randint(-largest, largest + 1, shape, generator=random, dtype=torch.int32)
        if level < top:
            residual[..., ::2, ::2] = 0
        levels.append(residual * (torch.rand(shape, generator=random) < 0.5))
    found = decompose(reconstruct(levels), top)
    assert len(found) == top + 1
    for mine, theirs in zip(levels, found, strict=True):
        assert torch.equal(mine, theirs)


def test_halves_round_up_on_both_sides_of_zero() -> None:
    line = [[1, 2, -1, -2]]
    assert upsample(torch.tensor([[line, line]])).tolist() == [2 * [[[1, 2, 2, 1, -1, -1, -2]]]]


def test_a_constant_field_costs_one_level() -> None:
    hierarchy = Hierarchy.of(160, 96)
    levels = zero_levels(hierarchy, 1)
    levels[-1][:] = torch.tensor([5, -3]).view(1, 2, 1, 1)
    field = reconstruct(levels)
    assert field.shape == (1, 2, hierarchy.rows, hierarchy.columns)
    assert (field[:, 0] == 5).all()
    assert (field[:, 1] == -3).all()


@given(st.integers(1, 8), st.integers(-8, 8), st.integers(-2000, 2000), st.integers(-2000, 2000))
def test_scaling_is_uniform_motion_rounded_half_up(denominator: int, numerator: int, dy: int, dx: int) -> None:
    """Also backwards: a half goes up whatever the signs."""
    field = torch.tensor([dy, dx], dtype=torch.int32).view(2, 1, 1)
    found = scaled(field, numerator, denominator)
    assert found.shape == field.shape
    assert found.dtype == torch.int32
    for component, vector in enumerate((dy, dx)):
        rounded = (2 * vector * numerator + denominator) // (2 * denominator)  # Python's integers
        assert found[component].item() == rounded
        assert -0.5 < rounded - vector * numerator / denominator <= 0.5


def test_halves_of_known_vectors() -> None:
    def half(*vectors: int, numerator: int = 1) -> list[int]:
        return scaled(torch.tensor(vectors, dtype=torch.int32), numerator, 2).tolist()

    assert half(1, 3, -1, -3, 4) == [1, 2, 0, -1, 2]
    assert half(1, 3, -1, -3, 4, numerator=-1) == [0, -1, 1, 2, -2], "not the negative of the line above"


def test_scaling_the_longest_vectors_does_not_overflow() -> None:
    """The furthest a field may point, over the longest chunk."""
    far = torch.tensor([16 * 2047, -16 * 2047], dtype=torch.int32)
    assert scaled(far, 7, 8).tolist() == [28658, -28658]
    assert scaled(far, -7, 1).tolist() == [-229264, 229264]


def test_activity_spreads_to_the_nearest_children() -> None:
    activity = torch.tensor([[[0, 8], [0, 0]]])
    assert spread(activity).tolist() == [[[0, 8, 8], [0, 8, 8], [0, 0, 0]]]
    residual = torch.tensor([[[[3, 0]], [[-1, 0]]]])
    assert magnitude(residual).tolist() == [[[4, 0]]]
    assert activity_after(residual, torch.tensor([[[2, 9]]])).tolist() == [[[4, 4]]]


@pytest.mark.parametrize("like", [None, 0, 1, 5, 4000])
def test_contexts_stay_in_their_table(like: int | None) -> None:
    inherited = torch.tensor([[[0, 1, 2, 3, 8, 9, 1 << 21]]])
    like_magnitude = None if like is None else torch.full_like(inherited, like)
    seen = set()
    for level in range(MAX_LEVELS):
        context = context_of(level, inherited, like_magnitude)
        assert context.min() >= 0
        assert context.max() < POINT_CONTEXTS
        seen |= set(context.flatten().tolist())
    assert len(seen) == MAX_LEVELS * 4, "every level and activity class has a context of its own"


def test_the_second_component_has_contexts_of_its_own() -> None:
    """By the first's symbol: none, small, large, or the other parent; each point's context in a range apart."""
    points = torch.arange(POINT_CONTEXTS, dtype=torch.int32)
    by_class = []
    for values in ((0,), (1, -1, 2, -2), (3, -3, 4000, -4000, OTHER - 1, OTHER + 1, -OTHER), (OTHER,)):
        found = [second_context(points, torch.full_like(points, value)) for value in values]
        assert all(torch.equal(found[0], other) for other in found)
        by_class.append(found[0])
    together = torch.cat((points, *by_class))
    assert together.unique().numel() == len(together) == KIND_CONTEXTS
    assert (together.min(), together.max()) == (0, KIND_CONTEXTS - 1)


@given(sides, sides, st.booleans(), st.integers(0, 10_000))
def test_every_kind_of_field_has_contexts_of_its_own(height: int, width: int, liked: bool, seed: int) -> None:
    """Those of an anchor, of a field to the past and of one to the future differ by their range and nothing else."""
    hierarchy, random = Hierarchy.of(height, width), torch.Generator().manual_seed(seed)
    levels, like = (
        [torch.randint(-9, 10, level.shape, generator=random, dtype=torch.int32) for level in zero_levels(hierarchy, 1)]
        for _ in range(2)
    )
    found = [
        [context for _, context, *_ in walk(levels, like if liked else None, height, width, kind)]
        for kind in (ANCHOR, PAST, FUTURE)
    ]
    assert CONTEXTS == 3 * KIND_CONTEXTS
    for anchor, past, future in zip(*found, strict=True):
        assert anchor.min() >= 0
        assert anchor.max() < POINT_CONTEXTS
        assert torch.equal(past, anchor + KIND_CONTEXTS)
        assert torch.equal(future, anchor + 2 * KIND_CONTEXTS)
