"""Compiled coding of choices against the walk as it was written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.codec.motion_coder import decode_choice, encode_choice
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES, walk_blend

# Of every context another: coded by a wrong one it would be another stream.
TABLES = TableSet(1 + np.random.default_rng(0).integers(0, 40, (BLEND_CONTEXTS, CHOICES + 1)))


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_streams_are_those_of_the_walk(height: int, width: int, seed: int) -> None:
    choice = torch.randint(0, CHOICES, (height, width), generator=torch.Generator().manual_seed(seed)).int()
    compiled, written = SymbolEncoder(), SymbolEncoder()
    encode_choice(compiled, choice, TABLES)
    for part, context in walk_blend(choice):
        written.encode(choice[part].numpy() - 1, TABLES, context.numpy())
    data = compiled.finish()
    assert data == written.finish()
    assert torch.equal(decode_choice(SymbolDecoder(data), TABLES, height, width), choice)


@pytest.mark.parametrize("value", [2, -2, 40])
def test_what_is_no_choice_is_refused(value: int) -> None:
    coder = SymbolEncoder()
    coder.encode(np.full(8, value), TABLES, np.zeros(8, np.int32))
    with pytest.raises(CorruptFile, match="a reference that does not exist"):
        decode_choice(SymbolDecoder(coder.finish()), TABLES, 1, 1)
