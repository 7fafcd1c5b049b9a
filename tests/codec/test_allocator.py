"""Freed memory stays with the process: the next tensor of a size costs no pages."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from stpcodec.codec.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for number in range(22):
    if number == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [np.ones(2 << 20) for _ in range(6)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_tensors_of_the_same_size_cost_no_pages_again() -> None:
    faults = {
        kind: int(subprocess.run([sys.executable, "-c", PROGRAM, kind], check=True, capture_output=True).stdout)
        for kind in ("keep", "leave")
    }
    assert faults["keep"] < faults["leave"] / 10
