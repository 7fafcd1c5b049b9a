"""Encoders leave the scheduling of the thread that opens them as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stpcodec.evaluation.anchors import find_anchor, measure_anchor
from stpcodec.video.reader import VideoReader
from stpcodec.video.scheduling import usual_scheduling
from stpcodec.video.writer import VideoWriter
from tests.codec.clips import pictures, write_video

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no such thing here")
ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root has what must be undone")


def scheduling() -> tuple[int, int]:
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


@ROOT
def test_it_is_put_back() -> None:
    before = scheduling()
    with usual_scheduling():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
        assert scheduling() == (os.SCHED_FIFO, 99)
    assert scheduling() == before


def test_by_all_who_open_an_encoder(tmp_path: Path) -> None:
    """SVT-AV1 changes it where it may, as root."""
    before, source = scheduling(), write_video(tmp_path / "in.mkv", pictures(3, height=64, width=64))
    with VideoReader(source) as reader:
        measure_anchor(find_anchor("svtav1"), reader.info, reader, crf=50)
    assert scheduling() == before
    with VideoReader(source) as reader, VideoWriter(tmp_path / "out.mkv", reader.info, vcodec="libsvtav1") as writer:
        assert scheduling() == before
        for frame in reader:
            writer.write(frame)
            assert scheduling() == before
    assert scheduling() == before
