"""A training run's state on disk: weights, their moving average, optimiser, counters."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stpcodec.errors import ModelError
from stpcodec.model.config import ModelConfig
from stpcodec.model.network import StpNetwork
from stpcodec.training.optimiser import MuonAdam

EMA_DECAY = 0.998


@dataclass
class Checkpoint:
    """network is trained, average (EMA) is validated and exported.

    recipe: whose stages these are ("" for none). stage: the one it is in; stage_steps, stage_minutes: how far. random:
    the generators after the last whole step, see `random_state`.
    """

    network: StpNetwork
    average: StpNetwork
    step: int = 0
    minutes: float = 0.0
    skipped: int = 0
    best_score: float = float("inf")
    recipe: str = ""
    stage: int = 0
    stage_steps: int = 0
    stage_minutes: float = 0.0
    random: dict[str, Any] | None = field(default=None, repr=False)
    optimiser_state: dict[str, Any] | None = field(default=None, repr=False)

    @staticmethod
    def fresh(network: StpNetwork) -> Checkpoint:
        average = copy.deepcopy(network)
        average.requires_grad_(False)
        return Checkpoint(network, average)

    def enter(self, stage: int) -> None:
        """The optimiser's memory goes along: a stage changes what is learned, not what is known of the gradients."""
        self.stage, self.stage_steps, self.stage_minutes, self.random = stage, 0, 0.0, None

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        optimiser = MuonAdam(self.network.named_parameters(), learning_rate)
        if self.optimiser_state is not None:
            try:
                optimiser.load_state_dict(self.optimiser_state)
            except (ValueError, KeyError) as error:
                raise ModelError(
                    f"the checkpoint's optimiser is of another version ({error}); start a new run from its weights"
                ) from error
        return optimiser

    @torch.no_grad()
    def update_average(self) -> None:
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        averages, values = zip(*pairs, strict=True)
        torch._foreach_lerp_(list(averages), list(values), 1 - decay)


def save_checkpoint(path: Path, state: Checkpoint, *, optimiser: torch.optim.Optimizer | None) -> None:
    """Written beside and renamed, so that a kill never leaves half a checkpoint."""
    content = {
        "config": state.network.config.to_json(),
        "average": state.average.state_dict(),
        "step": state.step,
        "minutes": state.minutes,
        "skipped": state.skipped,
        "best_score": state.best_score,
        "recipe": state.recipe,
        "stage": state.stage,
        "stage_steps": state.stage_steps,
        "stage_minutes": state.stage_minutes,
        "random": state.random,
    }
    if optimiser is not None:
        content |= {"network": state.network.state_dict(), "optimiser": optimiser.state_dict()}
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.rename(path)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint | None:
    """None when there is none; ModelError when it cannot be read. Never unpickles code (weights_only)."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        network = StpNetwork(ModelConfig.from_json(content["config"])).to(device)
        network.load_state_dict(content.get("network", content["average"]))
        state = Checkpoint.fresh(network)
        state.average.load_state_dict(content["average"])
    except Exception as error:  # of foreign bytes, the unpickler fails in every way there is, assertions among them
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: not a checkpoint of this version ({detail}); move it away to start anew") from error
    state.step, state.minutes = content["step"], content["minutes"]
    state.skipped, state.best_score = content["skipped"], content["best_score"]
    state.optimiser_state = content.get("optimiser")
    for name in ("recipe", "stage", "stage_steps", "stage_minutes", "random"):  # not in checkpoints before recipes
        setattr(state, name, content.get(name, getattr(state, name)))
    return state
