from __future__ import annotations

from dataclasses import replace

import pytest

from stpcodec.evaluation.points import Point
from stpcodec.evaluation.summary import METRICS, compare, comparisons, violations
from stpcodec.evaluation.tables import bd_rate_tables
from tests.evaluation.test_points import POINT


def curve(codec: str, clip: str, *, rate: float, gain_db: float = 0.0, group: str = "raw") -> list[Point]:
    return [
        replace(POINT, clip=clip, clip_hash=clip, group=group, codec=codec, setting=setting, problem="",
                payload_bytes=round(rate * 2 ** (setting / 20)), psnr_yuv=30 + setting / 10 + gain_db)
        for setting in (10, 30, 50, 70, 90)
    ]  # fmt: skip


def test_mean_and_median_over_clips_and_groups() -> None:
    points = [p for clip in "abc" for p in curve("x264", clip, rate=10000, group="raw" if clip == "a" else "seen")]
    for clip, factor in (("a", 0.5), ("b", 0.9), ("c", 1.0)):
        points += curve("stp-s", clip, rate=10000 * factor, group="raw" if clip == "a" else "seen")
    result = compare(points, test="stp-s", anchor="x264", metric=METRICS[0])
    assert result.percents() == pytest.approx([-50, -10, 0], abs=0.02)
    assert result.mean() == pytest.approx(-20, abs=0.02)
    assert result.median() == pytest.approx(-10, abs=0.02)
    assert result.mean("raw") == pytest.approx(-50, abs=0.02)
    assert result.mean("seen") == pytest.approx(-5, abs=0.02)
    assert result.mean("none such") is None


def test_a_clip_without_a_figure_says_why_and_is_not_averaged() -> None:
    points = curve("x264", "a", rate=100) + curve("stp-s", "a", rate=50)
    points += curve("x264", "b", rate=100) + curve("stp-s", "b", rate=50, gain_db=40)
    result = compare(points, test="stp-s", anchor="x264", metric=METRICS[0])
    assert len(result.percents()) == 1
    assert "no range of quality" in result.clips[1].reason
    assert "1 of 2" in bd_rate_tables([result])


def test_every_metric_has_its_figures_and_says_what_it_lacks() -> None:
    points = curve("x264", "a", rate=100) + curve("stp-s", "a", rate=50)
    assert {c.metric for c in comparisons(points, models=["stp-s"], anchors=["x264"])} == {
        "psnr_yuv", "psnr_y", "clip_psnr_yuv", "psnr_yuv_with_messages",
    }  # fmt: skip
    points = [replace(p, ms_ssim=1 - 0.1 / p.setting, vmaf=50 + p.setting / 2) for p in points]
    points += curve("x264", "small", rate=100) + curve("stp-s", "small", rate=50)
    result = {c.metric: c for c in comparisons(points, models=["stp-s"], anchors=["x264"])}
    assert result["ms_ssim_db"].percents() == pytest.approx([-50], abs=0.5)
    assert result["vmaf"].percents() == pytest.approx([-50], abs=0.5)
    assert result["vmaf"].clips[1].reason == "x264 and stp-s without vmaf"
    tables = bd_rate_tables(list(result.values()))
    assert tables.count("| clip ") == 3
    assert "VMAF (vmaf_v0.6.1)" in tables


def test_which_pairs_are_compared() -> None:
    points = [p for codec in ("stp-s", "dct", "x264", "x265") for p in curve(codec, "a", rate=1000)]
    pairs = [
        (c.test, c.anchor)
        for c in comparisons(points, models=["stp-s", "dct"], anchors=["x264", "x265"])
        if c.metric == METRICS[0].name
    ]
    assert pairs == [
        ("stp-s", "x264"), ("stp-s", "x265"), ("stp-s", "dct"), ("dct", "x264"), ("dct", "x265"), ("x265", "x264"),
    ]  # fmt: skip


def test_a_good_curve_has_no_violations() -> None:
    assert violations(curve("stp-s", "a", rate=100), ["stp-s"]) == []


def test_what_does_not_rise_is_reported_for_our_codecs_only() -> None:
    points = curve("stp-s", "a", rate=100)
    points[2] = replace(points[2], payload_bytes=points[1].payload_bytes)
    points[4] = replace(points[4], psnr_yuv=points[3].psnr_yuv - 0.1)
    points[0] = replace(points[0], problem="frame times differ")
    found = violations(points, ["stp-s"])
    assert len(found) == 3
    assert "quality 10: frame times differ" in found[0]
    assert "from quality 30 to 50 the size goes from" in found[1]
    assert "from quality 70 to 90 PSNR goes from" in found[2]
    assert violations([replace(p, codec="x264") for p in points], ["stp-s"]) == []
