from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stpcodec.codec.free_memory import free_bytes, resident_bytes

MEMINFO = "MemTotal:       24684084 kB\nMemFree:  17895740 kB\nMemAvailable:   2000 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_what_the_system_says_is_available(tmp_path: Path) -> None:
    assert free_bytes(system(tmp_path, {"proc/meminfo": MEMINFO})) == 2000 * 1024


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
    assert resident_bytes(tmp_path) == 0


@pytest.mark.parametrize("visible", [True, False], ids=["by its name", "mounted in its place"])
def test_the_limit_of_a_container(tmp_path: Path, visible: bool) -> None:
    group = "sys/fs/cgroup/jobs/7" if visible else "sys/fs/cgroup"
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/jobs/7\n",
        f"{group}/memory.max": "1000000\n",
        f"{group}/memory.current": "700000\n",
        f"{group}/memory.stat": "anon 600000\ninactive_file 50000\nactive_file 20000\n",
    }
    assert free_bytes(system(tmp_path, files)) == 350_000


def test_the_limit_of_a_group_around(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/jobs/7\n",
        "sys/fs/cgroup/jobs/memory.max": "900000",
        "sys/fs/cgroup/jobs/memory.current": "800000",
        "sys/fs/cgroup/jobs/7/memory.max": "max\n",
        "sys/fs/cgroup/jobs/7/memory.current": "1",
    }
    assert free_bytes(system(tmp_path, files)) == 100_000


def test_the_older_interface(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "5:devices:/\n4:cpu,memory:/a\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000000",
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "1200000",
        "sys/fs/cgroup/memory/a/memory.stat": "inactive_file 7\ntotal_inactive_file 300000\n",
    }
    assert free_bytes(system(tmp_path, files)) == 100_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not say")
def test_this_machine() -> None:
    free = free_bytes()
    assert free is not None
    assert free > 1 << 20
    assert resident_bytes() > 1 << 20
