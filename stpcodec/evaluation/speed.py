"""How fast codecs are on one clip and this machine, side by side: `stpcodec bench speed`.

Every codec has a process of its own for encoding and one for decoding, so that each peak of memory is its own. One run
of each comes first and does not count: it loads models and kernels, and writes the file to decode. Then come rounds, in
which every codec encodes and decodes once, one after the other, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stpcodec.errors import StpError
from stpcodec.evaluation.clips import Clip, open_clip
from stpcodec.evaluation.contenders import Contender, Ours
from stpcodec.evaluation.stages import Stage

if TYPE_CHECKING:  # other codecs' processes do without torch
    from stpcodec.evaluation.macs import NetworkMacs

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Speed:
    """One codec. Seconds of every counted run, from file to file; peaks: most resident memory of the process."""

    codec: str
    setting: str
    frames: int
    coded_bytes: int
    encode_seconds: tuple[float, ...]
    decode_null_seconds: tuple[float, ...]
    decode_y4m_seconds: tuple[float, ...]
    encode_peak_bytes: int
    decode_peak_bytes: int

    def frames_per_second(self, seconds: Sequence[float]) -> float:
        """Median."""
        return self.frames / median(seconds)


@dataclass(frozen=True)
class Profile:
    """Of one of our models: stages of an encode and of a decode to y4m, each a run of its own, and its networks."""

    codec: str
    encode: tuple[Stage, ...]
    decode: tuple[Stage, ...]
    macs: tuple[NetworkMacs, ...]


@dataclass(frozen=True)
class SpeedReport:
    clip: str
    frames: int
    width: int
    height: int
    threads: int
    repetitions: int
    speeds: tuple[Speed, ...]
    profiles: tuple[Profile, ...]


def measure_speed(
    path: Path, contenders: Sequence[Contender], *, models: Sequence[str], repetitions: int, threads: int,
    frames: int | None = None, progress: Progress = lambda line: None,
) -> SpeedReport:  # fmt: skip
    """contenders: what is compared, on `threads` threads. models: names of those that are our models, which get a
    profile. frames: only the first so many of the clip.

    Raises:
        InputError: the clip cannot be read.
        UsageError: this installation does not have an encoder.
        ModelError: there is no such model.
    """
    with tempfile.TemporaryDirectory(prefix="stpcodec-") as name, ExitStack() as stack:
        folder = Path(name)
        clip = open_clip(path, frames=frames, folder=folder)
        lanes = [stack.enter_context(_Lane(contender, clip, folder)) for contender in contenders]
        for number in range(repetitions + 1):
            progress(f"round {number} of {repetitions}" if number else "first runs, not counted")
            for lane in lanes:
                lane.run(counted=number > 0)
        speeds = tuple(lane.speed() for lane in lanes)
        progress("stages")
        profiles = tuple(lane.profile() for lane in lanes if lane.contender.name in models)
    info = clip.info
    return SpeedReport(clip.name, clip.frames, info.width, info.height, threads, repetitions, speeds, profiles)


class _Lane:
    """One codec's two processes and its files."""

    def __init__(self, contender: Contender, clip: Clip, folder: Path) -> None:
        self.contender, self._clip = contender, clip
        self._coded = folder / f"{contender.name}{contender.suffix}"
        self._raw = folder / f"{contender.name}.y4m"
        self._seconds: dict[str, list[float]] = {"encode": [], "null": [], "y4m": []}

    def __enter__(self) -> Self:
        self._encoder, self._decoder = _Process(self.contender), _Process(self.contender)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.end()
        self._decoder.end()

    def run(self, *, counted: bool) -> None:
        found = {
            "encode": self._encoder.ask(_encode, self._clip.path, self._coded),
            "null": self._decoder.ask(_decode, self._coded, None),
            "y4m": self._decoder.ask(_decode, self._coded, self._raw),
        }
        if counted:
            for what, seconds in found.items():
                self._seconds[what].append(seconds)

    def speed(self) -> Speed:
        encode, null, y4m = (tuple(seconds) for seconds in self._seconds.values())
        return Speed(
            self.contender.name, self.contender.setting, self._clip.frames, self._coded.stat().st_size,
            encode, null, y4m, self._encoder.ask(_peak_bytes), self._decoder.ask(_peak_bytes),
        )  # fmt: skip

    def profile(self) -> Profile:
        info = self._clip.info
        return Profile(
            self.contender.name,
            self._encoder.ask(_stages, _encode, self._clip.path, self._coded),
            self._decoder.ask(_stages, _decode, self._coded, self._raw),
            self._decoder.ask(_macs, info.height, info.width),
        )


class _Process:
    """`ask(function, ...)` calls function(contender, ...) there and returns or raises what it does."""

    def __init__(self, contender: Contender) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._name = contender.name
        self._process = context.Process(target=_serve, args=(theirs, contender), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            self._pipe.send((function, args))
            good, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise StpError(f"{self._name}: its process ended with code {self._process.exitcode}") from error
        if not good:
            raise value
        return value

    def end(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, contender: Contender) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal it comes here too; the parent ends this process
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, function(contender, *args)
        except Exception as error:
            answer = False, error
        pipe.send(answer)


def _encode(contender: Contender, source: Path, coded: Path) -> float:
    started = time.perf_counter()
    contender.encode(source, coded)
    return time.perf_counter() - started


def _decode(contender: Contender, coded: Path, target: Path | None) -> float:
    started = time.perf_counter()
    contender.decode(coded, target)
    return time.perf_counter() - started


def _peak_bytes(contender: Contender) -> int:
    """Of this process since it began."""
    try:
        # Before getrusage, which on Linux begins with what the parent had.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _stages(contender: Contender, run: Callable[..., float], *args: Any) -> tuple[Stage, ...]:
    from stpcodec.evaluation.stages import shares, watched

    assert isinstance(contender, Ours)
    with watched(contender.synchroniser()) as clock:
        started = clock.total()
        run(replace(contender, jobs=1), *args)  # of another process nothing would be seen
        total = clock.total() - started
    return tuple(shares(clock, total))


def _macs(contender: Contender, height: int, width: int) -> tuple[NetworkMacs, ...]:
    from stpcodec.evaluation.macs import network_macs
    from stpcodec.model.zoo import load_network

    assert isinstance(contender, Ours)
    if contender.model == "dct":  # a fixed transform
        return ()
    return tuple(network_macs(load_network(contender.model).eval(), height=height, width=width))
