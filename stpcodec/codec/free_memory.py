"""How much memory programs can have here: what the system says is available, and what limits of a container leave.

Where the system does not say (other than Linux), the answer is None, and nothing is bounded by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def free_bytes(root: Path = _ROOT) -> int | None:
    """Without swapping, and without what other programs hold."""
    found = list(_available(root))
    for group, version in _groups(root):
        found += _left(group, version)
    return max(0, min(found)) if found else None


def resident_bytes(root: Path = _ROOT) -> int:
    """Of this process; 0 where the system does not say."""
    for line in _lines(root / "proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _available(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """The control groups that this process is in, each with its version of the interface; limits of any count."""
    for line in _lines(root / "proc/self/cgroup"):
        _, kinds, name = line.split(":", 2)
        if kinds == "":
            base, version = root / "sys/fs/cgroup", 2
        elif "memory" in kinds.split(","):
            base, version = root / "sys/fs/cgroup/memory", 1
        else:
            continue
        own = base / name.strip("/")
        # In a container the name may be that of the host, and the group itself is what is mounted.
        yield base, version
        while own != base:
            yield own, version
            own = own.parent


def _left(group: Path, version: int) -> list[int]:
    """What the group's limit leaves; files that the system may forget are free. Nothing where there is no limit."""
    limit, usage, files = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )[version == 1]
    try:
        most, used = (int((group / name).read_text(encoding="ascii")) for name in (limit, usage))
    except (OSError, ValueError):  # not there, or "max"
        return []
    forgettable = [int(line.split()[1]) for line in _lines(group / "memory.stat") if line.split()[0] == files]
    return [most - used + sum(forgettable)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
