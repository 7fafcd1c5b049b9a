from __future__ import annotations

import sys

import pytest

from stpcodec.errors import UsageError
from stpcodec.evaluation.bd_rate import NoOverlap, bd_rate

# JCTVC-E137 with the results of its spreadsheet, as published with Netflix's libvmaf (BD-rate as a fraction).
PUBLISHED = [
    (
        [(108048.8736, 43.6471), (61279.976, 40.3953), (33905.6656, 37.247), (18883.6928, 34.2911)],
        [(108061.2784, 43.6768), (61299.9936, 40.4232), (33928.7472, 37.2761), (18910.912, 34.3147)],
        -0.00465215420752807,
    ),
    (
        [(40433.8848, 37.5761), (7622.7456, 35.3756), (2394.488, 33.8977), (1017.6184, 32.0603)],
        [(40370.12, 37.5982), (7587.0024, 35.4025), (2390.0944, 33.9194), (1017.0984, 32.0822)],
        -0.018779823450567612,
    ),
]
CURVE = [(100.0, 30.0), (200.0, 33.0), (420.0, 36.5), (900.0, 39.0)]


@pytest.mark.parametrize(("anchor", "test", "published"), PUBLISHED)
def test_published_examples(anchor: list, test: list, published: float) -> None:
    assert bd_rate(anchor, test).percent / 100 == pytest.approx(published, abs=5e-5)


def test_a_curve_against_itself_is_zero() -> None:
    result = bd_rate(CURVE, CURVE)
    assert result.percent == pytest.approx(0)
    assert (result.low, result.high, result.overlap, result.dropped) == (30.0, 39.0, 1.0, 0)


def test_a_fifth_less_rate_everywhere_is_minus_twenty_per_cent() -> None:
    assert bd_rate(CURVE, [(0.8 * rate, quality) for rate, quality in CURVE]).percent == pytest.approx(-20)


def test_exchanging_the_curves_inverts_the_ratio() -> None:
    other = [(150.0, 31.0), (260.0, 34.0), (800.0, 40.0)]
    there, back = bd_rate(CURVE, other).percent, bd_rate(other, CURVE).percent
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


def test_order_of_points_does_not_matter() -> None:
    assert bd_rate(CURVE[::-1], CURVE).percent == pytest.approx(0)


def test_only_the_common_range_counts_and_is_stated() -> None:
    better = [(rate, quality + 3) for rate, quality in CURVE]
    result = bd_rate(CURVE, better)
    assert (result.low, result.high) == (33.0, 39.0)
    assert result.overlap == pytest.approx(6 / 12)


def test_a_point_that_costs_more_and_is_not_better_is_left_out_and_counted() -> None:
    result = bd_rate(CURVE, [*CURVE, (300.0, 32.0)])
    assert result.dropped == 1
    assert result.percent == pytest.approx(0)


def test_no_common_range() -> None:
    with pytest.raises(NoOverlap, match=r"30\.00 to 39\.00, test 50\.00 to 59\.00"):
        bd_rate(CURVE, [(rate, quality + 20) for rate, quality in CURVE])


def test_too_few_points() -> None:
    with pytest.raises(NoOverlap, match="this one has 1"):
        bd_rate(CURVE, CURVE[:1])


@pytest.mark.parametrize("point", [(0.0, 30.0), (-1.0, 30.0), (10.0, float("nan"))])
def test_impossible_points(point: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="positive"):
        bd_rate(CURVE, [*CURVE, point])


def test_without_scipy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.interpolate", None)
    with pytest.raises(UsageError, match=r"stpcodec\[bench\]"):
        bd_rate(CURVE, CURVE)
