"""Kernels run whether or not there is a place to keep them, and do the same whichever run has compiled them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from numba.core.caching import CacheImpl

import stpcodec
from stpcodec.compiled import compiled


def double(x):  # type: ignore[no-untyped-def]
    return 2 * x


def test_kernels_are_kept() -> None:
    assert compiled()(double)(4) == 8


def test_without_a_folder_to_write_to_they_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    assert compiled(fastmath=True)(double)(4) == 8


Name = tuple[Path, str]


def kernels() -> dict[Name, tuple[str, set[str]]]:
    """Of every function that is compiled: how, and which other functions it calls by name."""
    found = {}
    for path in sorted(Path(stpcodec.__file__).parent.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                decorator = node.decorator_list[0]
                how = decorator.id if isinstance(decorator, ast.Name) else ast.unparse(decorator)
                calls = {c.func.id for c in ast.walk(node) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)}
                found[path, node.name] = how, calls
    return found


def test_sums_that_may_be_reordered_do_not_cross_a_call() -> None:
    """LLVM orders a called function's sums by where it is compiled, and of the copies that several modules have the
    process takes the first it has loaded: an encode that compiled its kernels wrote other bytes than the next one."""
    found = kernels()
    reordering = {name for name, (how, _) in found.items() if how == "kernel" or "fastmath=True" in how}
    assert {"polish_rows", "warp_packed", "add_product"} <= {name for _, name in reordering}

    def crosses(path: Path, called: str) -> bool:
        """In the caller's own file, or imported from any other."""
        if (path, called) in found:
            return (path, called) in reordering
        return called in {name for _, name in reordering}

    assert not [
        (name, called) for (path, name), (_, calls) in found.items() for called in calls if crosses(path, called)
    ]
