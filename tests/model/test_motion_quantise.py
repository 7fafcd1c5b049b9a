"""Residuals of a field by rate and distortion: all of it when bits cost nothing, less and less as they get dearer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.latents.motion_field import (
    ANCHOR,
    CONTEXTS,
    KIND_CONTEXTS,
    LARGEST,
    SPACING,
    Hierarchy,
    decompose,
    reconstruct,
)
from stpcodec.model.motion_quantise import FieldQuantiser
from stpcodec.model.motion_tables import SYMBOLS, count_residuals, initial_tables

BITS = initial_tables().bits(ANCHOR)
HEIGHT, WIDTH = 96, 128
ROWS, COLUMNS = HEIGHT // SPACING + 1, WIDTH // SPACING + 1
INSIDE = (..., slice(0, ROWS), slice(0, COLUMNS))
CHEAP = 1e-12
DEAR = 1e3
LAGRANGIANS = (CHEAP, 1e-3, 3e-3, 1e-2, 1.0, DEAR)


def quantise(target: Tensor, tensor: Tensor, lagrangian: float, like: list[Tensor] | None = None) -> list[Tensor]:
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    coder = FieldQuantiser(hierarchy, HEIGHT, WIDTH, BITS, lagrangian)
    parts = [coder.quantise(*pair, like) for pair in zip(target, tensor, strict=True)]
    return [torch.cat(levels) for levels in zip(*parts, strict=True)]


def field(count: int, *, largest: int, seed: int) -> Tensor:
    """Random whole quarter samples on the extended grid, ``[count, 2, rows, columns]``."""
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    random = torch.Generator().manual_seed(seed)
    shape = (count, 2, hierarchy.rows, hierarchy.columns)
    return torch.randint(-largest, largest + 1, shape, generator=random).float()


def structure(like: Tensor, *, seed: int) -> Tensor:
    """Structure tensors (yy, xx, yx) of textured windows: positive definite everywhere."""
    random = torch.Generator().manual_seed(seed)
    gradients = torch.rand(like.shape[0], 2, 8, *like.shape[2:], generator=random) - 0.5
    gy, gx = gradients.unbind(1)
    return torch.stack((gy.square().mean(1), gx.square().mean(1), (gy * gx).mean(1)), 1) + torch.tensor(
        [0.01, 0.01, 0.0]
    ).view(1, 3, 1, 1)


def cost(levels: list[Tensor], like: list[Tensor] | None = None) -> float:
    """Bits of the residuals by the coder's own walk, escapes with about what follows them."""
    counts = torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64)
    count_residuals(counts, levels, like, HEIGHT, WIDTH, ANCHOR)
    assert not counts[KIND_CONTEXTS:].any()
    escaped = torch.cat([level[level.abs() > LARGEST].abs().double() for level in levels])
    return float((counts[:KIND_CONTEXTS] * BITS.double()).sum() + (2 * torch.log2(escaped) + 1).sum())


def error(levels: list[Tensor], target: Tensor, tensor: Tensor) -> float:
    dy, dx = (reconstruct(levels) - target)[INSIDE].unbind(1)
    yy, xx, yx = tensor[INSIDE].unbind(1)
    return float((yy * dy * dy + xx * dx * dx + 2 * yx * dy * dx).sum())


@given(st.integers(1, 3), st.sampled_from([2, 40, 1000]), st.booleans(), st.integers(0, 10_000))
def test_when_bits_cost_nothing_the_field_is_the_one_wanted(count: int, largest: int, liked: bool, seed: int) -> None:
    target = field(count, largest=largest, seed=seed)
    like = decompose(field(1, largest=20, seed=seed + 1).int(), Hierarchy.of(HEIGHT, WIDTH).top) if liked else None
    levels = quantise(target, structure(target, seed=seed), CHEAP, like)
    assert torch.equal(reconstruct(levels)[INSIDE], target[INSIDE].int())


def test_the_dearer_a_bit_the_fewer_are_sent() -> None:
    """Smooth motion with a faster thing in it, and noise: something to drop at every price."""
    target = field(1, largest=1, seed=0)
    target += torch.linspace(0, 12, target.shape[-1]).round()
    target[:, :, 4:8, 5:9] += 30
    tensor = structure(target, seed=1)
    found = [quantise(target, tensor, lagrangian) for lagrangian in LAGRANGIANS]
    bits, errors = [cost(levels) for levels in found], [error(levels, target, tensor) for levels in found]
    assert bits == sorted(bits, reverse=True)
    assert errors == sorted(errors)
    assert len(set(bits)) == len(bits), "every price buys something else"
    assert errors[0] == 0
    assert not any(level.any() for level in found[-1])


def test_what_is_chosen_pays_at_its_own_price() -> None:
    """Less of bits and error together than sending nothing, or everything, or what another price would buy."""
    target = field(2, largest=2, seed=0)
    target[:, :, 4:8, 5:9] += 30
    tensor = structure(target, seed=1)
    found = {lagrangian: quantise(target, tensor, lagrangian) for lagrangian in (CHEAP, 1e-3, 1e-2, DEAR)}
    for lagrangian in (1e-3, 1e-2):
        # Vectors count quarter samples, the price is per whole sample squared.
        total = {
            other: error(levels, target, tensor) + 16 * lagrangian * cost(levels) for other, levels in found.items()
        }
        assert total[lagrangian] == min(total.values()), lagrangian


def test_one_motion_is_sent_once() -> None:
    target = torch.tensor([9.0, -14.0]).view(1, 2, 1, 1).expand(1, 2, *field(1, largest=1, seed=0).shape[2:])
    levels = quantise(target, structure(target, seed=0), 1e-3)
    assert levels[-1].any()
    assert not any(level.any() for level in levels[:-1])
    assert (reconstruct(levels)[INSIDE] == target[INSIDE].int()).all()


def test_where_the_picture_says_nothing_the_field_follows_for_nothing() -> None:
    """Random wishes without texture behind them: only the point of it that has some is sent."""
    target = field(1, largest=40, seed=0)
    tensor = torch.zeros(1, 3, *target.shape[2:])
    assert not any(level.any() for level in quantise(target, tensor, CHEAP))
    tensor[0, :2, 3, 5] = 1.0
    levels = quantise(target, tensor, 1e-3)
    assert torch.equal(reconstruct(levels)[0, :, 3, 5], target[0, :, 3, 5].int())
    assert sum(int(level.any(1).sum()) for level in levels) == 1


def test_a_moving_thing_does_not_drag_its_surroundings_along() -> None:
    target = torch.zeros_like(field(1, largest=1, seed=0))
    target[:, :, 5:8, 6:9] = 44
    levels = quantise(target, structure(target, seed=0), 1e-4)
    found = reconstruct(levels)
    assert torch.equal(found[INSIDE], target[INSIDE].int())


def test_points_outside_are_not_sent() -> None:
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    assert (hierarchy.rows, hierarchy.columns) != (ROWS, COLUMNS)
    target = field(2, largest=40, seed=0)
    for number, level in enumerate(quantise(target, structure(target, seed=0), CHEAP)):
        assert level.shape == (2, 2, *hierarchy.shape(number))
        assert level.dtype == torch.int32
        assert not level[..., ~hierarchy.coded(number, HEIGHT, WIDTH)].any()


@pytest.mark.parametrize("lagrangian", [1e-3, 3e-3])
def test_a_like_field_changes_what_is_worth_its_bits(lagrangian: float) -> None:
    """Where the field before had residuals they are likelier here too: more of them are bought."""
    target = field(1, largest=3, seed=0)
    tensor = structure(target, seed=1)
    like = decompose(target.int(), Hierarchy.of(HEIGHT, WIDTH).top)
    alone, together = quantise(target, tensor, lagrangian), quantise(target, tensor, lagrangian, like)
    assert error(together, target, tensor) < error(alone, target, tensor)
