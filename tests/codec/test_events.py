from __future__ import annotations

import pytest

from stpcodec.codec.events import Progress


def test_prediction_and_eta_follow_from_the_share_done() -> None:
    event = Progress("encode", frames_done=25, frames_total=100, bytes_written=1000, elapsed_seconds=5.0)
    assert event.frames_per_second == pytest.approx(5.0)
    assert event.predicted_bytes == 4000
    assert event.eta_seconds == pytest.approx(15.0)


def test_sound_does_not_grow_with_the_frames() -> None:
    event = Progress("encode", 25, 100, bytes_written=1000, elapsed_seconds=5.0, fixed_bytes=600)
    assert event.predicted_bytes == 600 + 4 * 400


def test_what_is_unknown_is_none() -> None:
    event = Progress("encode", frames_done=25, frames_total=None, bytes_written=1000, elapsed_seconds=5.0)
    assert event.predicted_bytes is None
    assert event.eta_seconds is None
    start = Progress("encode", frames_done=0, frames_total=100, bytes_written=0, elapsed_seconds=0.0)
    assert start.frames_per_second == 0.0
    assert start.eta_seconds is None


def test_a_wrong_estimate_of_the_total_does_not_shrink_the_prediction() -> None:
    event = Progress("encode", frames_done=120, frames_total=100, bytes_written=1000, elapsed_seconds=5.0)
    assert event.predicted_bytes == 1000
    assert event.eta_seconds == 0
