"""The import table of the architecture, enforced: rooms import only downward, light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "stpcodec"

# room -> what it may import besides itself. "stpcodec" is the public face (`import stpcodec`), which stands
# for codec. Rooms of floor 2 know only the errors and how kernels are compiled, never each other.
DATA_PATH = {"video", "patches", "latents", "entropy", "container"}
CODEC_AND_BELOW = {"errors", "model", "codec", "stpcodec"} | DATA_PATH
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "compiled": set(),
    **{room: {"errors", "compiled"} for room in DATA_PATH},
    # Beyond the table of DESIGN.md: prediction ends in packed planes, and packing is one stateless file below.
    "model": {"errors", "compiled", "latents", "entropy", "patches"},
    "codec": {"errors", "compiled", "model"} | DATA_PATH,
    "evaluation": CODEC_AND_BELOW,
    "training": {"errors", "model", "patches", "video", "latents", "entropy", "evaluation"},
    "cli": CODEC_AND_BELOW | {"evaluation", "training"},
    "stpcodec": {"errors", "codec", "model"},  # stpcodec/__init__.py re-exports
}
WITHOUT_TORCH = ("entropy", "container")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import of a module, also those inside functions.

    `from a import b` yields `a.b`: b may be a module; the caller looks at prefixes only.
    """
    package = dotted(path).split(".") if path.name == "__init__.py" else dotted(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{prefix}.{alias.name}"


def room_of(name: str) -> str:
    """`stpcodec.video.reader` -> `video`; `stpcodec` and re-exports (`stpcodec.encode`) -> `stpcodec`."""
    parts = name.split(".")
    if len(parts) == 1:
        return "stpcodec"
    if (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file():
        return parts[1]
    return "stpcodec"


def violations(path: Path) -> list[str]:
    room = room_of(dotted(path))
    found = []
    for line, name in imported(path):
        if name.split(".")[0] != "stpcodec" or name == "stpcodec.__version__":
            continue
        target = room_of(name)
        if target != room and target not in ALLOWED[room]:
            found.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {room} may not import {name}")
    return found


def test_every_room_is_in_the_table() -> None:
    rooms = {room_of(dotted(path)) for path in modules()}
    assert rooms <= set(ALLOWED), f"rooms without a floor: {sorted(rooms - set(ALLOWED))}"


def test_rooms_import_only_downward() -> None:
    found = [line for path in modules() for line in violations(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_float_stops_at_the_door(room: str) -> None:
    """What decides a probability is an integer: entropy and container never see torch."""
    paths = sorted((PACKAGE / room).rglob("*.py"))
    assert paths, f"no modules in stpcodec/{room}"
    found = [
        f"{path}:{line}: imports {name}"
        for path in paths
        for line, name in imported(path)
        if name.split(".")[0] == "torch"
    ]
    assert not found, "\n".join(found)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Module-level imports form a tree of layers; `if TYPE_CHECKING` blocks and functions do not count."""
    names = {dotted(path): path for path in modules()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        top = ast.Module(body=[n for n in ast.parse(path.read_text(encoding="utf-8")).body
                               if isinstance(n, ast.Import | ast.ImportFrom)], type_ignores=[])
        lines = {n.lineno for n in top.body}
        targets = {t for line, t in imported(path) if line in lines}
        graph[name] = {m for t in targets for m in (t, t.rpartition(".")[0]) if m in names and m != name}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join((*trail[trail.index(name):], name))}"
        if state.get(name) == 2:
            return
        state[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*trail, name))
        state[name] = 2

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    "module", ["stpcodec", "stpcodec.errors", "stpcodec.container", "stpcodec.cli.main", "stpcodec.codec.stpfile"]
)
def test_light_modules_do_not_load_torch(module: str) -> None:
    """`stpcodec --help` and `info` must answer at once: torch takes two seconds to load, NumPy a tenth."""
    code = f"import sys, {module}; print(sorted(sys.modules.keys() & {{'torch', 'numpy', 'numba', 'av'}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
