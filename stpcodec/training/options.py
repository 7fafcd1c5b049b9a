"""What a training run is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stpcodec.errors import UsageError
from stpcodec.training.recipe import QUANTISERS, Recipe


def names_model(start: str) -> bool:
    """Whether a start is a model or a weights file, with tables: neither a checkpoint nor nothing."""
    return start != "linear" and not start.endswith(".pt")


@dataclass(frozen=True)
class TrainOptions:
    """What a run is made of. Times in minutes, sizes in luma samples.

    recipe: its stages set some of the options, and share the minutes; a run continues in the stage it was in until
    its minutes are over. Without one, every call trains for so many minutes. jitter: of brightness and contrast.
    quantiser: "encoder", the encoder's own in the loop, or "rounding"; validation always has the encoder's.
    chains: above 0, the inter network learns from encodes of so many clips by the model of `start` (chains.py) instead
    of from sequences behind an intra frame: chunks, lead, pictures, cascade and jitter then do nothing.
    bd_pieces: of held-out videos, coded at every validation for BD-rate against x264 (coded_validation.py); 0: none.
    rebase: minutes; above 0, a new run's networks are given the bases of bases.py first (rebase.py).
    """

    minutes: float
    run: Path
    cache: Path
    device: torch.device
    batch: int = 6
    pictures: int = 4
    crop: int = 128
    chunks: int = 2
    lead: int = 0
    learning_rate: float = 7e-4
    final_rate: float = 0.03
    warmup_steps: int = 200
    cascade: bool = False
    part: str = "both"
    start: str = "linear"
    rebase: float = 0.0
    validate_minutes: float = 5.0
    bf16: bool = True
    seed: int = 0
    count_batches: int = 150
    rate_weight: float = 1.0
    jitter: float = 0.0
    retime: float = 0.0
    quantiser: str = "encoder"
    chains: int = 0
    bd_pieces: int = 4
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise UsageError(f"--minutes is {self.minutes}; give a positive number of minutes to train")
        if self.part not in ("both", "intra", "inter"):
            raise UsageError(f"--part is {self.part}; train both, intra or inter")
        if self.quantiser not in QUANTISERS:
            raise UsageError(f"--quantiser is {self.quantiser}; give {' or '.join(QUANTISERS)}")
        if self.crop < 64 or self.crop % 64:
            raise UsageError(f"--crop is {self.crop}; it must be a multiple of 64")
        if self.batch < 1 or self.chunks < 1 or self.pictures < 0 or self.lead < 0:
            raise UsageError(
                f"--batch {self.batch} --chunks {self.chunks} --lead {self.lead} --pictures {self.pictures}: "
                f"a step needs at least one sequence of one chunk"
            )
        if self.bd_pieces < 0:
            raise UsageError(f"--bd-pieces is {self.bd_pieces}; give a number of pieces to code, or 0 for none")
        if self.rebase < 0 or (self.rebase and self.start == "linear"):
            raise UsageError(f"--rebase {self.rebase} --start {self.start}: give minutes, and a model to start from")
        if self.chains and (self.part != "inter" or self.rebase or not self.rate_weight):
            raise UsageError(
                f"--chains {self.chains} --part {self.part}: encodes teach the inter network alone, by rate and "
                f"distortion, in the bases it has; give --part inter, without --rebase"
            )
        if not 0 <= self.retime <= 1:
            raise UsageError(f"--retime is {self.retime}; give a share of the videos from 0 (none) to 1 (all)")
        if not 0 <= self.jitter <= 0.5:
            raise UsageError(f"--jitter is {self.jitter}; give a number from 0 (none) to 0.5")

    def stages(self) -> list[TrainOptions]:
        """The options of every stage, with the minutes that it lasts."""
        if self.recipe is None:
            return [self]
        return [replace(self, minutes=self.minutes * part.share, **part.options) for part in self.recipe.stages]
