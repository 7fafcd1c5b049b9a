"""A field's points, chosen by what is left to code: never dearer, cheaper where things move apart."""

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
from stpcodec.model.motion_polish import LUMA_SHARE, MOST_PATIENCE, SHARE, polish
from stpcodec.model.motion_search import search
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.side_by_side import helped_by
from stpcodec.model.warp import dense_flow, warp
from tests.model.test_motion_cells import left_to_code
from tests.tiny_model import moving_planes

BITS = initial_tables().bits(ANCHOR)
LAGRANGIAN = 6 / 255**2
CAUTION = 2.0
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


def unpolished(
    frame: Tensor, reference: Tensor, monkeypatch: pytest.MonkeyPatch, like: Tensor | None
) -> tuple[list[Tensor], Tensor]:
    """What the search has before: levels, and the vectors that it would like."""
    wanted: list[Tensor] = []

    def instead(
        frame: Tensor, reference: Tensor, levels: list[Tensor], base: Tensor, aims: Tensor, *rest: object
    ) -> list[Tensor]:
        wanted.append(aims)
        return levels

    with monkeypatch.context() as patch:
        patch.setattr(motion_search, "polish", instead)
        levels = search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, caution=CAUTION, like=like)
    return levels, wanted[0]


def cost(
    frame: Tensor, reference: Tensor, levels: list[Tensor], predicted: Tensor, like: Tensor | None,
    lagrangian: float = LAGRANGIAN,
) -> float:  # fmt: skip
    """Bits that the difference from the decoder's warp would take, and those of the field, weighed."""
    field = (predicted + reconstruct(levels)[0]).float() / UNITS_PER_SAMPLE
    difference = warp(reference[None, None], dense_flow(field[None], HEIGHT, WIDTH))[0, 0] - frame
    total = float(left_to_code(difference, LUMA_SHARE / lagrangian).sum())
    bits = BITS.double()
    for level, context, coded, other, _ in walk(levels, like_levels(like, HEIGHT, WIDTH), HEIGHT, WIDTH):
        first, second = to_symbols(*(part.permute(1, 0, 2, 3)[:, coded] for part in (levels[level], other)))
        at, largest = context[coded].long(), bits.shape[1] // 2 - 1
        for symbols, rows in ((first, at), (second, second_context(at, first).long())):
            size = symbols.abs().long()
            escaped = bits[rows, -1] + 2 * torch.log2(size.clamp(min=1).double()) + 1
            known = bits[rows, symbols.long().clamp(-largest, largest) + largest]
            total += SHARE * CAUTION * float(torch.where(size > largest, escaped, known).sum())
    return total


@pytest.mark.parametrize("seed", [0, 20, 40])
@pytest.mark.parametrize("kind", ["alone", "predicted"])
def test_it_is_cheaper_and_moves_coded_points_alone(seed: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(seed)
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    shape = (2, hierarchy.rows, hierarchy.columns)
    predicted, like = torch.zeros(shape, dtype=torch.int32), None
    if kind == "predicted":
        random = torch.Generator().manual_seed(seed)
        predicted = torch.randint(-2, 3, shape, generator=random, dtype=torch.int32)
        like = torch.randint(-6, 7, shape, generator=random, dtype=torch.int32)
    (before, wanted), looks_at = unpolished(frame, reference, monkeypatch, like), like_levels(like, HEIGHT, WIDTH)
    after = polish(frame, reference, before, predicted, wanted, looks_at, BITS.numpy(), LAGRANGIAN, CAUTION)
    assert not torch.equal(before[0], after[0])
    assert any(not torch.equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))
    for level, residual in enumerate(after):
        assert not residual[..., ~hierarchy.coded(level, HEIGHT, WIDTH)].any()
    costs = [cost(frame, reference, levels, predicted, like) for levels in (before, after)]
    assert costs[1] < 0.8 * costs[0]
    again = polish(frame, reference, after, predicted, wanted, looks_at, BITS.numpy(), LAGRANGIAN, CAUTION)
    assert cost(frame, reference, again, predicted, like) <= costs[1] * 1.002


def test_the_search_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(3)
    still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
    before, wanted = unpolished(frame, reference, monkeypatch, None)
    polished = polish(frame, reference, before, still, wanted, None, BITS.numpy(), LAGRANGIAN, CAUTION)
    found = search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, caution=CAUTION)
    assert all(torch.equal(a, b) for a, b in zip(found, polished, strict=True))


@pytest.mark.parametrize("seed", [0, 20])
def test_beside_another_prediction_the_mean_counts(seed: int) -> None:
    frame, reference = apart(seed)
    beside = frame.lerp(apart(seed + 1)[0], 0.2)
    still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
    alone, together = (
        search(
            frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, caution=CAUTION, thorough=False, beside=other
        )
        for other in (None, beside)
    )
    # The mean of the two leaves half of what one leaves of twice the frame less the other.
    costs = [cost(2 * frame - beside, reference, levels, still, None, 4 * LAGRANGIAN) for levels in (alone, together)]
    assert costs[1] < 0.99 * costs[0]


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, reference = apart(7)
    still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
    before, wanted = unpolished(frame, reference, monkeypatch, None)
    alone = polish(frame, reference, before, still, wanted, None, BITS.numpy(), LAGRANGIAN, CAUTION)
    with helped_by(2):
        for _ in range(3):
            helped = polish(frame, reference, before, still, wanted, None, BITS.numpy(), LAGRANGIAN, CAUTION)
            assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (48, 16)])
def test_where_nothing_moves_nothing_is_said(size: tuple[int, int]) -> None:
    still = moving_planes(1, *size, seed=1).y[0]
    levels = zero_levels(Hierarchy.of(*size), 1)
    field = torch.zeros_like(levels[0][0])
    for reference in (still, torch.full(size, 0.3), still + 0.001):
        found = polish(still, reference, levels, field, field.float(), None, BITS.numpy(), LAGRANGIAN, CAUTION)
        assert not any(level.any() for level in found)


def test_vectors_stay_within_what_a_file_can_say() -> None:
    """A point at the end of the range is not moved beyond it."""
    frame, reference = apart(11)
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    predicted = torch.full((2, hierarchy.rows, hierarchy.columns), 2047, dtype=torch.int32)
    aims = torch.full((2, hierarchy.rows, hierarchy.columns), 9.0)
    found = polish(frame, reference, zero_levels(hierarchy, 1), predicted, aims, None, BITS.numpy(), 1e-9, CAUTION)
    assert int((predicted + reconstruct(found)[0]).abs().max()) <= 2047


def test_patience_pays() -> None:
    costs = []
    for patience in range(MOST_PATIENCE + 1):
        total = 0.0
        for seed in (0, 20, 40, 60):
            frame, reference = apart(seed)
            still = torch.zeros(2, *Hierarchy.of(HEIGHT, WIDTH).shape(0), dtype=torch.int32)
            levels = search(frame, reference, cost_bits=BITS, lagrangian=LAGRANGIAN, caution=CAUTION, patience=patience)
            total += cost(frame, reference, levels, still, None)
        costs.append(total)
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs)
