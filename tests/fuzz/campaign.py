"""Runs mutations through all targets and counts what happened."""

from __future__ import annotations

import faulthandler
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from stpcodec.errors import StpError
from stpcodec.model.zoo import load_model
from tests.fuzz.mutations import BLIND, forge_index, forge_record, forge_streams, mutate
from tests.fuzz.originals import Original
from tests.fuzz.targets import TARGETS, Claim, Lie

HANG_SECONDS = 10
"""Of processor time: on a busy machine, or one that stops processes, a clock on the wall sees hangs everywhere."""
WAITING_SECONDS = 600
"""Of wall time, for what hangs without working."""
_ALL = {kind.__name__ for kind in BLIND}
_PIXELS = {kind.__name__ for kind in (forge_record, forge_streams, forge_index)}


class Hang(BaseException):
    """Raised by the alarm clock; no `except Exception` may swallow it."""


@dataclass
class Tally:
    """What came of one target."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    hangs: int = 0
    silent: int = 0
    longest_seconds: float = 0.0
    """Of processor time."""

    @property
    def runs(self) -> int:
        return self.outcomes.total() + self.errors.total() + self.crashes + self.hangs + self.silent


@dataclass
class Result:
    mutations: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    targets: dict[str, Tally] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    first_rss_mib: float = 0.0
    peak_rss_mib: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.findings


def peak_rss_mib() -> float:
    """Of this process so far (Linux: kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(
    originals: list[Original],
    folder: Path,
    *,
    seed: int,
    first: int = 0,
    count: int | None = None,
    seconds: float | None = None,
    targets: Sequence[str] = tuple(TARGETS),
    save: Callable[[str, bytes], None] = lambda name, data: None,
) -> Result:
    """Mutations `first`, `first` + 1, … of the campaign `seed`: `count` of them, or as many as fit in `seconds`.

    save: gets name and bytes of every file that found something. Memory is measured from the tenth mutation on,
    when everything is loaded.
    """
    # making the model's tables takes longer than all of a mutation's targets together
    with patch("stpcodec.codec.models.load_model", cache(load_model)):
        return _run(originals, folder, seed=seed, first=first, count=count, seconds=seconds, targets=targets, save=save)


def _run(
    originals: list[Original],
    folder: Path,
    *,
    seed: int,
    first: int,
    count: int | None,
    seconds: float | None,
    targets: Sequence[str],
    save: Callable[[str, bytes], None],
) -> Result:
    result = Result(targets={name: Tally() for name in targets})
    deadline = None if seconds is None else time.monotonic() + seconds
    path = folder / "mutated.stp"
    number = first
    with clocks():
        while (count is None or number < first + count) and (deadline is None or time.monotonic() < deadline):
            # kinds go round by number, files by what is left of it, so that every pair comes
            original = originals[number // 16 % len(originals)]
            kind, data = mutate(original.data, seed=seed, number=number)
            path.write_bytes(data)
            result.kinds[kind] += 1
            claim = Claim.ALL if kind in _ALL else Claim.PIXELS if kind in _PIXELS else Claim.NOTHING
            for name, tally in result.targets.items():
                if found := examine(name, tally, path, original, claim):
                    result.findings.append(f"{original.name} {seed}:{number} {kind}, {name}: {found}")
                    save(f"{original.name}-{seed}-{number}-{kind}.stp", data)
            result.mutations += 1
            number += 1
            if result.mutations == 10:
                result.first_rss_mib = peak_rss_mib()
    result.peak_rss_mib = peak_rss_mib()
    return result


@contextmanager
def clocks() -> Iterator[None]:
    """While it is entered, `examine` ends what hangs. In the main thread."""
    before = {number: signal.signal(number, _ring) for number in (signal.SIGPROF, signal.SIGALRM)}
    try:
        yield
    finally:
        _wind(0, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def examine(name: str, tally: Tally, path: Path, original: Original, claim: Claim) -> str | None:
    """Gives the file to a target and counts what happened; what it found, if anything, in words."""
    start = time.process_time()
    _wind(HANG_SECONDS, WAITING_SECONDS)
    try:  # C code does not listen to the alarm: then show where it hangs, and end
        faulthandler.dump_traceback_later(2 * WAITING_SECONDS, exit=True, file=sys.__stderr__)
        tally.outcomes[TARGETS[name](path, original, claim)] += 1
    except StpError as error:
        tally.errors[type(error).__name__] += 1
    except Lie as lie:
        tally.silent += 1
        return f"silent: {lie}"
    except Hang:
        tally.hangs += 1
        return f"hang: {traceback.format_exc(limit=-4)}"
    except Exception:
        tally.crashes += 1
        return f"crash: {traceback.format_exc(limit=-4)}"
    finally:
        _wind(0, 0)
        faulthandler.cancel_dump_traceback_later()
        tally.longest_seconds = max(tally.longest_seconds, time.process_time() - start)
    return None


def _wind(working_seconds: float, waiting_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, working_seconds)
    signal.setitimer(signal.ITIMER_REAL, waiting_seconds)


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang
