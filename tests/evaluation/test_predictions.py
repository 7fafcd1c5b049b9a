"""What pictures are predicted from, read back from a segment, is what the encoder predicted them from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.codec import chunk as chunk_module
from stpcodec.codec.picture import SKIP, EncodedPicture, PictureTask
from stpcodec.evaluation.predictions import predicted_pictures
from stpcodec.model.chunk_io import blend, pack_frames, predict, warped_pair
from stpcodec.model.picture_motion import PictureMotion
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame
from tests.training.material import triples

Coded = tuple[PictureTask, PictureMotion, EncodedPicture]


def test_they_are_those_of_the_encoder(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_weights, device=torch.device("cpu"))
    seen: list[Coded] = []
    original = chunk_module.encode_picture

    def encode(transform, tables, task, motion, still):  # type: ignore[no-untyped-def]
        encoded = original(transform, tables, task, motion, still)
        if motion is not None:
            seen.append((task, motion, encoded))
        return encoded

    monkeypatch.setattr(chunk_module, "encode_picture", encode)
    clip = triples(8, 64, 96, dx=3, seed=3)
    frames = [Frame(y=y, u=u, v=v, pts=number, duration=1) for number, (y, u, v) in enumerate(clip)]
    found = list(predicted_pictures(model, frames, 70))
    assert len(found) == len(seen) == 7
    assert {picture.references for picture in found} == {1, 2}, "the planner made a chunk of several frames"
    for picture, (task, motion, encoded) in zip(found, seen, strict=True):
        if len(task.references) == 1:
            prediction, other = predict(task.references[0], motion.fields)
        else:
            assert motion.choice is not None
            pair = warped_pair(task.references[0], task.references[1], motion.fields[None])
            prediction, other = blend(pair, motion.choice[None])
        assert torch.equal(picture.target, pack_frames(task.frames, 1)[0])
        assert torch.allclose(picture.prediction, prediction[0], atol=1e-5)
        assert torch.allclose(picture.other, other[0], atol=1e-5)
        assert (picture.previous is None) == (task.before is None)
        if picture.previous is not None and task.before is not None:
            assert torch.equal(picture.previous, task.before.y)
        assert picture.references == len(task.references)
        assert picture.quality == encoded.latents.quality
        assert picture.skipped == (encoded.latents.mode == SKIP)
        assert picture.bits == 8 * len(encoded.stream) / (64 * 96)
        assert picture.error > 0
    assert found[0].previous is None, "intra latents say nothing about inter ones"
    assert any(picture.previous is not None for picture in found)
