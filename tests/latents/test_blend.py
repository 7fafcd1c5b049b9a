"""Choices between two references: an order of coding that a decoder can follow, and weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.latents.blend import (
    BLEND_CONTEXTS,
    BLOCK,
    BOTH,
    CHOICES,
    ONLY_FUTURE,
    ONLY_PAST,
    blend_weights,
    walk_blend,
)

sides = st.integers(1, 9)
UNKNOWN = 10**6


def random_choice(height: int, width: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, CHOICES, (height, width), generator=random, dtype=torch.int32)


def expected_order(height: int, width: int) -> list[tuple[int, int]]:
    """Row by row, in a row the even columns first."""
    return [(row, column) for row in range(height) for start in (0, 1) for column in range(start, width, 2)]


def expected_context(choice: list[list[int]], row: int, column: int) -> int:
    """FORMAT.md, by hand."""

    def at(y: int, x: int) -> int:
        return choice[y][x] if 0 <= y < len(choice) and 0 <= x < len(choice[0]) else BOTH

    above = at(row - 1, column)
    if column % 2:
        return 27 + 9 * above + 3 * at(row, column - 1) + at(row, column + 1)
    return 9 * above + 3 * at(row - 1, column - 1) + at(row - 1, column + 1)


@given(sides, sides)
def test_the_order_is_a_partition(height: int, width: int) -> None:
    places = torch.arange(height * width).view(height, width)
    order = torch.cat([places[part] for part, _ in walk_blend(torch.zeros(height, width, dtype=torch.int32))])
    assert order.tolist() == [row * width + column for row, column in expected_order(height, width)]
    assert order.unique().numel() == len(order) == height * width


@given(sides, sides, st.integers(0, 10_000))
def test_contexts_are_the_formats(height: int, width: int, seed: int) -> None:
    choice = random_choice(height, width, seed)
    contexts = torch.cat([context for _, context in walk_blend(choice)])
    rows = choice.tolist()
    assert contexts.tolist() == [expected_context(rows, row, column) for row, column in expected_order(height, width)]
    assert contexts.min() >= 0
    assert contexts.max() < BLEND_CONTEXTS


@given(sides, sides, st.integers(0, 10_000))
def test_a_decoder_that_fills_in_sees_the_same_contexts(height: int, width: int, seed: int) -> None:
    """What is not known yet has an impossible value: looking at it would lead out of the table."""
    choice = random_choice(height, width, seed)
    decoded = torch.full_like(choice, UNKNOWN)
    wanted = [context.clone() for _, context in walk_blend(choice)]
    for (part, context), expected in zip(walk_blend(decoded), wanted, strict=True):
        assert torch.equal(context, expected)
        assert (decoded[part] == UNKNOWN).all()
        decoded[part] = choice[part]
    assert torch.equal(decoded, choice)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (1, 3), (1, 8), (2, 1), (5, 1), (3, 7)])
def test_grids_of_one_row_or_column_or_odd_width(height: int, width: int) -> None:
    choice = random_choice(height, width, 1)
    parts = list(walk_blend(choice))
    assert len(parts) == height * (1 if width == 1 else 2)
    for part, context in parts:
        assert context.shape == choice[part].shape
        assert context.numel()


def test_all_contexts_come_up() -> None:
    """Of 27 surroundings for each half of the columns, none shares a table with another."""
    contexts = torch.cat([context for _, context in walk_blend(random_choice(60, 61, 0))])
    assert contexts.unique().tolist() == list(range(BLEND_CONTEXTS)) == list(range(54))


def test_the_walk_leaves_the_choices_alone() -> None:
    choice = random_choice(5, 7, 0)
    before = choice.clone()
    list(walk_blend(choice))
    assert torch.equal(choice, before)


def test_weights_are_of_the_past_reference() -> None:
    choice = torch.tensor([[BOTH, ONLY_PAST, ONLY_FUTURE]])
    weights = blend_weights(choice)
    assert weights.tolist() == [[0.5, 0.5, 1.0, 1.0, 0.0, 0.0]] * 2
    assert weights.dtype == torch.float32
    assert blend_weights(choice.expand(4, 2, 3)).shape == (4, 2 * BLOCK // 8, 3 * BLOCK // 8)
