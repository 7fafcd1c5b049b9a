"""`python -m tests.fuzz.guided TARGET --minutes N`: coverage-guided fuzzing of one target with Atheris.

Atheris is the extra ``fuzz`` (`pip install '.[fuzz]'`); without it `python -m tests.fuzz` has seeded mutations. The
corpus starts as the golden files and those in tests/golden/bad, and grows in runs/fuzz/guided/TARGET from run to run.
What breaks something goes to tests/golden/bad as guided-HASH-TARGET.stp, where the tests give it to every target. A
table row on standard output: executions, minutes of processor time, findings, memory.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

GOLDEN = Path("tests/golden")
BAD = GOLDEN / "bad"
RUNS = Path("runs/fuzz/guided")
TARGETS = {
    "container": "container reader",
    "entropy": "entropy decoder",
    "decode": "whole decode",
    "conceal": "decode --conceal",
    "info": "info",
    "repair": "repair",
}
LONGEST_INPUT = 32 << 10
MEMORY_MIB = 1536
"""More is a finding. torch, both models and Atheris take 500 to 770; a process that has 1024 makes way for another."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time, for each target")
    args = parser.parse_args()
    if find_spec("atheris") is None:
        print("Atheris is not installed; `pip install 'stpcodec[fuzz]'` (Linux), or `python -m tests.fuzz` without it")
        return 2
    print("| target | executions | processor minutes | findings | coverage | corpus | peak RSS |")
    print("|---|---|---|---|---|---|---|", flush=True)
    findings = sum(fuzz(target, args.minutes) for target in (TARGETS if args.target == "all" else [args.target]))
    return 1 if findings else 0


def fuzz(target: str, minutes: float) -> int:
    """Fuzzes in processes of their own, since libFuzzer ends its own; another one where one is ended by a finding."""
    folder = RUNS / target
    corpus, log = folder / "corpus", folder / "log.txt"
    corpus.mkdir(parents=True, exist_ok=True)
    for path in (*GOLDEN.glob("dct*.stp"), *GOLDEN.glob("learned/*.stp"), *BAD.glob("*.stp")):
        (corpus / path.name).write_bytes(path.read_bytes())
    before, start = set(BAD.iterdir()), _children_seconds()
    executions = coverage = peak_mib = ended = 0
    log.write_bytes(b"")
    while (left := 60 * minutes - (_children_seconds() - start)) > 5 or log.stat().st_size == 0:
        with log.open("ab") as file:
            begins = file.tell()
            child = subprocess.run([sys.executable, "-m", "tests.fuzz.guided_child", target, str(max(1, int(left)))],
                                   stdout=file, stderr=file)  # fmt: skip
        text = log.read_bytes()[begins:].decode(errors="replace")
        executions += _last(r"^EXECUTED (\d+)", text) or _last(r"^#(\d+)\t", text)
        coverage = max(coverage, _last(r"cov: (\d+)", text))
        peak_mib = max(peak_mib, _last(r"^PEAK (\d+)", text) or _last(r"rss: (\d+)Mb", text))
        if child.returncode:  # memory, or a crash of C code: libFuzzer left the input
            ended += 1
            for left_behind in folder.glob("artifact-*"):
                left_behind.rename(BAD / f"guided-{left_behind.name[-8:]}-{target}.stp")
            if not executions or ended == 20:
                print(f"{target}: ended {ended} times, see {log}", file=sys.stderr)
                break
    found = sorted(path.name for path in set(BAD.iterdir()) - before)
    spent, kept = (_children_seconds() - start) / 60, len(list(corpus.iterdir()))
    row = (TARGETS[target], executions, f"{spent:.1f}", len(found), coverage, kept, f"{peak_mib} MiB")
    print(f"| {' | '.join(map(str, row))} |", flush=True)
    for name in found:
        print(f"{BAD / name}", file=sys.stderr)
    return len(found) + ended


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
