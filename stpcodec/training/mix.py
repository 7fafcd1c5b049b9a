"""The weights between two models': `python -m stpcodec.training.mix`.

    python -m stpcodec.training.mix WEIGHTS OTHER --share 0.5 --part inter --out FOLDER

goes so much of the way from the networks of WEIGHTS to those of OTHER, a checkpoint or another weights file that was
trained on from them, and keeps the tables of WEIGHTS. Between two models of one ancestor lie better ones than either
(Wortsman et al. 2022, "Model soups"; "Robust fine-tuning of zero-shot models"); what it gained here:
docs/training-log.md, session 10.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from stpcodec.errors import ModelError, OutputError, StpError, UsageError
from stpcodec.model.network import StpNetwork
from stpcodec.model.zoo import load_network, weights_path
from stpcodec.training.checkpoint import load_checkpoint
from stpcodec.training.export import export_weights, tables_of

PARTS = ("intra", "inter", "both")


@torch.no_grad()
def mix(network: StpNetwork, other: StpNetwork, share: float, part: str = "both") -> None:
    """Moves the parameters of `network` (of one part of it) by `share` of the way to those of `other`, in place.

    share: 0 changes nothing, 1 makes it the other. Raises ModelError when they are of different architectures.
    """
    if network.config.intra != other.config.intra or network.config.inter != other.config.inter:
        names = f"{network.config.name} and {other.config.name}"
        raise ModelError(f"{names} are of different architectures; name two alike")
    for name in ("intra", "inter"):
        if part in (name, "both"):
            ours: nn.Module = getattr(network, name)
            theirs = dict(getattr(other, name).named_parameters())
            for key, parameter in ours.named_parameters():
                parameter.lerp_(theirs[key].to(parameter), share)


def mixed_weights(weights: str, other: str, folder: Path, *, share: float, part: str = "both") -> Path:
    """weights: a model or a weights file; other: one of these, or a checkpoint, of which the average counts.

    Returns the new weights' path. Raises ModelError: one of them cannot be read, or they do not match; OutputError.
    """
    network = load_network(weights)
    mix(network, _network(other), share, part)
    tables, motion = tables_of(weights_path(weights))
    try:
        return export_weights(network, tables, motion, folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def _network(name: str) -> StpNetwork:
    if not name.endswith(".pt"):
        return load_network(name)
    state = load_checkpoint(Path(name), torch.device("cpu"))
    if state is None:
        raise ModelError(f"{name}: there is no such checkpoint; check the path")
    return state.average


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stpcodec.training.mix", description=__doc__)
    parser.add_argument("weights", help="a model, or a weights file")
    parser.add_argument("other", help="one of these, or a checkpoint (.pt)")
    parser.add_argument("--share", type=float, default=0.5, help="of the way to the other (%(default)s)")
    parser.add_argument("--part", choices=PARTS, default="both", help="which network is mixed (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the new weights")
    options = parser.parse_args(arguments)
    try:
        if not 0 <= options.share <= 1:
            raise UsageError(f"--share is {options.share}; give a number from 0 to 1")
        print(mixed_weights(options.weights, options.other, options.out, share=options.share, part=options.part))
    except StpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
