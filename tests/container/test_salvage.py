"""A damaged sidecar: intact pieces stay at their offsets."""

from __future__ import annotations

import random

import pytest

from tests.container.samples import make_segments, open_bytes, split_records, write_file

PIECE = 1 << 20
SIDECAR = random.Random(1).randbytes(3 * PIECE + 77)
FILE = write_file(make_segments(2), sidecar=SIDECAR)
RECORDS = split_records(FILE)
FIRST = next(number for number, record in enumerate(RECORDS) if number and record[4] == 3)


def salvage(data: bytes) -> tuple[bytes, list[str]]:
    lost: list[str] = []
    return b"".join(open_bytes(data).salvage_sidecar(lost.append)), lost


def without(piece: int) -> bytes:
    return bytes(PIECE).join([SIDECAR[: piece * PIECE], SIDECAR[(piece + 1) * PIECE :]])


def test_an_intact_one_is_as_it_is() -> None:
    assert salvage(FILE) == (SIDECAR, [])
    assert salvage(write_file(make_segments(2))) == (b"", [])


@pytest.mark.parametrize("piece", [0, 1, 2])
@pytest.mark.parametrize("index", [True, False])
def test_a_damaged_piece_becomes_zeros(piece: int, index: bool) -> None:
    records = list(RECORDS if index else RECORDS[:-1])
    record = records[FIRST + piece]
    records[FIRST + piece] = record[:-9] + b"?" + record[-8:]
    data, lost = salvage(b"".join(records))
    assert data == without(piece)
    assert len(lost) == 1


@pytest.mark.parametrize("piece", [0, 1, 2])
@pytest.mark.parametrize("index", [True, False])
def test_a_removed_piece_becomes_zeros(piece: int, index: bool) -> None:
    records = RECORDS[: FIRST + piece] + RECORDS[FIRST + piece + 1 :]
    data, lost = salvage(b"".join(records if index else records[:-1]))
    assert data == without(piece)
    assert len(lost) == 1


def test_a_lost_end_is_said() -> None:
    data, lost = salvage(b"".join(RECORDS[: FIRST + 2]))
    assert data == SIDECAR[: 2 * PIECE]
    assert lost == ["the sidecar's end is missing, from piece 2 on"]


def test_a_forged_number_makes_no_flood_of_zeros() -> None:
    """The last piece alone, of a sidecar that claims to have had more before it than the file ever had."""
    small = split_records(write_file(make_segments(2), sidecar=SIDECAR))
    data, lost = salvage(b"".join([*small[:FIRST], small[FIRST + 3]]))
    assert data == b""
    assert "more is missing" in lost[-1]
