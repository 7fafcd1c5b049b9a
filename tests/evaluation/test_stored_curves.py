"""Curves of pieces in memory: what the encoder makes of them, and measured once."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from stpcodec.evaluation import stored_curves as module
from stpcodec.evaluation.anchors import ANCHORS, measure_anchor
from stpcodec.evaluation.points import PointFile
from stpcodec.evaluation.stored_curves import frames_hash, stored_curve
from stpcodec.video.frames import Frame, VideoInfo
from tests.codec.clips import pictures

X264 = replace(ANCHORS["x264"], crf=(18, 33))


def piece(count: int = 3, *, seed: int = 0) -> list[Frame]:
    return [Frame(*planes, pts=n) for n, planes in enumerate(pictures(count + seed, height=48, width=64)[seed:])]


def test_a_curve_is_what_the_encoder_makes_of_the_frames(tmp_path: Path) -> None:
    frames = piece()
    info = VideoInfo("", 64, 48, 8, Fraction(1, 25), average_rate=Fraction(25))
    expected = [measure_anchor(X264, info, frames, crf=crf) for crf in X264.crf]
    curve = stored_curve(X264, "mine", frames, PointFile(tmp_path / "cache/x264.csv"))
    assert [size for size, _ in curve] == [point.payload_bytes for point in expected]
    assert [db for _, db in curve] == pytest.approx([point.psnr.frame_mean["yuv"] for point in expected])
    assert curve[0][0] > curve[1][0] > 0
    assert curve[0][1] > curve[1][1]


def test_what_is_stored_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x264.csv"
    first = stored_curve(X264, "mine", piece(), PointFile(path))
    calls: list[int] = []

    def counted(*args: object, crf: int) -> object:
        calls.append(crf)
        return measure_anchor(*args, crf=crf)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "measure_anchor", counted)
    again = stored_curve(X264, "mine", piece(), PointFile(path))
    assert calls == []
    assert [size for size, _ in again] == [size for size, _ in first]
    assert [db for _, db in again] == pytest.approx([db for _, db in first], abs=1e-6)
    stored_curve(replace(X264, crf=(18, 28, 33)), "mine", piece(), PointFile(path))
    assert calls == [28], "only what is missing"
    stored_curve(X264, "mine", piece(seed=1), PointFile(path))
    assert calls == [28, 18, 33], "other frames are another piece"
    monkeypatch.setattr(module, "anchor_version", lambda anchor: "another")
    stored_curve(X264, "mine", piece(), PointFile(path))
    assert calls == [28, 18, 33, 18, 33], "another encoder is measured anew"


def test_a_hash_is_of_every_sample_and_of_the_size() -> None:
    frames = piece()
    other = frames[2].v.copy()
    other[-1, -1] ^= 1
    turned = [Frame(f.y.reshape(64, 48), f.u.reshape(32, 24), f.v.reshape(32, 24), pts=f.pts) for f in frames]
    variants = [frames, [*frames[:2], replace(frames[2], v=other)], frames[:2], turned]
    assert len({frames_hash(variant) for variant in variants}) == 4
    assert frames_hash(frames) == frames_hash(piece())
