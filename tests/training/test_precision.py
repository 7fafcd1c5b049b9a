"""bfloat16 only where the processor has it."""

from __future__ import annotations

import pytest
import torch

from stpcodec.training.optimiser import orthogonalise
from stpcodec.training.precision import bfloat16_is_fast

CPU = torch.device("cpu")


@pytest.mark.parametrize("there", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_it_asks_the_processor(there: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda probe=probe: probe == there, raising=False)
    assert bfloat16_is_fast(CPU) == (there is not None)
    assert bfloat16_is_fast(torch.device("cuda"))


def test_a_torch_that_does_not_say_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert not bfloat16_is_fast(CPU)


@pytest.mark.parametrize("fast", [True, False])
def test_matrices_come_out_orthogonal_in_either(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpcodec.training.optimiser.bfloat16_is_fast", lambda device: fast)
    torch.manual_seed(0)
    found = orthogonalise(torch.randn(2, 24, 40))
    assert found.dtype == torch.float32
    values = torch.linalg.svdvals(found)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3
