"""Time is charged to the stage it was spent in, in whichever thread, and the pipeline is left as it was."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

from stpcodec.codec import chunk
from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.evaluation.contenders import Ours
from stpcodec.evaluation.stages import REST, STAGES, StageClock, _find, shares, watched
from stpcodec.model import learned
from tests.codec.clips import pictures, write_y4m


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("place", [place for places in STAGES.values() for place in places])
def test_every_function_is_where_it_is_said_to_be(place: str) -> None:
    owner, name = _find(place)
    assert callable(getattr(owner, name))


def test_a_stage_within_another_is_charged_once() -> None:
    clock = StageClock()
    with clock.inside("outer"):
        burn(0.02)
        with clock.inside("inner"):
            burn(0.04)
        burn(0.02)
    assert clock.current is None
    assert clock.seconds["inner"] >= 0.04
    assert clock.seconds["outer"] >= 0.04
    assert sum(clock.seconds.values()) < 0.04 + clock.seconds["outer"] + 0.02


def test_threads_do_not_disturb_each_other() -> None:
    clock = StageClock()

    def work(stage: str) -> None:
        with clock.inside(stage):
            burn(0.03)

    threads = [threading.Thread(target=work, args=(stage,)) for stage in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(clock.seconds) == {"a", "b"}
    assert all(seconds >= 0.03 for seconds in clock.seconds.values())


def test_a_device_with_a_queue_is_waited_for() -> None:
    """As a GPU does it: the work is given in no time, and done while somebody waits for the queue."""
    queue: list[float] = []

    def synchronise() -> None:
        while queue:
            time.sleep(queue.pop())

    clock = StageClock(synchronise)
    started = clock.total()
    with clock.inside("prior"):
        queue.append(0.05)
    with clock.inside("synthesis"):
        queue.append(0.1)
        with clock.inside("context network"):
            pass
    assert clock.total() - started >= 0.15
    assert clock.seconds["prior"] >= 0.05
    assert clock.seconds["synthesis"] >= 0.1
    assert clock.seconds["context network"] < 0.05


def test_what_waits_for_which_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Ours("stp-s", 50, "cpu", 1).synchroniser() is None
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    wait = Ours("stp-s", 50, "cuda:1", 1).synchroniser()
    assert wait is not None
    wait()
    assert waited == [torch.device("cuda:1")]


def test_stages_of_the_learned_model(tmp_path: Path, tiny_weights: Path) -> None:
    source, stp = write_y4m(tmp_path / "in.y4m", pictures(10, height=64, width=96)), tmp_path / "x.stp"
    functions = chunk.anchor_motion, learned.side_by_side, learned.LearnedTransform.hyper
    found = {}
    for what in ("encode", "decode"):
        with watched() as clock:
            assert chunk.anchor_motion is not functions[0]
            started = time.process_time()
            if what == "encode":
                encode(source, stp, model=str(tiny_weights), threads=2, jobs=1)
            else:
                decode(stp, tmp_path / "out.y4m", model=str(tiny_weights), threads=2, jobs=1)
            found[what] = shares(clock, time.process_time() - started)
    assert (chunk.anchor_motion, learned.side_by_side, learned.LearnedTransform.hyper) == functions
    names = {what: {stage.name for stage in stages} for what, stages in found.items()}
    both = {"reading", "writing", "prior", "entropy coding", "motion coding", "motion compensation", "synthesis", REST,
            "context network", "samples and tensors", "hash of latents", "loop filter"}  # fmt: skip
    assert names["decode"] == both
    assert names["encode"] == set(STAGES) | {REST}
    for stages in found.values():
        assert sum(stage.share for stage in stages) == pytest.approx(1)
        assert all(stage.seconds >= 0 for stage in stages)
