"""Every generator that a training step draws from, so that a run continues with the very draws it would have made."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device, *generators: np.random.Generator) -> dict[str, Any]:
    """To be kept in a checkpoint: tensors and text only, since those load without running code."""
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [json.dumps(generator.bit_generator.state) for generator in generators],
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Any], device: torch.device, *generators: np.random.Generator) -> None:
    """A state of another kind of device restores what fits: the draws are others then, and as good."""
    torch.set_rng_state(state["torch"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    for generator, text in zip(generators, state["numpy"], strict=True):
        generator.bit_generator.state = json.loads(text)
