"""Exposure is drawn once a sequence: frames of one keep their differences."""

from __future__ import annotations

import torch

from stpcodec.model.planes import Planes
from stpcodec.training.dataset import Sequence
from stpcodec.training.jitter import jittered, jittered_pictures

BATCH, LENGTH = 3, 4


def sequence() -> Sequence:
    """Mid-tones, so that nothing is clipped; every frame of a sequence a little brighter than the one before."""
    torch.manual_seed(0)
    scene = 0.4 + 0.1 * torch.rand(BATCH, 1, 16, 16)
    y = (scene + 0.02 * torch.arange(LENGTH).view(1, -1, 1, 1)).flatten(0, 1)
    chroma = 0.45 + 0.1 * torch.rand(BATCH * LENGTH, 8, 8)
    fields = torch.randint(-8, 8, (BATCH, 3, 1, 2, 3, 3), dtype=torch.int16)
    return Sequence(Planes(y, chroma, 1 - chroma), fields, BATCH, LENGTH)


def test_none_is_the_sequence_itself() -> None:
    given = sequence()
    assert jittered(given, 0.0) is given
    assert jittered_pictures(given.frames, 0.0) is given.frames


def test_frames_of_a_sequence_stay_aligned_and_sequences_differ() -> None:
    given = sequence()
    found = jittered(given, 0.2)
    assert torch.equal(found.fields, given.fields), "motion is of the scene, not of its light"
    before, after = (planes.y.view(BATCH, LENGTH, 16, 16) for planes in (given.frames, found.frames))
    gains = (after[:, 1:] - after[:, :-1]) / (before[:, 1:] - before[:, :-1])
    assert torch.allclose(gains, gains[:, :1, :1, :1].expand_as(gains), atol=1e-3)
    gain = gains[:, 0, 0, 0]
    assert len(gain.unique()) == BATCH
    assert bool(((gain >= 0.8) & (gain <= 1.2)).all())
    chroma = (found.frames.u - 0.5) / (given.frames.u - 0.5)
    assert torch.allclose(chroma.view(BATCH, -1).mean(1), gain, atol=1e-3), "colour follows contrast"


def test_values_stay_in_range() -> None:
    planes = Planes(torch.rand(8, 16, 16), torch.rand(8, 8, 8), torch.rand(8, 8, 8))
    found = jittered_pictures(planes, 0.5)
    for plane in (found.y, found.u, found.v):
        assert 0 <= float(plane.min()) <= float(plane.max()) <= 1
    assert not torch.equal(found.y, planes.y)


def test_it_follows_the_seed() -> None:
    torch.manual_seed(3)
    one = jittered(sequence(), 0.1).frames.y
    torch.manual_seed(3)
    assert torch.equal(jittered(sequence(), 0.1).frames.y, one)
