"""The order in which the pictures of a chunk are coded, and what each is predicted from.

A chunk of n frames behind a decoded frame 0 is a small closed GOP: frame n is the *anchor*, predicted from frame 0;
then the frame in the middle of every gap is predicted from both its ends, halves first (the hierarchical B pictures of
H.264: Schwarz, Marpe, Wiegand 2006). So no frame is more than a few predictions away from a good one.

    frame   0  1  2  3  4        order of coding: 4, 2, 1, 3
            ·  3  2  3  1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from stpcodec.latents.motion_field import scaled


@dataclass(frozen=True)
class Picture:
    """One coded picture. position, past, future: frames of the chunk, 0 is the one before it.

    future: None for the anchor, which has one reference. depth: 0 for the anchor, 1 for the middle, and so on.
    guide: the end of its gap that was coded later; the motion between the ends, scaled, predicts this one's.
    """

    position: int
    past: int
    future: int | None
    depth: int
    guide: int

    @property
    def references(self) -> tuple[int, ...]:
        return (self.past,) if self.future is None else (self.past, self.future)


@cache
def coding_order(frames: int) -> tuple[Picture, ...]:
    """The pictures of a chunk of `frames` frames, each behind those it is predicted from."""
    anchor = Picture(frames, 0, None, 0, 0)
    between: list[Picture] = []

    def split(past: int, future: int, depth: int, guide: int) -> None:
        if future - past < 2:
            return
        middle = (past + future) // 2
        between.append(Picture(middle, past, future, depth, guide))
        split(past, middle, depth + 1, middle)
        split(middle, future, depth + 1, middle)

    split(0, frames, 1, frames)
    # By depth: pictures of one depth need nothing of each other.
    return (anchor, *sorted(between, key=lambda picture: picture.depth))


def predicted_past(picture: Picture, fields: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Field to the past reference under uniform motion across the gap, and the field it follows from.

    fields: by position, of the pictures coded before, ``[references, 2, rows, columns]``. Both results int32
    ``[2, rows, columns]``.
    """
    assert picture.future is not None
    near, gap = picture.position - picture.past, picture.future - picture.past
    if picture.guide == picture.future:
        across = fields[picture.guide][0]
        return scaled(across, near, gap), across
    across = fields[picture.guide][1]
    return scaled(across, -near, gap), across


def predicted_future(picture: Picture, past_field: Tensor) -> Tensor:
    """Field to the future reference if what moved from the past one goes on in a straight line."""
    assert picture.future is not None
    return scaled(past_field, picture.position - picture.future, picture.position - picture.past)
