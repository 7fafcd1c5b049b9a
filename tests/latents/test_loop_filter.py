from __future__ import annotations

from stpcodec.latents.loop_filter import (
    CHROMA_TERMS,
    FILTER_CONTEXTS,
    FILTER_SIZE,
    LARGEST_DIRECT,
    LUMA_TERMS,
    SHIFTS,
    filter_counts,
)


def test_every_weight_has_a_unit() -> None:
    assert len(SHIFTS) == FILTER_SIZE == 2 * LUMA_TERMS + CHROMA_TERMS + 2 == 44
    assert min(SHIFTS) > 0


def test_counts_are_those_of_the_specification() -> None:
    """FORMAT.md §19, written out anew."""
    counts = filter_counts()
    assert counts.shape == (FILTER_CONTEXTS, 2 * LARGEST_DIRECT + 2)
    assert counts[:, LARGEST_DIRECT].tolist() == [2**14, 3 * 2**14]
    for s in range(1, LARGEST_DIRECT + 1):
        first = 1 + 2**13 * 55**s // 100**s + 2**11 * 86**s // 100**s
        change = 1 + 2**13 * 62**s // 100**s + 2**10 * 88**s // 100**s
        for symbol in (s, -s):
            assert counts[:, symbol + LARGEST_DIRECT].tolist() == [first, change]
    assert counts[:, -1].tolist() == [8, 8]
