from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stpcodec.evaluation import sweep
from stpcodec.evaluation.anchors import ANCHORS
from stpcodec.evaluation.plan import Plan
from stpcodec.evaluation.points import PointFile
from stpcodec.evaluation.rate_distortion import main
from stpcodec.evaluation.report import report
from stpcodec.evaluation.sweep import run
from stpcodec.video.frames import Frame
from tests.evaluation.clip_maker import StepCodec, write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mkv", 6)


def plan(clip: Path, codec: StepCodec, **changes: object) -> Plan:
    settings: dict = {"qualities": (10, 50, 90), "out": clip.parent / "report", **changes}
    return Plan(clips=(clip,), subjects=(codec,), **settings)


def test_a_sweep_measures_what_the_codec_does(clip: Path) -> None:
    codec = StepCodec()
    result = run(plan(clip, codec, anchors=(ANCHORS["x264"],)))
    ours = [p for p in result.points if p.codec == "steps"]
    assert [p.setting for p in ours] == [10, 50, 90]
    assert all(p.file_bytes == p.payload_bytes + 1000 for p in ours)
    assert all(p.frames == 6 and (p.width, p.height) == (64, 48) for p in ours)
    # Rounding to steps of 6 errs by -3 to 2: a mean square of 19 / 6.
    assert ours[-1].psnr_y == pytest.approx(43.1, abs=0.4)
    assert result.violations == result.failed == ()
    assert result.comparisons[0].clips[0].figure is not None


def test_files_of_a_sweep(clip: Path) -> None:
    result = run(plan(clip, StepCodec(), anchors=(ANCHORS["x264"],)))
    out = clip.parent / "report"
    assert sorted(p.name for p in out.iterdir()) == ["points.csv", "points.frames.jsonl", "report.md", "summary.json"]
    assert len(PointFile(out / "points.csv").points) == 3 + len(ANCHORS["x264"].crf)
    summary = json.loads((out / "summary.json").read_text())
    figure = summary["bd_rates"][0]
    assert (figure["test"], figure["anchor"], figure["metric"]) == ("steps", "x264", "psnr_yuv")
    assert figure["mean_percent"] == pytest.approx(result.comparisons[0].mean())
    assert "steps / x264" in (out / "report.md").read_text()
    assert report(result) == (out / "report.md").read_text()


def test_a_second_run_measures_nothing_again(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = StepCodec()
    first = run(plan(clip, codec, anchors=(ANCHORS["x264"],)))
    assert codec.encodes == 3
    monkeypatch.setattr(sweep, "measure_anchor", lambda *a, **k: pytest.fail("was measured already"))
    again = run(plan(clip, codec, anchors=(ANCHORS["x264"],)))
    assert codec.encodes == 3
    assert [(p.codec, p.setting, p.payload_bytes) for p in again.points] == [
        (p.codec, p.setting, p.payload_bytes) for p in first.points
    ]
    run(plan(clip, codec, qualities=(10, 70)))
    assert codec.encodes == 4
    run(plan(clip, codec, fresh=True))
    assert codec.encodes == 7


def test_other_weights_are_measured_again(clip: Path) -> None:
    codec = StepCodec()
    run(plan(clip, codec))
    codec.version = "2"
    run(plan(clip, codec))
    assert codec.encodes == 6


def test_the_anchor_cache_serves_another_report(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = clip.parent / "cache.csv"
    first = run(plan(clip, StepCodec(), anchors=(ANCHORS["x264"],), anchor_cache=cache))
    monkeypatch.setattr(sweep, "measure_anchor", lambda *a, **k: pytest.fail("was measured already"))
    other = clip.parent / "other"
    again = run(plan(clip, StepCodec(), anchors=(ANCHORS["x264"],), anchor_cache=cache, out=other))
    assert again.comparisons[0].mean() == pytest.approx(first.comparisons[0].mean(), rel=1e-3)
    assert {p.codec for p in PointFile(cache).points} == {"x264"}


class LosesAFrame(StepCodec):
    def decoded(self, frames: list[tuple], step: int) -> Iterator[Frame]:
        return super().decoded(frames[:-1], step)


class ShiftsTime(StepCodec):
    def stored_pts(self, pts: list[int]) -> tuple[int, ...]:
        return (*pts[:-1], pts[-1] + 1)

    def decoded(self, frames: list[tuple], step: int) -> Iterator[Frame]:
        return super().decoded([*frames[:-1], (*frames[-1][:3], frames[-1][3] + 20)], step)


def test_a_lost_frame_is_a_failure_that_does_not_end_the_run(clip: Path) -> None:
    result = run(Plan((clip,), (LosesAFrame("loses"), StepCodec("keeps")), clip.parent / "report", (50, 90)))
    assert len(result.failed) == 2
    assert "clip.mkv: loses quality 50: the decoded clip ends after 5 frames" in result.failed[0]
    assert [p.codec for p in result.points] == ["keeps", "keeps"]
    assert "ends after 5 frames" in report(result)


def test_times_that_differ_are_violations(clip: Path) -> None:
    result = run(plan(clip, ShiftsTime()))
    assert "stored times differ from the source's: frame 5 has pts" in result.violations[0]
    assert ".mp4: 1 frame times differ, first frame 5" in result.violations[0]
    assert len(result.violations) == 3  # stored times at every quality, the video at one


def test_nothing_is_left_behind(clip: Path) -> None:
    run(plan(clip, LosesAFrame(), frames=3))
    assert sorted(p.name for p in clip.parent.iterdir()) == ["clip.mkv", "report"]
    assert not [p for p in (clip.parent / "report").iterdir() if p.is_dir()]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.mkv"], 3, "missing.mkv: no such file"),
        (["CLIP", "--qualities", "0,50"], 2, "from 1 to 100"),
        (["CLIP", "--qualities", "high"], 2, "whole numbers"),
        (["CLIP", "--anchors", "vp7"], 2, "anchor 'vp7'"),
        (["CLIP", "--frames", "0"], 2, "at least 1"),
    ],
)
def test_mistakes_on_the_command_line(
    clip: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    out = clip.parent / "report"
    assert main([str(clip) if a == "CLIP" else a for a in arguments] + ["--out", str(out)]) == code
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_anchors_alone_from_the_command_line(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(clip), "--models", "", "--anchors", "x264,svtav1", "--frames", "4",
                 "--out", str(clip.parent / "report")])  # fmt: skip
    assert code == 0
    printed = capsys.readouterr()
    assert "svtav1 / x264" in printed.out
    assert "Violations: none" in printed.out
