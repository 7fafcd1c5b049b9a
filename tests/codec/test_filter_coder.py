"""Loop filters through the entropy coder: against the specification, and on weights that do not exist."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.filter_coder import decode_filter, encode_filter, filter_changes
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.loop_filter import FILTER_CONTEXTS, FILTER_SIZE, LARGEST_DIRECT, LARGEST_WEIGHT

# Of each context another: coded by the wrong one it would be another stream.
TABLES = TableSet(1 + np.random.default_rng(0).integers(0, 40, (FILTER_CONTEXTS, 2 * LARGEST_DIRECT + 2)))


def draw(largest: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (FILTER_SIZE,), generator=generator, dtype=torch.int32)


@given(largest=st.integers(0, LARGEST_WEIGHT), follows=st.booleans(), seed=st.integers(0, 10**6))
def test_streams_are_those_of_the_specification(largest: int, follows: bool, seed: int) -> None:
    sent, before = draw(largest, seed), draw(largest, seed + 1) if follows else None
    coder, written = SymbolEncoder(), SymbolEncoder()
    encode_filter(coder, sent, TABLES, before=before)
    symbols = [value - (0 if before is None else int(before[at])) for at, value in enumerate(sent.tolist())]
    written.encode(np.array(symbols), TABLES, np.full(FILTER_SIZE, int(follows), np.int32))
    stream = coder.finish()
    assert stream == written.finish()
    found = decode_filter(SymbolDecoder(stream), TABLES, before=before)
    assert found.dtype == torch.int32
    assert found.tolist() == sent.tolist()
    contexts, changes = filter_changes(sent, before)
    assert contexts.tolist() == [int(follows)] * FILTER_SIZE
    assert changes.tolist() == symbols


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("beyond", [LARGEST_WEIGHT + 1, -LARGEST_WEIGHT - 1])
def test_weights_that_do_not_exist(beyond: int, follows: bool) -> None:
    sent = torch.zeros(FILTER_SIZE, dtype=torch.int32)
    sent[7] = beyond
    before = torch.ones_like(sent) if follows else None
    coder = SymbolEncoder()
    encode_filter(coder, sent, TABLES, before=before)
    with pytest.raises(CorruptFile, match="a weight of a loop filter that does not exist"):
        decode_filter(SymbolDecoder(coder.finish()), TABLES, before=before)
