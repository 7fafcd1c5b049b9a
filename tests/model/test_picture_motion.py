"""Motion between two references: free where it goes on as it was, and each block looks where it can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stpcodec.codec.motion_coder import encode_choice, encode_field
from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.blend import BOTH, CHOICES, ONLY_FUTURE, ONLY_PAST
from stpcodec.latents.gop import Picture, coding_order, predicted_future, predicted_past
from stpcodec.latents.motion_field import (
    ANCHOR,
    FUTURE,
    PAST,
    Hierarchy,
    reconstruct,
    still_fields,
    zero_levels,
)
from stpcodec.model.chunk_io import blend, pack_frames, warped_pair
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.picture_motion import PictureMotion, anchor_motion, between_motion, choose_blend
from stpcodec.model.planes import Planes
from tests.tiny_model import moving_planes

TABLES = initial_tables()
MOTION, CHOICE = (TableSet(part.long().numpy()) for part in (TABLES.counts, TABLES.blend))
LAGRANGIAN = 30 / 255**2
HEIGHT, WIDTH = 96, 128


def drifting(count: int, dy: int, dx: int) -> Planes:
    """A patch of texture that fades into grey and moves by (dy, dx) a frame: nothing comes in over the border."""
    random = torch.Generator().manual_seed(3)
    noise = torch.nn.functional.avg_pool2d(torch.rand(1, 1, HEIGHT, WIDTH, generator=random), 7, 1, 3)[0, 0] - 0.5
    y, x = torch.arange(HEIGHT)[:, None] - HEIGHT / 2, torch.arange(WIDTH)[None] - WIDTH / 2
    texture = 0.5 + 2.5 * noise * (1 - (y * y + x * x) / 30**2).clamp(min=0)
    luma = torch.stack([texture.roll((t * dy, t * dx), (0, 1)) for t in range(count)])
    grey = torch.full((count, HEIGHT // 2, WIDTH // 2), 0.5)
    return Planes(luma.clamp(0, 1), grey, grey)


def exact(dy: int, dx: int) -> Tensor:
    """What moves by (dy, dx) samples, in quarter samples, on all points."""
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    vector = torch.tensor([4 * dy, 4 * dx], dtype=torch.int32).view(2, 1, 1)
    return vector.expand(2, hierarchy.rows, hierarchy.columns).contiguous()


def between(frames: Planes, picture: Picture, fields: dict[int, Tensor], price: float = LAGRANGIAN) -> PictureMotion:
    assert picture.future is not None
    predicted, across = predicted_past(picture, fields)
    frame, past, future = (frames[p : p + 1] for p in (picture.position, picture.past, picture.future))
    return between_motion(frame, past, future, picture, TABLES, price, predicted=predicted, across=across)


def coded_bytes(motion: PictureMotion) -> int:
    coder = SymbolEncoder()
    kinds = (ANCHOR,) if motion.choice is None else (PAST, FUTURE)
    for levels, like, kind in zip(motion.residuals, motion.likes, kinds, strict=True):
        encode_field(coder, levels, MOTION, HEIGHT, WIDTH, like=like, kind=kind)
    if motion.choice is not None:
        encode_choice(coder, motion.choice, CHOICE)
    return len(coder.finish())


def error(prediction: Tensor, frame: Planes) -> float:
    """Mean squared, of packed luma."""
    return float((prediction[:, :64] - pack_frames(frame, 1)[:, :64]).square().mean())


@pytest.mark.parametrize(("dy", "dx"), [(0, 2), (2, -3), (-1, -1)])
@pytest.mark.parametrize("frames", [2, 4])
def test_motion_that_goes_on_costs_nothing_between_two_references(frames: int, dy: int, dx: int) -> None:
    """Only the anchor's field is sent: all others follow from it, and both references count everywhere."""
    clip = drifting(frames + 1, dy, dx)
    anchor, *pictures = coding_order(frames)
    first = anchor_motion(clip[frames:], clip[:1], TABLES, LAGRANGIAN, before=None, hint=None)
    assert first.choice is None
    assert not first.absent
    middle = first.fields[0, :, 4:9, 6:11]
    assert ((middle - exact(-frames * dy, -frames * dx)[:, 4:9, 6:11]).abs() <= 1).all()
    fields = {anchor.position: exact(-frames * dy, -frames * dx)[None]}
    for picture in pictures:
        motion = between(clip, picture, fields)
        assert motion.absent
        assert coded_bytes(motion) < coded_bytes(first) / 2
        for reference, field in zip(picture.references, motion.fields, strict=True):
            t = reference - picture.position
            assert torch.equal(field, exact(t * dy, t * dx))
        fields[picture.position] = motion.fields


def test_two_noisy_references_predict_better_than_either() -> None:
    """Their mean halves what noise each of them adds; the motion comes from the search here, not from a test."""
    clip = moving_planes(3, HEIGHT, WIDTH, dx=3, seed=1)
    random = torch.Generator().manual_seed(0)
    noisy = Planes((clip.y + 0.02 * torch.randn(clip.y.shape, generator=random)).clamp(0, 1), clip.u, clip.v)
    first = anchor_motion(noisy[2:], noisy[:1], TABLES, LAGRANGIAN, before=None, hint=None)
    (picture,) = coding_order(2)[1:]
    frame = clip[1:2]
    seen = Planes(*(torch.cat((getattr(noisy, n)[:1], getattr(frame, n), getattr(noisy, n)[2:])) for n in "yuv"))
    motion = between(seen, picture, {2: first.fields})
    assert motion.choice is not None
    pair = warped_pair(noisy[:1], noisy[2:], motion.fields[None])
    together = error(blend(pair, motion.choice[None])[0], frame)
    assert together < 0.7 * min(error(part, frame) for part in pair)
    assert (motion.choice[:, 1:-1] == BOTH).float().mean() > 0.8
    assert coded_bytes(motion) < coded_bytes(first)


def covered() -> Planes:
    """A square jumps to the right over a still background, 32 samples a frame: what it leaves only the future sees,
    what it will cover only the past."""
    background = moving_planes(1, HEIGHT, WIDTH, seed=1)
    thing = torch.nn.functional.avg_pool2d(torch.rand(1, 36, 36, generator=torch.Generator().manual_seed(0)), 5, 1)[0]
    luma = background.y.expand(3, -1, -1).clone()
    for t in range(3):
        luma[t, 32:64, 16 + 32 * t : 48 + 32 * t] = thing
    return Planes(luma, background.u.expand(3, -1, -1), background.v.expand(3, -1, -1))


def test_a_block_looks_where_it_can_be_seen() -> None:
    """Blocks of the middle frame: rows 2 and 3; columns 1 and 2 uncovered, 5 and 6 not covered yet."""
    clip = covered()
    still = torch.zeros(1, 2, *exact(0, 0).shape, dtype=torch.int32)
    choice = choose_blend(clip[1:2], warped_pair(clip[:1], clip[2:], still), LAGRANGIAN)[0]
    assert (choice[2:4, 1:3] == ONLY_FUTURE).all()
    assert (choice[2:4, 5:7] == ONLY_PAST).all()
    elsewhere = torch.ones_like(choice, dtype=torch.bool)
    elsewhere[2:4, 1:7] = False
    assert (choice[elsewhere] == BOTH).all()


def test_occlusion_survives_the_search() -> None:
    """With the fields that the search found: the right references, and a prediction that neither gives alone."""
    clip = covered()
    first = anchor_motion(clip[2:], clip[:1], TABLES, LAGRANGIAN, before=None, hint=None)
    motion = between(clip, coding_order(2)[1], {2: first.fields})
    assert motion.choice is not None
    assert (motion.choice[2:4, 1:3] == ONLY_FUTURE).float().mean() >= 0.75
    assert (motion.choice[2:4, 5:7] == ONLY_PAST).float().mean() >= 0.75
    assert not motion.absent
    pair = warped_pair(clip[:1], clip[2:], motion.fields[None])
    together = error(blend(pair, motion.choice[None])[0], clip[1:2])
    assert together < 0.65 * min(error(part, clip[1:2]) for part in pair)
    both = torch.full_like(motion.choice, BOTH)[None]
    assert together < error(blend(pair, both)[0], clip[1:2])


def test_choices_are_made_of_luma_and_price() -> None:
    """For nothing the nearest of the three in every block; at an absurd price all are BOTH."""
    frame, past, future = (moving_planes(1, HEIGHT, WIDTH, seed=seed) for seed in (1, 5, 9))
    still = torch.zeros(1, 2, *exact(0, 0).shape, dtype=torch.int32)
    pair = warped_pair(past, future, still)
    free = choose_blend(frame, pair, 0.0)[0]
    y = [(past.y + future.y) / 2, past.y, future.y]
    errors = torch.stack([torch.nn.functional.avg_pool2d((p - frame.y).square(), 16)[0] for p in y])
    assert torch.equal(free, errors.argmin(0).int())
    assert free.unique().tolist() == [BOTH, ONLY_PAST, ONLY_FUTURE]
    assert not choose_blend(frame, pair, 1e6).any()


def test_choices_of_a_batch_are_those_of_each() -> None:
    frames, past, future = (moving_planes(3, 48, 80, dx=2, seed=seed) for seed in (1, 5, 9))
    still = torch.zeros(3, 2, 2, *Hierarchy.of(48, 80).shape(0), dtype=torch.int32)
    together = choose_blend(frames, warped_pair(past, future, still), LAGRANGIAN)
    assert together.shape == (3, 3, 5)
    assert together.dtype == torch.int32
    assert together.max() < CHOICES
    for number in range(3):
        one = slice(number, number + 1)
        alone = choose_blend(frames[one], warped_pair(past[one], future[one], still[one]), LAGRANGIAN)
        assert torch.equal(alone[0], together[number])


def test_fields_are_predictions_and_residuals() -> None:
    """What a decoder does with what is sent gives the fields that the encoder warps by."""
    clip = moving_planes(5, HEIGHT, WIDTH, dy=1, dx=-2, seed=4)
    hierarchy = Hierarchy.of(HEIGHT, WIDTH)
    random = torch.Generator().manual_seed(0)
    anchor = torch.randint(-30, 31, (1, 2, hierarchy.rows, hierarchy.columns), generator=random, dtype=torch.int32)
    picture = coding_order(4)[1]
    motion = between(clip, picture, {4: anchor})
    predicted, across = predicted_past(picture, {4: anchor})
    past, future = (reconstruct(levels)[0] for levels in motion.residuals)
    assert past.any(), "else the prediction was right by chance"
    assert torch.equal(motion.fields[0], predicted + past)
    assert torch.equal(motion.fields[1], predicted_future(picture, predicted + past) + future)
    assert torch.equal(motion.likes[0], across)  # type: ignore[arg-type]
    assert torch.equal(motion.likes[1], past)  # type: ignore[arg-type]
    assert motion.fields.dtype == torch.int32


def test_an_anchor_follows_its_hint_and_its_contexts_the_field_before() -> None:
    """Motion too fast to find, twice as fast as in the field before: the hint is that field scaled."""
    clip = moving_planes(2, 192, 256, dx=56, seed=1)
    hierarchy = Hierarchy.of(192, 256)
    hint = torch.tensor([0, -224], dtype=torch.int32).view(2, 1, 1).expand(2, hierarchy.rows, hierarchy.columns)
    before = hint // 2
    motion = anchor_motion(clip[1:], clip[:1], TABLES, LAGRANGIAN, before=before, hint=hint)
    assert motion.likes == (before,)
    inner = motion.fields[0, :, 4:20, 8:24]
    assert ((inner - hint[:, 4:20, 8:24]).abs().amax(0) <= 1).float().mean() > 0.9
    assert motion.fields.shape == (1, 2, hierarchy.rows, hierarchy.columns)
    assert torch.equal(motion.fields, reconstruct(motion.residuals[0]))


def nothing_said() -> PictureMotion:
    levels = zero_levels(Hierarchy.of(HEIGHT, WIDTH), 1)
    fields = torch.zeros(2, *exact(0, 0).shape, dtype=torch.int32)
    choice = torch.zeros(HEIGHT // 16, WIDTH // 16, dtype=torch.int32)
    return PictureMotion((levels, levels), fields, choice, (None, None))


def one_residual(motion: PictureMotion) -> PictureMotion:
    changed = [level.clone() for level in motion.residuals[1]]
    changed[0][0, 1, 1, 1] = -1
    return replace(motion, residuals=(motion.residuals[0], changed))


def one_choice(motion: PictureMotion) -> PictureMotion:
    assert motion.choice is not None
    choice = motion.choice.clone()
    choice[-1, -1] = ONLY_PAST
    return replace(motion, choice=choice)


@pytest.mark.parametrize("change", [one_residual, one_choice])
def test_motion_is_absent_only_when_nothing_has_to_be_said(change: Callable[[PictureMotion], PictureMotion]) -> None:
    assert nothing_said().absent
    assert replace(nothing_said(), fields=nothing_said().fields + 5).absent, "a prediction needs no words"
    assert not change(nothing_said()).absent


def test_still_fields_are_zero_everywhere() -> None:
    hierarchy = Hierarchy.of(48, 80)
    fields = still_fields(3, 48, 80)
    assert fields.shape == (3, 2, hierarchy.rows, hierarchy.columns)
    assert fields.dtype == torch.int32
    assert not fields.any()
