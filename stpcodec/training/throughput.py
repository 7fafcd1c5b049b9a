"""Whether steps wait for their data: `python -m stpcodec.training.throughput VIDEOS...`.

In turns, training steps that draw their batches, and the same steps on the same batches, which are there already;
prints how many there are of either a second. Where the two agree, drawing faster would gain nothing. Weights are thrown
away.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from stpcodec.errors import StpError, UsageError
from stpcodec.model.zoo import load_network, resolve_device
from stpcodec.training.batches import Batch, batch_losses, draw_batch
from stpcodec.training.dataset import MixedLengths, PictureDataset
from stpcodec.training.optimiser import MuonAdam
from stpcodec.training.options import TrainOptions
from stpcodec.training.precision import bfloat16_is_fast
from stpcodec.training.store import ArrayStore
from stpcodec.training.train import CHUNK_FRAMES, prepare


@dataclass(frozen=True)
class Throughput:
    """Steps a second of every round. resident_bytes: of the data, in the GPU's memory."""

    drawn: tuple[float, ...]
    ready: tuple[float, ...]
    resident_bytes: int

    @property
    def ratio(self) -> float:
        """The median of the rounds' own, since machines are not as fast at all times."""
        return median(one / other for one, other in zip(self.drawn, self.ready, strict=True))

    def __str__(self) -> str:
        return (
            f"{median(self.drawn):.3g} steps a second that draw their batches, {median(self.ready):.3g} on the same "
            f"batches again: {self.ratio:.1%} of it, median of {len(self.drawn)} rounds; "
            f"{self.resident_bytes / 2**20:.0f} MiB of data in the GPU's memory"
        )


def measure_throughput(clips: list[Path], options: TrainOptions, *, steps: int, rounds: int) -> Throughput:
    """clips: prepared (train.prepare). steps: of each kind in a round. One round warms up and does not count."""
    device = options.device
    network = load_network(options.start).to(device)
    network.train().requires_grad_(True)
    optimiser = MuonAdam(network.named_parameters(), options.learning_rate)
    store, chunks = ArrayStore(device), options.lead + options.chunks
    data = MixedLengths(clips, frames=CHUNK_FRAMES, crop=options.crop, chunks=chunks, seed=options.seed, store=store)
    pictures = PictureDataset(clips, crop=options.crop, seed=options.seed + 1, store=store)

    def step(batch: Batch) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.bf16):
            losses = batch_losses(network, batch, options)
        optimiser.zero_grad(set_to_none=True)
        losses.loss.backward()
        optimiser.step()
        float(losses.loss.detach())  # waits for the device, as a training step does

    def rate(batches: Iterable[Batch]) -> float:
        begun = time.perf_counter()
        for batch in batches:
            step(batch)
        return steps / (time.perf_counter() - begun)

    drawn, ready = [], []
    for _ in range(rounds + 1):
        kept: list[Batch] = []

        def drawing(kept: list[Batch] = kept) -> Iterator[Batch]:
            for _ in range(steps):
                kept.append(draw_batch(data, pictures, options))
                yield kept[-1]

        drawn.append(rate(drawing()))
        ready.append(rate(kept))
    return Throughput(tuple(drawn[1:]), tuple(ready[1:]), store.resident_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stpcodec.training.throughput", description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+", help="folders of videos and pictures")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded clips (%(default)s)")
    parser.add_argument("--start", default="stp-s", help="model that is trained (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--part", default="both", help="both, intra or inter (%(default)s)")
    parser.add_argument("--batch", type=int, default=6, help="sequences a step (%(default)s)")
    parser.add_argument("--pictures", type=int, default=4, help="single frames a step (%(default)s)")
    parser.add_argument("--crop", type=int, default=128, help="side of the crops (%(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="of each kind in a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    given = parser.parse_args(arguments)
    try:
        device = resolve_device(given.device)
        options = TrainOptions(
            minutes=1, run=Path(), cache=given.cache, device=device, start=given.start, part=given.part,
            batch=given.batch, pictures=given.pictures, crop=given.crop, bf16=bfloat16_is_fast(device),
        )  # fmt: skip
        if given.steps < 1 or given.rounds < 1:
            raise UsageError(f"--steps {given.steps} --rounds {given.rounds}: give at least 1 of each")
        clips = prepare(given.videos, given.cache, print)
        print(measure_throughput(clips, options, steps=given.steps, rounds=given.rounds))
    except StpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
