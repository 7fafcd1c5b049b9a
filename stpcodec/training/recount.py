"""A model's tables counted anew on what its encoder really sends: `python -m stpcodec.training.recount`.

    python -m stpcodec.training.recount WEIGHTS VIDEOS... --out FOLDER

codes clips of the videos (also at half size, and photographs) at qualities drawn at random, counts every symbol
(evaluation/census.py) and writes weights with those tables and the same networks. `train` and `export` count in
training's own loop, on crops and without the encoder's choices; this was worth 0.6 % of the bits when that loop
rounded, and nothing with the weights after it (docs/ablations.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from stpcodec.errors import InputError, OutputError, StpError
from stpcodec.evaluation.census import Census
from stpcodec.model.config import ModelConfig
from stpcodec.model.zoo import load_model
from stpcodec.training.cache import ensure_cached, ensure_half, find_media, frames_of
from stpcodec.training.export import write_weights

FRAMES = 17
"""Of each clip, at two qualities; of a photograph one, at one."""
LOWEST, MIDDLE, HIGHEST = 5, 50, 95
OLD_WEIGHT = 60.0
"""Observations that the old table counts for in each row: what was hardly seen stays as it was."""
TOTALS = {"y": 1 << 22, "z": 1 << 22, "motion": 1 << 16, "blend": 1 << 16}


def recounted(old: Tensor, counts: np.ndarray, total: int) -> Tensor:
    """Tables int32 of `old`'s shape, every row summing to about `total`, no entry below 1."""
    shares = old.double() / old.double().sum(1, keepdim=True)
    mixed = torch.from_numpy(counts).double() + OLD_WEIGHT * shares
    return (mixed / mixed.sum(1, keepdim=True) * total).round().clamp(min=1).int()


def recount(weights: Path, clips: Sequence[Path], folder: Path, *, seed: int = 0) -> Path:
    """clips: cached (cache.py). Returns the new weights' path. Raises ModelError: not a weights file; OutputError."""
    random = np.random.default_rng(seed)
    census = Census(load_model(weights, device=torch.device("cpu")))
    for clip in clips:
        frames = frames_of(np.load(clip, mmap_mode="r")[:FRAMES])
        ranges = ((LOWEST, MIDDLE), (MIDDLE, HIGHEST)) if len(frames) > 1 else ((LOWEST, HIGHEST),)
        for low, high in ranges:
            census.add(frames, int(random.integers(low, high)))
    with safe_open(weights, "pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    for name, counts in census.counts.items():
        tensors[name] = recounted(tensors[name], counts, TOTALS[name.rpartition(".")[2]])
    try:
        return write_weights(tensors, ModelConfig.from_json(metadata["config"]), folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stpcodec.training.recount", description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("videos", type=Path, nargs="+", help="folders of videos and pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for the new weights")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded clips (%(default)s)")
    parser.add_argument("--clips", type=int, default=140, help="how many, drawn at random (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        media = find_media(options.videos)
        np.random.default_rng(options.seed).shuffle(media)  # type: ignore[arg-type]
        clips: list[Path] = []
        for number, source in enumerate(media):
            clip = ensure_cached(source, options.cache)
            half = ensure_half(clip) if clip is not None and number % 2 else None
            clips += [path for path in (half or clip,) if path is not None]
            if len(clips) == options.clips:
                break
        if not clips:
            raise InputError(f"{options.videos[0]}: none of its {len(media)} files can be used; name others")
        print(recount(options.weights, clips, options.out, seed=options.seed))
    except StpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
