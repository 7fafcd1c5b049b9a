"""Kernels run whether or not there is a place to keep them."""

from __future__ import annotations

import pytest
from numba.core.caching import CacheImpl

from stpcodec.compiled import compiled


def double(x):  # type: ignore[no-untyped-def]
    return 2 * x


def test_kernels_are_kept() -> None:
    assert compiled()(double)(4) == 8


def test_without_a_folder_to_write_to_they_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    assert compiled(fastmath=True)(double)(4) == 8
