"""Where the processor's time goes in the real pipeline: its own functions, wrapped while somebody asks.

Outside of `watched` nothing of this is in the program, so it costs nothing. Inside, every call of a stage's functions
is timed by the processor time of the thread that makes it; a stage within a stage is counted once, for the inner one,
and what helper threads do for a stage is the stage's (model/side_by_side.py). One run at a time, in one process.

A GPU works through a queue while the processor goes on. There the queue is waited for wherever a stage begins or ends,
and what counts is the time on the clock: stages are true, and all of it is slower than without somebody watching.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

STAGES: dict[str, tuple[str, ...]] = {
    "reading": ("stpcodec.video.reader:VideoReader._timed", "stpcodec.container.reader:StpReader.read_segment"),
    "scene cuts, chunk lengths": (
        "stpcodec.patches.scenes:SceneCutDetector.push", "stpcodec.codec.planning:Planner.plans",
    ),
    "samples and tensors": ("stpcodec.codec.samples:to_planes", "stpcodec.codec.samples:to_samples"),
    "motion search": ("stpcodec.model.picture_motion:anchor_motion", "stpcodec.model.picture_motion:between_motion"),
    "motion coding": (
        "stpcodec.codec.motion_coder:encode_field", "stpcodec.codec.motion_coder:decode_field",
        "stpcodec.codec.motion_coder:encode_choice", "stpcodec.codec.motion_coder:decode_choice",
    ),
    "motion compensation": (
        "stpcodec.model.compiled_frames:predicted", "stpcodec.model.compiled_frames:predicted_pair",
        "stpcodec.model.chunk_io:predict", "stpcodec.model.chunk_io:warped_pair",
    ),
    "context network": ("stpcodec.model.band_work:CompiledWork.context", "stpcodec.model.band_work:TorchWork.context"),
    "analysis": (
        "stpcodec.model.band_work:CompiledWork.analyse", "stpcodec.model.band_work:TorchWork.analyse",
        "stpcodec.model.dct:DctTransform.analyse",
    ),
    "hyper-analysis": ("stpcodec.model.learned:LearnedTransform.hyper", "stpcodec.model.dct:DctTransform.hyper"),
    "prior": (
        "stpcodec.model.learned:LearnedTransform.run_prior", "stpcodec.model.dct:DctTransform.run_prior",
        "stpcodec.model.prior_run:CompiledRun.step", "stpcodec.model.prior_run:StepwiseRun.step",
    ),
    "quantisation": ("stpcodec.codec.quantiser:quantise",),
    "entropy coding": (
        "stpcodec.entropy.coder:SymbolEncoder.encode", "stpcodec.entropy.coder:SymbolEncoder.finish",
        "stpcodec.entropy.coder:SymbolDecoder.decode",
    ),
    "synthesis": (
        "stpcodec.model.band_work:CompiledWork.syntheses", "stpcodec.model.band_work:TorchWork.syntheses",
        "stpcodec.model.dct:DctTransform.synthesise",
    ),
    "loop filter": (
        "stpcodec.model.loop_filter:filtered", "stpcodec.codec.filter_coder:encode_filter",
        "stpcodec.codec.filter_coder:decode_filter",
    ),
    "choice of loop filters": ("stpcodec.model.loop_filter_fit:fit", "stpcodec.codec.filter_choice:choose_filter"),
    "choice of modes": ("stpcodec.codec.picture:_closest", "stpcodec.codec.picture:_error"),
    "hash of latents": ("stpcodec.latents.chunk:ChunkLatents.hash_into",),
    "writing": ("stpcodec.container.writer:StpWriter.write_segment", "stpcodec.video.writer:VideoWriter.write"),
}
"""Stage → its functions, ``module:function`` or ``module:Class.method``, wrapped wherever they were imported."""
_CONDUCTORS = ("stpcodec.codec.encoder", "stpcodec.codec.decoder")
REST = "everything else"
"""Python between the stages, FFmpeg's own threads, waiting that burns processor time."""


@dataclass(frozen=True)
class Stage:
    """seconds: as of `StageClock`; share: of the whole run's."""

    name: str
    seconds: float
    share: float


@dataclass
class StageClock:
    """Seconds by stage, over all threads: of the processor; where there is a queue to `synchronise`, on the clock."""

    synchronise: Callable[[], object] | None = None
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _local: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def total(self) -> float:
        """To be compared with what it was before: seconds of the whole process, of the same kind."""
        return time.process_time() if self.synchronise is None else self._now()

    def _now(self) -> float:
        if self.synchronise is None:
            return time.thread_time()
        self.synchronise()
        return time.perf_counter()

    @property
    def current(self) -> str | None:
        """The stage that this thread is in."""
        stack = self._stack()
        return stack[-1] if stack else None

    @contextmanager
    def inside(self, stage: str) -> Iterator[None]:
        stack = self._stack()
        self._settle(stack)
        stack.append(stage)
        try:
            yield
        finally:
            self._settle(stack)
            stack.pop()

    def _settle(self, stack: list[str]) -> None:
        """Charges the time since the last change to the stage that this thread has been in."""
        now = self._now()
        if stack:
            with self._lock:
                self.seconds[stack[-1]] += now - self._local.since
        self._local.since = now

    def _stack(self) -> list[str]:
        try:
            return self._local.stack
        except AttributeError:
            self._local.stack = []
            return self._local.stack


@contextmanager
def watched(synchronise: Callable[[], object] | None = None) -> Iterator[StageClock]:
    """Inside the block the clock counts, in this process. synchronise: waits for the device's queue, if it has one.

    Raises AttributeError when a function of `STAGES` is not where it says.
    """
    clock = StageClock(synchronise)
    for conductor in _CONDUCTORS:  # imported later, their modules would keep what is wrapped now
        importlib.import_module(conductor)
    with ExitStack() as stack:
        for stage, places in STAGES.items():
            for place in places:
                owner, name = _find(place)
                wrapped = _timed(getattr(owner, name), stage, clock)
                for holder in _holders(owner, name):
                    _replace(stack, holder, name, wrapped)
        _watch_helpers(stack, clock)
        yield clock


def shares(clock: StageClock, total_seconds: float) -> list[Stage]:
    """Stages that took any time, largest first, and the rest. total_seconds: of the whole run."""
    found = sorted(clock.seconds.items(), key=lambda item: -item[1])
    rest = total_seconds - sum(clock.seconds.values())
    return [Stage(name, seconds, seconds / total_seconds) for name, seconds in [*found, (REST, rest)]]


def _find(place: str) -> tuple[Any, str]:
    """(module or class, name) of a function of `STAGES`."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    getattr(owner, name)
    return owner, name


def _holders(owner: Any, name: str) -> list[Any]:
    """A class alone; of a function its module and those of the package that have imported it."""
    if not inspect.ismodule(owner):
        return [owner]
    function = getattr(owner, name)
    return [
        module
        for path, module in list(sys.modules.items())
        if path.startswith("stpcodec.") and getattr(module, name, None) is function
    ]


def _timed(function: Callable[..., Any], stage: str, clock: StageClock) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*args: Any, **named: Any) -> Iterator[Any]:
            items = function(*args, **named)
            try:
                while True:
                    with clock.inside(stage):
                        item = next(items, _END)
                    if item is _END:
                        return
                    yield item
            finally:
                items.close()

        return generate

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        with clock.inside(stage):
            return function(*args, **named)

    return call


_END = object()


def _watch_helpers(stack: ExitStack, clock: StageClock) -> None:
    """What `side_by_side` gives to other threads is done in the stage of the one that waits for it."""
    from stpcodec.model import side_by_side as module

    original = module.side_by_side

    def in_stage(tasks: list[Callable[[], Any]]) -> list[Any]:
        stage = clock.current
        return original(tasks if stage is None else [_timed(task, stage, clock) for task in tasks])

    for holder in _holders(module, "side_by_side"):
        _replace(stack, holder, "side_by_side", in_stage)


def _replace(stack: ExitStack, holder: Any, name: str, value: Any) -> None:
    stack.callback(setattr, holder, name, getattr(holder, name))
    setattr(holder, name, value)
