"""The order of coding: everything a picture needs is there; the motion that predicts its own points the right way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.latents.gop import Picture, coding_order, predicted_future, predicted_past
from stpcodec.latents.motion_field import scaled

LENGTHS = range(1, 9)
every_length = pytest.mark.parametrize("frames", LENGTHS)

ORDERS = {
    1: [1],
    2: [2, 1],
    3: [3, 1, 2],
    4: [4, 2, 1, 3],
    5: [5, 2, 1, 3, 4],
    6: [6, 3, 1, 4, 2, 5],
    7: [7, 3, 1, 5, 2, 4, 6],
    8: [8, 4, 2, 6, 1, 3, 5, 7],
}


@every_length
def test_the_order_is_the_formats(frames: int) -> None:
    """FORMAT.md has the same table: files are coded in it."""
    assert [picture.position for picture in coding_order(frames)] == ORDERS[frames]


@every_length
def test_every_frame_is_coded_once_behind_its_references(frames: int) -> None:
    known = {0}
    for picture in coding_order(frames):
        assert set(picture.references) <= known
        assert picture.position not in known
        known.add(picture.position)
    assert known == set(range(frames + 1))


@every_length
def test_the_anchor_is_last_in_time_and_first_coded(frames: int) -> None:
    anchor, *between = coding_order(frames)
    assert anchor == Picture(frames, 0, None, 0, 0)
    assert anchor.references == (0,)
    for picture in between:
        assert picture.future is not None
        assert picture.references == (picture.past, picture.future)
        assert picture.past < picture.position < picture.future
        assert picture.position == (picture.past + picture.future) // 2


@every_length
def test_pictures_of_one_depth_need_nothing_of_each_other(frames: int) -> None:
    pictures = coding_order(frames)
    depth = {0: -1} | {picture.position: picture.depth for picture in pictures}
    assert [picture.depth for picture in pictures] == sorted(picture.depth for picture in pictures)
    for picture in pictures:
        assert picture.depth == 1 + max(depth[reference] for reference in picture.references)


@every_length
def test_the_guide_spans_the_gap(frames: int) -> None:
    """It is the end that was coded later, and the other end is one of its own references."""
    pictures = {picture.position: picture for picture in coding_order(frames)}
    order = [0, *pictures]
    for picture in list(pictures.values())[1:]:
        other = sum(picture.references) - picture.guide
        assert picture.guide in picture.references
        assert order.index(picture.guide) > order.index(other)
        assert other in pictures[picture.guide].references


def exact_fields(frames: int, velocity: Tensor) -> dict[int, Tensor]:
    """Of every picture to its references, of what moves by `velocity` ``[2, h, w]`` quarter samples a frame.

    What lies at x in frame p lay at x + (r - p)·velocity in frame r.
    """
    return {
        picture.position: torch.stack([(reference - picture.position) * velocity for reference in picture.references])
        for picture in coding_order(frames)
    }


@every_length
@given(dy=st.integers(-400, 400), dx=st.integers(-400, 400))
def test_uniform_motion_is_predicted_exactly(frames: int, dy: int, dx: int) -> None:
    """In both directions, from whichever end of the gap: a sign or an end mistaken for the other would show."""
    velocity = torch.tensor([dy, dx], dtype=torch.int32).view(2, 1, 1)
    fields = exact_fields(frames, velocity)
    for picture in coding_order(frames)[1:]:
        assert picture.future is not None
        past, across = predicted_past(picture, fields)
        assert torch.equal(past, (picture.past - picture.position) * velocity), picture
        assert torch.equal(predicted_future(picture, past), (picture.future - picture.position) * velocity), picture
        span = picture.future - picture.past
        assert torch.equal(across.abs(), span * velocity.abs())


@every_length
def test_a_field_is_predicted_from_those_coded_before_it(frames: int) -> None:
    """Nothing else is there when a decoder gets to it; every point by itself."""
    random = torch.Generator().manual_seed(frames)
    known: dict[int, Tensor] = {}
    for picture in coding_order(frames):
        if picture.future is not None:
            past, across = predicted_past(picture, known)
            near, gap = picture.position - picture.past, picture.future - picture.past
            if picture.guide == picture.future:
                assert torch.equal(across, known[picture.future][0])
                assert torch.equal(past, scaled(across, near, gap))
            else:
                assert torch.equal(across, known[picture.past][1])
                assert torch.equal(past, scaled(across, -near, gap))
            future = predicted_future(picture, past)
            assert torch.equal(future, scaled(past, picture.position - picture.future, near))
            assert past.shape == future.shape == (2, 3, 5)
            assert past.dtype == future.dtype == torch.int32
        shape = (len(picture.references), 2, 3, 5)
        known[picture.position] = torch.randint(-900, 901, shape, generator=random, dtype=torch.int32)


def test_predictions_of_known_vectors() -> None:
    """In Python's integers: halves go up, in either direction of time."""
    fields = {8: torch.tensor([[[[-13]], [[5]]]]), 4: torch.tensor([[[[-6]], [[3]]], [[[7]], [[-3]]]])}
    fields[2] = torch.tensor([[[[-3]], [[1]]], [[[3]], [[-2]]]])
    pictures = {picture.position: picture for picture in coding_order(8)}
    assert pictures[4].guide == 8
    past, _ = predicted_past(pictures[4], fields)
    assert past.flatten().tolist() == [-6, 3], "-6.5 and 2.5"
    assert predicted_future(pictures[4], past).flatten().tolist() == [6, -3]
    assert pictures[6].guide == 4
    past, across = predicted_past(pictures[6], fields)
    assert across.flatten().tolist() == [7, -3], "the middle's field to its future"
    assert past.flatten().tolist() == [-3, 2], "-3.5 and 1.5"
    assert pictures[1].guide == 2
    assert predicted_past(pictures[1], fields)[0].flatten().tolist() == [-1, 1], "-1.5 and 0.5"
    assert pictures[3].guide == 2
    assert predicted_past(pictures[3], fields)[0].flatten().tolist() == [-1, 1], "-1.5 and 1"
