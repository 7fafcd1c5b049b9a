"""The finest points of a field, chosen by the true error: never dearer, nearer where things move apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpcodec.latents.motion_field import (
    ANCHOR,
    UNITS_PER_SAMPLE,
    Hierarchy,
    like_levels,
    reconstruct,
    second_context,
    to_symbols,
    walk,
    zero_levels,
)
from stpcodec.model import motion_search
from stpcodec.model.motion_polish import polish
from stpcodec.model.motion_search import search
from stpcodec.model.motion_steps import squared_error
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.side_by_side import helped_by
from tests.tiny_model import moving_planes

BITS = initial_tables().bits(ANCHOR)
LAGRANGIAN = 12 / 255**2
HEIGHT, WIDTH = 96, 128


def apart(seed: int) -> tuple[Tensor, Tensor]:
    """(frame, reference): three things in front of a still ground, each with a motion of its own."""
    ground = moving_planes(1, HEIGHT, WIDTH, seed=seed).y[0]
    frame, reference = ground.clone(), ground.clone()
    for number, (top, left, dy, dx) in enumerate(((20, 20, 3, 4), (30, 70, -4, 2), (60, 40, 2, -5))):
        thing = moving_planes(1, 26, 26, seed=seed + number + 1).y[0]
        reference[top : top + 26, left : left + 26] = thing
        frame[top + dy : top + dy + 26, left + dx : left + dx + 26] = thing
    return frame, reference


def unpolished(frame: Tensor, reference: Tensor, monkeypatch: pytest.MonkeyPatch, like: Tensor | None) -> list[Tensor]:
    with monkeypatch.context() as patch:
        patch.setattr(motion_search, "polish", lambda frame, reference, levels, *rest: levels)
        return search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, like=like)


def cost(frame: Tensor, reference: Tensor, levels: list[Tensor], predicted: Tensor, like: Tensor | None) -> float:
    """Squared error of the bilinear warp, and true bits."""
    field = (predicted + reconstruct(levels)[0]).float() / UNITS_PER_SAMPLE
    total = squared_error(frame.numpy(), reference.numpy(), field.contiguous().numpy())
    bits = BITS.double()
    for level, context, coded, other, _ in walk(levels, like_levels(like, HEIGHT, WIDTH), HEIGHT, WIDTH):
        first, second = to_symbols(*(part.permute(1, 0, 2, 3)[:, coded] for part in (levels[level], other)))
        at, largest = context[coded].long(), bits.shape[1] // 2 - 1
        for symbols, rows in ((first, at), (second, second_context(at, first).long())):
            size = symbols.abs().long()
            escaped = bits[rows, -1] + 2 * torch.log2(size.clamp(min=1).double()) + 1
            known = bits[rows, symbols.long().clamp(-largest, largest) + largest]
            total += LAGRANGIAN * float(torch.where(size > largest, escaped, known).sum())
    return total


@pytest.mark.parametrize("seed", [0, 20, 40])
@pytest.mark.parametrize("kind", ["alone", "predicted"])
def test_it_is_cheaper_and_moves_the_finest_points_alone(seed: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(seed)
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    shape = (2, hierarchy.rows, hierarchy.columns)
    predicted, like = torch.zeros(shape, dtype=torch.int32), None
    if kind == "predicted":
        random = torch.Generator().manual_seed(seed)
        predicted = torch.randint(-2, 3, shape, generator=random, dtype=torch.int32)
        like = torch.randint(-6, 7, shape, generator=random, dtype=torch.int32)
    before, looks_at = unpolished(frame, reference, monkeypatch, like), like_levels(like, HEIGHT, WIDTH)
    after = polish(frame, reference, before, predicted, looks_at, BITS.numpy(), LAGRANGIAN)
    assert all(torch.equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))
    assert not torch.equal(before[0], after[0])
    coded = hierarchy.coded(0, HEIGHT, WIDTH)
    assert torch.equal(before[0][..., ~coded], after[0][..., ~coded])
    costs = [cost(frame, reference, levels, predicted, like) for levels in (before, after)]
    assert costs[1] < 0.9 * costs[0]
    again = polish(frame, reference, after, predicted, looks_at, BITS.numpy(), LAGRANGIAN)
    assert cost(frame, reference, again, predicted, like) <= costs[1] * 1.0001


def test_the_search_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(3)
    still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
    before = unpolished(frame, reference, monkeypatch, None)
    wanted = polish(frame, reference, before, still, None, BITS.numpy(), LAGRANGIAN)
    found = search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(7)
    still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
    before = unpolished(frame, reference, monkeypatch, None)
    alone = polish(frame, reference, before, still, None, BITS.numpy(), LAGRANGIAN)
    with helped_by(2):
        for _ in range(3):
            helped = polish(frame, reference, before, still, None, BITS.numpy(), LAGRANGIAN)
            assert torch.equal(alone[0], helped[0])


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (48, 16)])
def test_where_nothing_moves_nothing_is_said(size: tuple[int, int]) -> None:
    still = moving_planes(1, *size, seed=1).y[0]
    levels = zero_levels(Hierarchy.of(*size), 1)
    field = torch.zeros_like(levels[0][0])
    for reference in (still, torch.full(size, 0.3), still + 0.001):
        found = polish(still, reference, levels, field, None, BITS.numpy(), LAGRANGIAN)
        assert not any(level.any() for level in found)


def test_vectors_stay_within_what_a_file_can_say() -> None:
    """A point at the end of the range is not moved beyond it."""
    frame, reference = apart(11)
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    predicted = torch.full((2, hierarchy.rows, hierarchy.columns), 2047, dtype=torch.int32)
    found = polish(frame, reference, zero_levels(hierarchy, 1), predicted, None, BITS.numpy(), 1e-9)
    assert int((predicted + reconstruct(found)[0]).abs().max()) <= 2047
