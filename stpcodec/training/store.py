"""Arrays of the cache as tensors: in the GPU's memory as far as they fit there, else memory-mapped.

A step's crops are cut and mirrored where the array lies, so on a GPU nothing crosses the bus but what did not fit. On
the CPU the page cache holds what is used, and nothing is copied.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RESIDENT_SHARE = 0.4
"""Of the GPU's free memory; the rest is for the networks, their gradients and what a step remembers."""


class ArrayStore:
    """room: bytes to be held on `device`; None: RESIDENT_SHARE of a GPU's free memory, nothing on the CPU."""

    def __init__(self, device: torch.device, *, room: int | None = None):
        self.device = device
        if room is None:
            room = int(torch.cuda.mem_get_info(device)[0] * RESIDENT_SHARE) if device.type == "cuda" else 0
        self.room = room
        self.resident_bytes = 0
        self._arrays: dict[Path, Tensor] = {}

    def __call__(self, path: Path) -> Tensor:
        """The array of a .npy file; the same tensor at every call, not to be written to. Read at the first one."""
        if path not in self._arrays:
            # Copy on write: torch wants memory that it may write to, and files stay as they are.
            array = torch.from_numpy(np.load(path, mmap_mode="c"))
            size = array.numel() * array.element_size()
            if self.resident_bytes + size <= self.room:
                self.resident_bytes += size
                array = array.to(self.device, copy=True)
            self._arrays[path] = array
        return self._arrays[path]
