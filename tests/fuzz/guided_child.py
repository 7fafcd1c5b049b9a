"""What tests.fuzz.guided starts: `python -m tests.fuzz.guided_child TARGET SECONDS`. It ends within libFuzzer."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import atheris
import torch

PACKAGE = Path(find_spec("stpcodec").submodule_search_locations[0])  # type: ignore[union-attr, index]
# Coverage is counted in what is imported here. Not in kernels: once marked, Numba could not compile them.
KERNELS = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if re.search(r"^@(exact|kernel|inlined|compiled)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
]
with atheris.instrument_imports(include=["stpcodec"], exclude=KERNELS):
    import stpcodec
    from stpcodec.container import StpReader
    from stpcodec.model.zoo import load_model
    from tests.fuzz.campaign import Tally, clocks, examine, peak_rss_mib
    from tests.fuzz.guided import BAD, LONGEST_INPUT, MEMORY_MIB, RUNS, TARGETS
    from tests.fuzz.originals import Original
    from tests.fuzz.restamp import mutate_file
    from tests.fuzz.targets import TARGETS as FUNCTIONS
    from tests.fuzz.targets import Claim
    from tests.golden import dct_v1
    from tests.golden.learned import golden_files

MOST_SAMPLES = 1 << 20
"""Pixels of all frames of a file: more may be asked for, and takes its time."""
MOST_LEARNED_FRAMES = 10
"""The networks take a hundred times as long as the rest; what is worth finding is found in few frames."""
GROWN_MIB = 1024
"""A process of this size makes way for another one between two inputs: what the fuzzer keeps of hundreds of thousands
of inputs is no finding. What one input takes beyond that, past MEMORY_MIB, is."""
NOBODY = Original("guided", b"", (), (), ())


def main() -> None:
    target = sys.argv[1]
    torch.set_num_threads(1)
    decodes = target in ("entropy", "decode", "conceal")
    if decodes:
        _compile_kernels()
    # Imports and kernels are not counted, so that however few seconds are left something is tried.
    ends = time.process_time() + float(sys.argv[2])
    folder = Path(tempfile.mkdtemp(prefix="stpcodec-fuzz-"))
    path, tally, seen, executed = folder / "x.stp", Tally(), set(), 0

    def one_input(data: bytes) -> None:
        nonlocal executed
        if time.process_time() > ends or (executed % 100 == 99 and _rss_mib() > GROWN_MIB):
            shutil.rmtree(folder)
            print(f"EXECUTED {executed}\nPEAK {peak_rss_mib():.0f}", file=sys.stderr, flush=True)
            os._exit(0)  # libFuzzer has no other end but its own clock
        executed += 1
        path.write_bytes(data)
        if decodes and _large(path):
            return
        found = examine(TARGETS[target], tally, path, NOBODY, Claim.NOTHING)
        place = found and found.rsplit("File", 1)[-1]  # one file for each line that raises
        if found and place not in seen:
            seen.add(place)
            name = f"guided-{hashlib.sha256(data).hexdigest()[:8]}-{target}.stp"
            (BAD / name).write_bytes(data)
            print(f"FOUND {name}: {found}", file=sys.stderr, flush=True)

    # Errors are found here and not by libFuzzer, which would end at the first. Its clocks count what others make the
    # processor do.
    options = [
        f"-max_len={LONGEST_INPUT}", f"-rss_limit_mb={MEMORY_MIB}", "-timeout=0",
        f"-artifact_prefix={RUNS / target}/artifact-",
    ]  # fmt: skip
    assert set(TARGETS.values()) <= set(FUNCTIONS)
    with patch("stpcodec.codec.models.load_model", cache(load_model)), clocks():
        atheris.Setup(
            [sys.argv[0], *options, str(RUNS / target / "corpus")],
            one_input,
            custom_mutator=lambda data, size, seed: mutate_file(data, size, seed, atheris.Mutate),
        )
        atheris.Fuzz()


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _compile_kernels() -> None:
    """Where this tree has not decoded anything yet, that takes longer than an input may."""
    for golden in (dct_v1.GOLDEN[0], *(golden for golden in golden_files() if golden.installed)):
        with stpcodec.open(golden.path, device="cpu") as file:
            for _ in file:
                pass


def _large(path: Path) -> bool:
    try:
        with StpReader(path) as reader:
            header = reader.header
            frames = max(1, reader.frame_count)
            too_many = header.model != "dct" and frames > MOST_LEARNED_FRAMES
            return too_many or header.width * header.height * frames > MOST_SAMPLES
    except Exception:
        return False  # the target will meet it too


if __name__ == "__main__":
    main()
