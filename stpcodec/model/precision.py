"""What the encoder's analysis, its second thoughts (refine.py), and its trial synthesis of pictures that nothing is
predicted from, are computed in on the CPU: bfloat16 where the processor multiplies it, float32 elsewhere.

Only these: they choose integers, and a latent that is rounded the other way now and then costs nothing that could
be measured. A synthesis in bfloat16 differs from one in float32 by 1 on 3 % of an intra frame's samples, and on a
quarter of them after 48 frames (docs/ablations.md), so both sides of the codec keep to float32 there.
"""

from __future__ import annotations

import os

import torch

from stpcodec.errors import UsageError

VARIABLE = "STPCODEC_DTYPE"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def analysis_dtype() -> torch.dtype:
    """By $STPCODEC_DTYPE: float32, bfloat16 or auto (also where it is not set).

    Raises:
        UsageError: it says something else.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted == "auto":
        return torch.bfloat16 if multiplies_bfloat16() else torch.float32
    if wanted not in _DTYPES:
        raise UsageError(f"${VARIABLE} is '{wanted}'; it can be {', '.join(_DTYPES)} or auto")
    return _DTYPES[wanted]


def multiplies_bfloat16() -> bool:
    """Emulated, it takes many times as long as float32."""
    # Private, and so possibly gone one day: then float32, which is never wrong.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, lambda: False)()) for probe in probes)
