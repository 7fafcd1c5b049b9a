from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from stpcodec.errors import UsageError, VerificationFailed
from stpcodec.evaluation import ffmpeg
from stpcodec.evaluation.ffmpeg import Ffmpeg, NotAvailable, find_ffmpeg, with_encoder, with_filter
from stpcodec.evaluation.perceptual import MsSsimMeter, VmafMeter, load_ms_ssim
from stpcodec.evaluation.quality import Instruments, Quality, QualityMeter
from stpcodec.video.frames import Frame
from tests.evaluation.clip_maker import info_of, moving_frames, needs


def grey(level: int, *, dtype: type = np.uint8) -> Frame:
    small = np.full((88, 88), 128, dtype)
    return Frame(np.full((176, 176), level, dtype), small, small, pts=0)


def noisy(frame: Frame, spread: float) -> Frame:
    dice = np.random.default_rng(3)
    top = 255 if frame.y.dtype == np.uint8 else 1023
    y = np.clip(frame.y + dice.normal(0, spread, frame.y.shape), 0, top).astype(frame.y.dtype)
    return replace(frame, y=y)


def measured(instruments: Instruments, *, spread: float = 0, count: int = 3, **size: int) -> Quality:
    with QualityMeter(info_of(**size), instruments) as meter:
        for frame in moving_frames(count, **size):
            meter.add(frame, noisy(frame, spread))
        return meter.result()


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (10, np.uint16)])
def test_ms_ssim_of_two_greys_is_what_its_formula_says(bit_depth: int, dtype: type) -> None:
    """Without structure every contrast term is 1; what is left is luminance at the coarsest scale, weight 0.1333."""
    pytest.importorskip("pytorch_msssim")
    factor = 1 << (bit_depth - 8)
    meter = MsSsimMeter(bit_depth)
    meter.add(grey(60 * factor, dtype=dtype), grey(120 * factor, dtype=dtype))
    c1 = (0.01 * ((1 << bit_depth) - 1) / factor) ** 2
    assert meter.values[0] == pytest.approx(((2 * 60 * 120 + c1) / (60**2 + 120**2 + c1)) ** 0.1333, abs=1e-4)


def test_ms_ssim_is_one_for_the_same_and_falls_with_noise() -> None:
    pytest.importorskip("pytorch_msssim")
    size = {"width": 176, "height": 162}
    same, little, much = (measured(Instruments(ms_ssim=True), spread=spread, **size) for spread in (0, 4, 30))
    assert same.ms_ssim == pytest.approx(1, abs=1e-6)
    assert little.ms_ssim is not None
    assert much.ms_ssim is not None
    assert 1 > little.ms_ssim > much.ms_ssim + 0.02 > 0.1
    assert same.frame_ms_ssim is not None
    assert len(same.frame_ms_ssim) == 3


def test_ms_ssim_is_left_out_where_a_side_is_not_longer_than_160() -> None:
    result = measured(Instruments(ms_ssim=True), width=176, height=160)
    assert result.ms_ssim is None
    assert result.psnr.frames == 3


def test_without_its_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(UsageError, match=r"stpcodec\[bench\]"):
        load_ms_ssim()


@needs(ffmpeg_filter="libvmaf")
@pytest.mark.parametrize("size", [{}, {"width": 65, "height": 47}, {"bit_depth": 10}], ids=["8bit", "odd", "10bit"])
def test_vmaf_is_high_for_the_same_and_falls_with_noise(size: dict[str, int]) -> None:
    instruments = Instruments(vmaf=with_filter("libvmaf"))
    unit = 1 << (size.get("bit_depth", 8) - 8)
    same, much = (measured(instruments, spread=spread * unit, **size) for spread in (0, 25))
    assert same.vmaf is not None
    assert much.vmaf is not None
    assert same.vmaf > 93  # of a clip against itself it is not always 100
    assert much.vmaf < same.vmaf - 15
    assert same.frame_vmaf is not None
    assert len(same.frame_vmaf) == 3


@needs(ffmpeg_filter="libvmaf")
def test_vmaf_compares_each_frame_with_its_own() -> None:
    """One bad frame among good ones is the one with the low figure."""
    meter = VmafMeter(with_filter("libvmaf"), 64, 48, 8)
    for number, frame in enumerate(moving_frames(5)):
        meter.add(frame, noisy(frame, 40 if number == 3 else 0))
    values = meter.finish()
    meter.close()
    assert min(range(5), key=values.__getitem__) == 3
    assert values[3] < min(values[:3]) - 10


def test_a_program_that_fails_is_an_error_and_not_a_figure() -> None:
    fails = Ffmpeg("false", "0", frozenset(), frozenset())
    with pytest.raises(VerificationFailed, match="VMAF: ffmpeg ended with"):
        measured(Instruments(vmaf=fails), count=40)


def test_what_is_not_available_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Ffmpeg("ffmpeg", "n8.0", frozenset({"scale"}), frozenset({"libx264"}))
    with monkeypatch.context() as patch:
        patch.setattr(ffmpeg, "find_ffmpeg", lambda: plain)
        assert with_filter("scale") is plain
        with pytest.raises(NotAvailable, match=r"\(n8.0\) was built without libvmaf"):
            with_filter("libvmaf")
        with pytest.raises(NotAvailable, match="without libvvenc"):
            with_encoder("libvvenc")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(NotAvailable, match=r"stpcodec\[bench\]"):
        find_ffmpeg()
