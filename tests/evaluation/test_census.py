"""Every symbol that is coded is counted once, in the row that priced it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.evaluation.census import Census
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame
from tests.training.material import triples


def test_what_is_counted_is_what_the_coder_was_given(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_weights, device=torch.device("cpu"))
    given: dict[int, int] = {}
    original = SymbolEncoder.encode

    def encode(self: SymbolEncoder, values: np.ndarray, tables: TableSet, index: np.ndarray) -> None:
        given[id(tables)] = given.get(id(tables), 0) + values.size
        original(self, values, tables, index)

    monkeypatch.setattr(SymbolEncoder, "encode", encode)
    clip = triples(5, 64, 96, dx=2, seed=3)
    frames = [Frame(y=y, u=u, v=v, pts=number, duration=1) for number, (y, u, v) in enumerate(clip)]
    census = Census(model)
    census.add(frames, 60)
    counted = {name: int(counts.sum()) for name, counts in census.counts.items()}
    assert counted["tables.intra.y"] == given[id(model.intra.y_tables)] > 0
    assert counted["tables.intra.z"] == given[id(model.intra.z_tables)] > 0
    assert counted["tables.motion"] > 0
    # A picture that is skipped in the end was coded first.
    assert 0 < counted["tables.inter.z"] <= given[id(model.inter.z_tables)]
    census.add(frames, 60)
    assert {name: 2 * number for name, number in counted.items()} == {
        name: int(counts.sum()) for name, counts in census.counts.items()
    }
