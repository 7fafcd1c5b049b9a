from __future__ import annotations

import math

import numpy as np
import pytest

from stpcodec.errors import VerificationFailed
from stpcodec.evaluation.metrics import LOSSLESS_DB, PsnrMeter, measure, psnr_db, squared_error, weighted
from stpcodec.video.frames import Frame


def frame(y: int, u: int, v: int, *, dtype: type = np.uint8, height: int = 4, width: int = 6) -> Frame:
    small = (-(-height // 2), -(-width // 2))
    return Frame(np.full((height, width), y, dtype), np.full(small, u, dtype), np.full(small, v, dtype), pts=0)


def test_an_error_of_one_everywhere_is_48_13_db() -> None:
    result = measure([frame(100, 50, 60)], [frame(101, 49, 60)], bit_depth=8)
    assert result.frame_mean["y"] == pytest.approx(20 * math.log10(255))
    assert result.frame_mean["u"] == pytest.approx(48.1308, abs=1e-4)
    assert result.frame_mean["v"] == LOSSLESS_DB
    assert result.frame_mean["yuv"] == pytest.approx((7 * 20 * math.log10(255) + LOSSLESS_DB) / 8)


def test_ten_bit_has_the_peak_1023() -> None:
    a, b = frame(1000, 512, 512, dtype=np.uint16), frame(990, 512, 512, dtype=np.uint16)
    assert measure([a], [b], bit_depth=10).frame_mean["y"] == pytest.approx(10 * math.log10(1023**2 / 100))


def test_the_two_conventions_differ_as_they_should() -> None:
    """Errors of 1 and 10 in two frames: the mean of the dB against the dB of the mean."""
    reference = [frame(100, 128, 128)] * 2
    result = measure(reference, [frame(101, 128, 128), frame(110, 128, 128)], bit_depth=8)
    assert result.frame_mean["y"] == pytest.approx((psnr_db(1, 255) + psnr_db(100, 255)) / 2)
    assert result.clip["y"] == pytest.approx(psnr_db(50.5, 255))
    assert result.frame_mean["y"] > result.clip["y"]
    assert result.frames == 2


def test_weights_are_six_one_one() -> None:
    assert weighted({"y": 40.0, "u": 44.0, "v": 48.0}) == pytest.approx((240 + 44 + 48) / 8)


def test_squared_error_does_not_wrap_around() -> None:
    black, white = np.zeros((2, 3), np.uint8), np.full((2, 3), 255, np.uint8)
    assert squared_error(black, white) == squared_error(white, black) == 6 * 255**2


@pytest.mark.parametrize(("reference", "decoded", "short"), [(2, 1, "decoded clip"), (1, 2, "reference")])
def test_a_missing_frame_is_an_error(reference: int, decoded: int, short: str) -> None:
    one = frame(1, 2, 3)
    with pytest.raises(VerificationFailed, match=f"the {short} ends after 1 frames"):
        measure([one] * reference, [one] * decoded, bit_depth=8)


def test_frames_of_another_size_are_an_error() -> None:
    with pytest.raises(VerificationFailed, match=r"frame 0: plane y is \(4, 8\)"):
        measure([frame(1, 2, 3)], [frame(1, 2, 3, width=8)], bit_depth=8)


def test_an_empty_clip_has_no_psnr() -> None:
    with pytest.raises(VerificationFailed, match="no frame"):
        PsnrMeter().result()
