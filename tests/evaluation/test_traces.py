from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.errors import InputError
from stpcodec.evaluation.traces import Trace, TraceFile, traces_beside
from tests.evaluation.test_points import POINT

TRACE = Trace(psnr=(31.25, 30.5, 30.75), spans=((1, 900), (2, 130)), ms_ssim=None, vmaf=(90.0, 91.5, 89.25))


def test_traces_come_back_as_they_were(tmp_path: Path) -> None:
    path = traces_beside(tmp_path / "deep" / "points.csv")
    assert path.name == "points.frames.jsonl"
    file = TraceFile(path)
    file.add(POINT.key, Trace((1.0,), ((1, 1),)))
    file.add(POINT.key, TRACE)
    assert TraceFile(path).find(POINT.key) == file.find(POINT.key) == TRACE
    assert file.find(("other", *POINT.key[1:])) is None


def test_a_line_cut_off_is_dropped_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "points.frames.jsonl"
    TraceFile(path).add(POINT.key, TRACE)
    whole = path.read_text()
    path.write_text(whole + whole[:-30])
    assert TraceFile(path).find(POINT.key) == TRACE
    assert path.read_text() == whole
    path.write_text(whole + '{"key": 1}\n')
    with pytest.raises(InputError, match="line 2 is damaged"):
        TraceFile(path)
