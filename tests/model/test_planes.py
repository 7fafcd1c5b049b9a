"""Frames as planes: room for more of them, filled one by one."""

from __future__ import annotations

import torch

from stpcodec.model.planes import Planes


def test_frames_are_put_into_their_places() -> None:
    like = Planes(torch.rand(1, 4, 6), torch.rand(1, 2, 3), torch.rand(1, 2, 3))
    room = like.room_for(3)
    assert len(room) == 3
    assert (room.y.shape, room.u.shape, room.v.shape) == ((3, 4, 6), (3, 2, 3), (3, 2, 3))
    others = [like.map(lambda plane, n=n: plane + n) for n in range(3)]
    for number in (2, 0, 1):
        room.put(number, others[number])
    for number, other in enumerate(others):
        one = room[slice(number, number + 1)]
        for mine, theirs in ((one.y, other.y), (one.u, other.u), (one.v, other.v)):
            assert torch.equal(mine, theirs)
            assert mine.data_ptr() != theirs.data_ptr()
