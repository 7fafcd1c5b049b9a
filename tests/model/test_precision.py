"""What the analysis is computed in."""

from __future__ import annotations

import pytest
import torch

from stpcodec.errors import UsageError
from stpcodec.model.precision import VARIABLE, analysis_dtype


@pytest.mark.parametrize(("value", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_variable_decides(value: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert analysis_dtype() == dtype


@pytest.mark.parametrize("value", ["auto", "", None])
@pytest.mark.parametrize("there", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_otherwise_the_processor(value: str | None, there: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, value)
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda found=probe == there: found, raising=False)
    assert (analysis_dtype() == torch.bfloat16) == (there is not None)


def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(UsageError, match="STPCODEC_DTYPE is 'half'; it can be float32, bfloat16 or auto"):
        analysis_dtype()
