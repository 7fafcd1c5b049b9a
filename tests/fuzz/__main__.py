"""`python -m tests.fuzz --minutes 10`: a campaign of seeded mutations; the table on standard output.

Files that found something go to runs/fuzz. Mutation N of a seed is the same everywhere: `--first N --count 1`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.fuzz.campaign import Result, run
from tests.fuzz.originals import MODELS, originals
from tests.fuzz.targets import TARGETS

FOUND = Path("runs/fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, help="how long")
    parser.add_argument("--count", type=int, help="how many mutations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS), metavar="NAME")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="NAME", help="whose files")
    args = parser.parse_args()
    if args.minutes is None and args.count is None:
        parser.error("give --minutes or --count")
    torch.set_num_threads(1)

    def save(name: str, data: bytes) -> None:
        FOUND.mkdir(parents=True, exist_ok=True)
        (FOUND / name).write_bytes(data)

    seconds = None if args.minutes is None else 60 * args.minutes
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            originals(args.models),
            Path(folder),
            seed=args.seed,
            first=args.first,
            count=args.count,
            seconds=seconds,
            targets=args.targets,
            save=save,
        )
    report(result, time.monotonic() - start)
    return 0 if result.clean else 1


def report(result: Result, elapsed_seconds: float) -> None:
    for finding in result.findings:
        print(finding)
    print(f"{result.mutations} mutations in {elapsed_seconds:.0f} s")
    print("kinds: " + ", ".join(f"{kind} {count}" for kind, count in sorted(result.kinds.items())))
    print(f"peak RSS {result.peak_rss_mib:.0f} MiB, after the first ten mutations {result.first_rss_mib:.0f} MiB\n")
    print("| target | runs | came through | typed errors | crashes | hangs | silent changes | longest |")
    print("|---|---|---|---|---|---|---|---|")
    for name, tally in result.targets.items():
        through = ", ".join(f"{word} {count}" for word, count in tally.outcomes.most_common())
        errors = ", ".join(f"{word} {count}" for word, count in tally.errors.most_common())
        print(
            f"| {name} | {tally.runs} | {through} | {errors} | {tally.crashes} | {tally.hangs} | {tally.silent} | "
            f"{tally.longest_seconds:.2f} s |"
        )


if __name__ == "__main__":
    sys.exit(main())
