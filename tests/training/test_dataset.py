"""Crops with their motion: what is mirrored in the picture is mirrored in the field."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.errors import InputError
from stpcodec.latents.motion_field import SPACING
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.warp import warp_planes
from stpcodec.training import motion_cache
from stpcodec.training.cache import split_planes
from stpcodec.training.dataset import ClipDataset, PictureDataset
from stpcodec.training.motion_cache import ensure_motion, motion_path
from tests.training.material import cached_clip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_clip(tmp_path_factory.mktemp("cache"), count=7, height=96, width=128)


def test_motion_is_searched_once_per_chunk(clip: Path) -> None:
    fields = np.load(motion_path(clip, 2))
    assert fields.shape == (3, 2, 2, 2, 96 // SPACING + 1, 128 // SPACING + 1)
    assert fields.dtype == np.int16
    # The texture moves by (1, 1) a frame: the anchor of a chunk by two samples, eight quarters; the frame between by
    # half of it, to either side.
    assert np.median(fields[:, 0, 0]) == -8
    assert not fields[:, 0, 1].any(), "an anchor has one reference"
    assert np.median(fields[:, 1, 0]) == -4
    assert np.median(fields[:, 1, 1]) == 4
    before = motion_path(clip, 2).stat()
    assert ensure_motion(clip, 2, initial_tables()) == motion_path(clip, 2)
    assert motion_path(clip, 2).stat() == before, "what is there is not searched again"


def copy_of(clip: Path, folder: Path) -> Path:
    """The clip alone, without its motion."""
    return Path(shutil.copy(clip, folder / clip.name))


def test_each_chunk_is_searched_from_the_field_before_it(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the encoder does it: the anchor's field of the chunk before, at one Lagrangian throughout the clip."""
    calls: list[dict[str, object]] = []
    prices = set()
    original, originally_between = motion_cache.anchor_motion, motion_cache.between_motion

    def watched(frame: object, reference: object, tables: object, lagrangian: float, **keywords: object) -> object:
        calls.append(keywords)
        prices.add(lagrangian)
        return original(frame, reference, tables, lagrangian, **keywords)  # type: ignore[arg-type]

    def watched_between(*args: object, **keywords: object) -> object:
        prices.add(args[5])
        return originally_between(*args, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(motion_cache, "anchor_motion", watched)
    monkeypatch.setattr(motion_cache, "between_motion", watched_between)
    fields = np.load(ensure_motion(copy_of(clip, tmp_path), 2, initial_tables()))
    assert len(calls) == len(fields) == 3
    assert len(prices) == 1
    assert calls[0]["before"] is None
    rows, columns = fields.shape[-2:]
    for call, field in zip(calls[1:], fields, strict=False):
        before = call["before"]
        assert isinstance(before, torch.Tensor)
        assert np.array_equal(before[:, :rows, :columns].numpy(), field[0, 0])


def test_long_clips_are_searched_in_part(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks that their first frames make, and sequences are drawn from these alone."""
    monkeypatch.setattr(motion_cache, "LONGEST", 5)
    short = copy_of(clip, tmp_path)
    assert len(np.load(ensure_motion(short, 2, initial_tables()))) == 2
    luma = split_planes(np.load(short))[0]
    for seed in range(8):
        sequence = ClipDataset([short], frames=2, crop=96, chunks=1, seed=seed).sequences(1, 1, CPU)
        first = (sequence.frames.y[0] * 255).round().numpy().astype(np.uint8)
        found = [
            start for start in range(len(luma)) for flipped in (first, first[:, ::-1], first[::-1], first[::-1, ::-1])
            if any((luma[start, :, left : left + 96] == flipped).all() for left in range(0, 33, SPACING))
        ]  # fmt: skip
        assert found in ([0], [2]), "where a searched chunk begins"
    with pytest.raises(InputError, match="no clip of"):
        ClipDataset([short], frames=2, crop=64, chunks=3, seed=0)


def test_fields_of_an_older_search_are_not_used(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = copy_of(clip, tmp_path)
    old = ensure_motion(short, 2, initial_tables())
    monkeypatch.setattr(motion_cache, "VERSION", motion_cache.VERSION + 1)
    assert not motion_path(short, 2).exists()
    new = ensure_motion(short, 2, initial_tables())
    assert new != old
    assert np.array_equal(np.load(new), np.load(old)), "the same search here"


def test_sequences_have_the_shapes_they_say(clip: Path) -> None:
    data = ClipDataset([clip], frames=2, crop=64, chunks=2, seed=0)
    sequence = data.sequences(3, 2, CPU)
    assert (sequence.batch, sequence.length) == (3, 5)
    assert sequence.frames.y.shape == (15, 64, 64)
    assert sequence.frames.u.shape == sequence.frames.v.shape == (15, 32, 32)
    assert sequence.fields.shape == (3, 2, 2, 2, 2, 64 // SPACING + 1, 64 // SPACING + 1)
    assert sequence.chunk_frames == 2
    assert sequence.frames.y.min() >= 0
    assert sequence.frames.y.max() <= 1
    for number in range(5):
        frame = sequence.frame(number)
        assert len(frame) == 3
        assert torch.equal(frame.y[1], sequence.frames.y[5 + number]), "of the second sequence"
        assert torch.equal(frame.v[2], sequence.frames.v[10 + number])


def test_fields_fit_their_crops_also_when_mirrored(clip: Path) -> None:
    """Warping by the field predicts much better than standing still, in every draw of all flips."""
    data = ClipDataset([clip], frames=2, crop=64, chunks=1, seed=1)
    sequence = data.sequences(40, 1, CPU)
    inside = (slice(None), slice(8, -8), slice(8, -8))
    # The anchor from the frame before; the frame between them from either.
    for frame, reference, field in ((2, 0, (0, 0)), (1, 0, (1, 0)), (1, 2, (1, 1))):
        target, start = sequence.frame(frame), sequence.frame(reference)
        moved = warp_planes(start, sequence.fields[:, 0, field[0], field[1]])
        with_motion = (moved.y - target.y)[inside].square().mean((1, 2))
        without = (start.y - target.y)[inside].square().mean((1, 2))
        assert (with_motion < 0.25 * without).all(), (frame, reference)
    horizontal = sequence.fields[:, 0, 0, 0, 1].float().median(-1).values.median(-1).values
    assert set(horizontal.sign().tolist()) == {-1.0, 1.0}, "both directions came up"


def test_draws_depend_on_the_seed_alone(clip: Path) -> None:
    one, two, other = (
        ClipDataset([clip], frames=2, crop=64, chunks=1, seed=seed).sequences(4, 1, CPU) for seed in (5, 5, 6)
    )
    assert torch.equal(one.frames.y, two.frames.y)
    assert not torch.equal(one.frames.y, other.frames.y)


def test_sequences_without_chunks_are_single_frames(clip: Path) -> None:
    """As the intra network trains alone."""
    sequence = ClipDataset([clip], frames=2, crop=64, chunks=2, seed=0).sequences(8, 0, CPU)
    assert sequence.frames.y.shape == (8, 64, 64)
    assert sequence.fields.shape[:2] == (8, 0)


@pytest.mark.parametrize(("crop", "chunks"), [(128, 1), (64, 4)], ids=["too small", "too short"])
def test_clips_that_do_not_fit_are_refused(clip: Path, crop: int, chunks: int) -> None:
    with pytest.raises(InputError, match="no clip of"):
        ClipDataset([clip], frames=2, crop=crop, chunks=chunks, seed=0)


def test_pictures_are_crops_of_single_frames(clip: Path) -> None:
    planes = PictureDataset([clip], crop=64, seed=0).pictures(5, CPU)
    assert planes.y.shape == (5, 64, 64)
    assert planes.u.shape == (5, 32, 32)
    luma = split_planes(np.load(clip))[0]
    # Some crop of some frame, mirrored or not.
    wanted = (planes.y[0] * 255).round().numpy().astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(luma, (64, 64), axis=(1, 2))[:, ::2, ::2]
    assert any((windows == crop).all((-2, -1)).any() for crop in (wanted, wanted[:, ::-1]))
    with pytest.raises(InputError, match="no picture of at least 128×128"):
        PictureDataset([clip], crop=128, seed=0)
