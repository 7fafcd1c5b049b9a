"""Whether bfloat16 saves time: on a processor that only emulates it, it costs a multiple."""

from __future__ import annotations

import torch

from stpcodec.model.precision import multiplies_bfloat16


def bfloat16_is_fast(device: torch.device) -> bool:
    """True for GPUs and for processors with bfloat16 products (AVX-512 BF16, AMX).

    Measured on one core with AVX2 only: a training step takes 8 to 11 times the processor time of float32.
    """
    if device.type != "cpu":
        return True
    return multiplies_bfloat16()
