"""Golden files of the model `dct`: the same integers for ever, on every device and with any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import stpcodec
from tests.golden.dct_v1 import GOLDEN, Golden, picture, segment_sha256

every_file = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


@every_file
@pytest.mark.parametrize("threads", [1, 2])
def test_the_integers_are_those_that_were_written(golden: Golden, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert segment_sha256(golden.path) == golden.sha256
    finally:
        torch.set_num_threads(before)


@every_file
def test_the_file_is_sound_and_small(golden: Golden) -> None:
    report = stpcodec.verify(golden.path, deep=True, device="cpu")
    assert report.problems == ()
    assert report.frames == golden.frames
    assert golden.path.stat().st_size < 30_000


@every_file
def test_the_pictures_are_those_of_the_source(golden: Golden) -> None:
    peak = 255 if golden.bit_depth == 8 else 1023
    with stpcodec.open(golden.path, device="cpu") as file:
        for number, frame in enumerate(file):
            source = picture(golden, number)[0]
            error = np.mean((frame.y.astype(float) - source) ** 2)
            assert 10 * np.log10(peak**2 / error) > (30 if golden.quality >= 40 else 19)
