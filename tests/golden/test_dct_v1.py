"""Golden files of the model `dct`: the same integers for ever, on every device and with any number of threads."""

from __future__ import annotations

import pytest

import stpcodec
from stpcodec.codec.models import thread_limit
from tests.golden.clips import Golden, segment_sha256, worst_psnr_db
from tests.golden.dct_v1 import GOLDEN

every_file = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


@every_file
@pytest.mark.parametrize("threads", [1, 2])
def test_the_integers_are_those_that_were_written(golden: Golden, threads: int) -> None:
    with thread_limit(threads):
        assert segment_sha256(golden.path) == golden.sha256


@pytest.mark.cuda
@every_file
def test_the_integers_are_the_same_on_a_gpu(golden: Golden) -> None:
    assert segment_sha256(golden.path, device="cuda") == golden.sha256


@every_file
def test_the_file_is_sound_and_small(golden: Golden) -> None:
    report = stpcodec.verify(golden.path, deep=True, device="cpu")
    assert report.problems == ()
    assert report.frames == golden.clip.frames
    assert golden.path.stat().st_size < 30_000


@every_file
def test_the_pictures_are_those_of_the_source(golden: Golden) -> None:
    assert worst_psnr_db(golden.clip, golden.path) > (30 if golden.clip.quality >= 40 else 19)
