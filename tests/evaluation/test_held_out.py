"""Pieces coded whole, and what one model saves against another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.evaluation.held_out import CodedPieces, code_pieces, saving
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures


def curve(*points: tuple[int, float]) -> list[CodedPieces]:
    return [CodedPieces(20 + number, size, db) for number, (size, db) in enumerate(points)]


OLD = curve((1000, 30.0), (2000, 34.0), (4000, 38.0))


def test_the_same_curve_saves_nothing_wherever_its_points_are() -> None:
    assert saving(OLD, OLD) == pytest.approx(0)
    between = curve((1414, 32.0), (2828, 36.0), (4000, 38.0))
    assert saving(OLD, between) == pytest.approx(0, abs=1e-3)


def test_half_the_bytes_are_half() -> None:
    assert saving(OLD, curve((500, 30.0), (1000, 34.0), (2000, 38.0))) == pytest.approx(0.5)
    assert saving(OLD, curve((2000, 30.0), (4000, 34.0), (8000, 38.0))) == pytest.approx(-1.0)


def test_four_decibels_are_a_factor_of_two_here() -> None:
    assert saving(OLD, curve((1000, 34.0), (2000, 38.0), (4000, 42.0))) == pytest.approx(0.5)


def test_without_a_common_range() -> None:
    assert saving(OLD, curve((400, 40.0), (500, 41.0), (900, 42.0))) == pytest.approx(0.9)
    assert saving(OLD, curve((10, 20.0), (11, 21.0), (12, 22.0))) == 0.0


def test_a_point_that_is_no_better_than_the_one_before_counts_for_nothing() -> None:
    assert saving(OLD, curve((500, 30.0), (1000, 34.0), (9000, 33.9))) == pytest.approx(0.5)


def test_pieces_are_coded_and_decoded(tiny_weights: Path) -> None:
    model = load_model(tiny_weights, device=torch.device("cpu"))
    piece = [Frame(*planes, pts=number) for number, planes in enumerate(pictures(4, height=48, width=64))]
    low, high = (code_pieces(model, [piece], quality) for quality in (10, 90))
    assert low.coded_bytes < high.coded_bytes
    assert low.psnr_db < high.psnr_db
    twice = code_pieces(model, [piece, piece], 10)
    assert twice.coded_bytes == 2 * low.coded_bytes
    assert twice.psnr_db == pytest.approx(low.psnr_db)
