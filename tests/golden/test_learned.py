"""Golden files of the learned model: the integers that its encoder wrote, as long as the package has its weights.

Files of weights that the package no longer has cannot be decoded: they are skipped, or fail with
STPCODEC_REQUIRE_WEIGHTS=1. `python -m tests.golden.learned` makes files for new weights.
"""

from __future__ import annotations

import os

import pytest

import stpcodec
from stpcodec.codec.models import thread_limit
from stpcodec.model.zoo import DEFAULT_MODEL
from tests.golden.clips import segment_sha256, worst_psnr_db
from tests.golden.learned import CLIPS, LearnedGolden, golden_files, installed_weights

MAKE = "run `python -m tests.golden.learned`"
every_file = pytest.mark.parametrize("golden", golden_files(), ids=lambda golden: golden.path.stem)


def need_weights(golden: LearnedGolden) -> None:
    """Skips where the package has other weights now, or fails if none may be missing."""
    if golden.installed:
        return
    reason = f"{golden.path.name}: the package has no weights {golden.weights_sha256[:8]}; {MAKE}"
    if os.environ.get("STPCODEC_REQUIRE_WEIGHTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def test_the_default_weights_have_golden_files() -> None:
    weights = installed_weights()[DEFAULT_MODEL]
    names = {golden.name for golden in golden_files() if golden.weights_sha256 == weights and golden.path.exists()}
    assert names == {clip.name for clip in CLIPS}, f"weights {weights[:8]} have no golden files: {MAKE}"


@every_file
@pytest.mark.parametrize("threads", [1, 2])
def test_the_integers_are_those_that_were_written(golden: LearnedGolden, threads: int) -> None:
    need_weights(golden)
    with thread_limit(threads):
        assert segment_sha256(golden.path) == golden.sha256


@pytest.mark.cuda
@every_file
def test_the_integers_are_the_same_on_a_gpu(golden: LearnedGolden) -> None:
    need_weights(golden)
    assert segment_sha256(golden.path, device="cuda") == golden.sha256


@every_file
def test_the_file_is_sound_and_small(golden: LearnedGolden) -> None:
    need_weights(golden)
    report = stpcodec.verify(golden.path, deep=True, device="cpu")
    assert report.problems == ()
    assert report.frames == golden.clip.frames
    assert golden.path.stat().st_size < 30_000


@every_file
def test_the_pictures_are_as_good_as_they_were(golden: LearnedGolden) -> None:
    """Pixels are floating-point numbers: equal but for rounding."""
    need_weights(golden)
    assert worst_psnr_db(golden.clip, golden.path) == pytest.approx(golden.psnr_db, abs=0.1)
