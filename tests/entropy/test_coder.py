"""Range coder: round trips, the exact bytes, and streams that are cut or damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stpcodec.entropy.coder import LARGEST_VALUE, SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet, gaussian_counts
from stpcodec.errors import CorruptFile

SCALES = (0.2, 1.0, 4.0, 12.0)
TABLES = TableSet(np.stack([gaussian_counts(scale, 15) for scale in SCALES]))
NARROW = TableSet(np.array([[1, 6, 1, 2], [1, 1, 1, 1]], dtype=np.int64))


def encode(values: np.ndarray, index: np.ndarray, tables: TableSet = TABLES) -> bytes:
    coder = SymbolEncoder()
    coder.encode(values, tables, index)
    return coder.finish()


def sample(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values as their tables expect them, with a few that need the escape."""
    random = np.random.default_rng(seed)
    index = random.integers(0, len(SCALES), count)
    values = np.rint(random.normal(0, 1, count) * np.array(SCALES)[index]).astype(np.int32)
    values[:: max(1, count // 7)] *= 40
    return values, index


shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9)


@given(st.data())
def test_what_goes_in_comes_out(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    anything = st.one_of(st.integers(-20, 20), st.integers(-LARGEST_VALUE, LARGEST_VALUE))
    values = data.draw(hnp.arrays(np.int32, shape, elements=anything))
    index = data.draw(hnp.arrays(data.draw(st.sampled_from([np.int32, np.uint8])), shape, elements=st.integers(0, 3)))
    decoded = SymbolDecoder(encode(values, index)).decode(TABLES, index)
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, values)


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 1000))
def test_calls_in_a_row_share_one_stream(counts: list[int], seed: int) -> None:
    """As the codec uses it: each call's tables may depend on what the calls before it decoded."""
    parts = [sample(count, seed + number) for number, count in enumerate(counts)]
    coder = SymbolEncoder()
    for number, (values, index) in enumerate(parts):
        tables = NARROW if number % 2 else TABLES
        coder.encode(values, tables, index % tables.rows)
    decoder = SymbolDecoder(coder.finish())
    for number, (values, index) in enumerate(parts):
        tables = NARROW if number % 2 else TABLES
        np.testing.assert_array_equal(decoder.decode(tables, index % tables.rows), values)


def test_nothing_costs_nothing() -> None:
    coder = SymbolEncoder()
    coder.encode(np.zeros((3, 0), np.int32), TABLES, np.zeros((3, 0), np.int32))
    assert coder.finish() == b"" == SymbolEncoder().finish()
    assert SymbolDecoder(b"").decode(TABLES, np.zeros((3, 0), np.int32)).shape == (3, 0)


def test_rate_is_near_the_entropy() -> None:
    """Within half a per cent and a word, against the tables' own ideal code length."""
    values, index = sample(20_000, seed=3)
    values = values.clip(-15, 15)
    probability = TABLES.counts / TABLES.counts.sum(1, keepdims=True)
    ideal_bits = -np.log2(probability[index, values + 15]).sum()
    assert len(encode(values, index)) * 8 <= ideal_bits * 1.005 + 80


def test_golden_bytes() -> None:
    """Pinned: files in the world hold such bytes. A change here is a change of the format version."""
    values = np.array([[0, 1, -1, 7], [-15, 15, 16, -16], [3, -2, 1000, -LARGEST_VALUE]], dtype=np.int32)
    index = np.array([[0, 1, 1, 2], [3, 3, 3, 3], [2, 2, 0, 1]], dtype=np.int32)
    assert encode(values, index).hex() == "03d8be68feb60a334042bb4ad7b00fe1ff7f0001"


def test_layout_of_a_stream() -> None:
    """varint(words) · words · escapes, read here by hand."""
    plain = encode(np.zeros(5, np.int32), np.full(5, 3))
    assert len(plain) == 1 + 4 * plain[0], "no escapes: nothing behind the words"
    escaped = encode(np.array([16, -16, 200]), np.full(3, 3))
    # (|value| - 15 - 1) · 2 + sign, LEB128: 0, 1, 368 = 0xf0 0x02
    assert escaped[1 + 4 * escaped[0] :] == bytes([0, 1, 0xF0, 0x02])


@pytest.mark.parametrize("count", [1, 40, 400])
def test_a_cut_stream_is_noticed(count: int) -> None:
    """Words and escapes both have known lengths, so every cut is seen."""
    values, index = sample(count)
    data = encode(values, index)
    for end in range(len(data)):
        with pytest.raises(CorruptFile) as caught:
            SymbolDecoder(data[:end]).decode(TABLES, index)
        assert "\n" not in str(caught.value)


@given(st.data())
def test_a_damaged_stream_raises_only_what_it_should(data: st.DataObject) -> None:
    values, index = sample(120)
    stream = bytearray(encode(values, index))
    for _ in range(data.draw(st.integers(1, 6))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(bytes(stream), index)


@given(st.binary(max_size=200))
def test_noise_as_a_stream(stream: bytes) -> None:
    decode_or_refuse(stream, np.arange(500) % 4)


def decode_or_refuse(stream: bytes, index: np.ndarray) -> None:
    try:
        decoded = SymbolDecoder(stream).decode(TABLES, index)
    except CorruptFile:
        return
    assert decoded.shape == index.shape
    assert np.abs(decoded).max() <= LARGEST_VALUE


def test_an_endless_number_is_refused() -> None:
    with pytest.raises(CorruptFile, match="35 bits"):
        SymbolDecoder(b"\xff" * 40)


def test_a_value_out_of_range_is_refused() -> None:
    data = encode(np.array([99]), np.array([0]))
    words = 1 + 4 * data[0]
    huge = data[:words] + bytes([0xFE, 0xFF, 0xFF, 0xFF, 0x0F])
    with pytest.raises(CorruptFile, match="allowed is 1048576"):
        SymbolDecoder(huge).decode(TABLES, np.array([0]))
    with pytest.raises(ValueError, match="cannot be coded"):
        encode(np.array([-LARGEST_VALUE - 1]), np.array([0]))
