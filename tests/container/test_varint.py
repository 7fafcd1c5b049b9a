from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.container.varint import VarintError, VarintReader, encode_varints, unzigzag, zigzag

unsigned = st.integers(0, (1 << 64) - 1)


def test_bytes_are_pinned() -> None:
    assert encode_varints([0, 127, 128, 300, (1 << 64) - 1]).hex() == "007f8001ac02ffffffffffffffffff01"
    assert [zigzag(n) for n in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]


@given(st.lists(unsigned, max_size=20))
def test_round_trip(values: list[int]) -> None:
    reader = VarintReader(encode_varints(values))
    assert [reader.unsigned() for _ in values] == values
    reader.expect_end()


@given(st.integers(-(1 << 62), 1 << 62))
def test_signed_round_trip(value: int) -> None:
    assert unzigzag(zigzag(value)) == value
    assert VarintReader(encode_varints([zigzag(value)])).signed() == value


@given(st.binary(max_size=24))
def test_any_bytes_have_one_reading(data: bytes) -> None:
    reader = VarintReader(data)
    values = []
    try:
        while reader.position < len(data):
            values.append(reader.unsigned())
    except VarintError:
        pass
    assert encode_varints(values) == data[: reader.position]


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\x01", b"\x80" * 1000]
)
def test_refused(data: bytes) -> None:
    with pytest.raises(VarintError):
        VarintReader(data).unsigned()


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(VarintError, match="outside"):
        encode_varints([value])


def test_left_over_bytes_are_refused() -> None:
    reader = VarintReader(b"\x05\x06")
    assert reader.unsigned() == 5
    with pytest.raises(VarintError, match="1 bytes too many"):
        reader.expect_end()
