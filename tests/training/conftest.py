"""What runs of training need: two tiny clips, the tiny model in place of the real one, a clock of their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stpcodec.training import finetune
from stpcodec.training import train as module
from stpcodec.training.options import TrainOptions
from tests.tiny_model import TINY
from tests.training.material import write_clip

CPU = torch.device("cpu")


class Clock:
    """`time.monotonic` that gains ten seconds a call: a step asks twice, so a minute is three steps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 10.0
        return self.seconds


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run of the real model with the tiny one's sizes, a clock of its own, and a short linear start."""
    original = module.start_linear
    monkeypatch.setattr(module, "STP_S", TINY)
    monkeypatch.setattr(module, "CHUNK_FRAMES", 2)
    monkeypatch.setattr(finetune, "STP_S", TINY)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=Clock()))
    monkeypatch.setattr(module, "start_linear", lambda *a, batches, device: original(*a, batches=1, device=device))


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "train/a.mp4", height=80, width=112, seed=0)
    write_clip(folder / "train/b.mp4", height=96, width=64, dx=-1, seed=10)
    (folder / "train/broken.mp4").write_text("not a video")
    write_clip(folder / "held-out/c.mp4", height=64, width=80, seed=20)
    return folder


@pytest.fixture
def options(tmp_path: Path, videos: Path) -> TrainOptions:
    return TrainOptions(
        minutes=1.0, run=tmp_path / "run", cache=videos / "cache", device=CPU, batch=2, pictures=1, crop=64, chunks=2,
        bf16=False, count_batches=1, warmup_steps=1, bd_pieces=0,
    )  # fmt: skip
