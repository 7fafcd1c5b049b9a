"""Steps that draw against the same steps on batches that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.training import throughput as module
from stpcodec.training import train as training
from stpcodec.training.batches import Batch
from stpcodec.training.options import TrainOptions
from stpcodec.training.throughput import Throughput, main, measure_throughput
from tests.training.material import cached_clip


def test_the_ratio_is_that_of_rounds() -> None:
    found = Throughput(drawn=(1.0, 4.0, 1.8), ready=(2.0, 5.0, 2.0), resident_bytes=3 << 20)
    assert found.ratio == pytest.approx(0.8)
    assert str(found) == (
        "1.8 steps a second that draw their batches, 2 on the same batches again: 80.0% of it, median of 3 rounds; "
        "3 MiB of data in the GPU's memory"
    )


def test_both_kinds_do_the_same_steps(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_FRAMES", 2)
    monkeypatch.setattr(training, "CHUNK_FRAMES", 2)
    clip = cached_clip(tmp_path)
    training.prepare_motion(clip)
    seen: list[Batch] = []
    original = module.batch_losses

    def watched(network: torch.nn.Module, batch: Batch, options: TrainOptions) -> object:
        seen.append(batch)
        return original(network, batch, options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "batch_losses", watched)
    options = TrainOptions(
        minutes=1, run=tmp_path, cache=tmp_path, device=torch.device("cpu"), batch=1, pictures=1, crop=64, chunks=1,
        start=str(tiny_weights), bf16=False,
    )  # fmt: skip
    found = measure_throughput([clip], options, steps=2, rounds=1)
    assert len(found.drawn) == len(found.ready) == 1
    assert min(found.drawn + found.ready) > 0
    assert len(seen) == 2 * 2 * 2, "a round to warm up, and one that counts"
    for start in (0, 4):
        assert seen[start + 2] is seen[start]
        assert seen[start + 3] is seen[start + 1]
        assert seen[start] is not seen[start + 1]
    assert found.resident_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--steps", "0"], "--steps 0 --rounds 5: give at least 1"), ([], "no video or picture found")],
)
def test_what_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--device", "cpu", *arguments]) != 0
    assert message in capsys.readouterr().err
