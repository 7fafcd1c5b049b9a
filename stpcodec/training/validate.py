"""Validation: whole middle crops of held-out clips at fixed qualities, with estimated bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stpcodec.model.network import StpNetwork
from stpcodec.model.rates import INTRA_BONUS, lagrange_lambda
from stpcodec.training.dataset import ClipDataset, Sequence
from stpcodec.training.step import sequence_loss

QUALITIES = (15, 40, 65, 90)


@dataclass(frozen=True)
class Validation:
    """score: mean over qualities of log2 of (bits + λ·error) per pixel; -0.1 is 7 % less cost. Lower is better."""

    score: float
    figures: dict[str, float]


class Validator(Protocol):
    """What a run is validated on."""

    def validate(self, network: StpNetwork) -> Validation: ...


@dataclass(frozen=True)
class HeldOut:
    """What every validation of a run looks at, whatever stage it is in: scores are comparable only so."""

    sequence: Sequence
    chunks: int
    lead: int
    autocast: torch.dtype | None

    def validate(self, network: StpNetwork) -> Validation:
        return validate(network, self.sequence, self.chunks, self.autocast, lead=self.lead)


def validation_batch(dataset: ClipDataset, batch: int, chunks: int, device: torch.device) -> Sequence:
    """The same crops at every call: a fresh generator of fixed seed."""
    dataset.random = np.random.default_rng(0)
    return dataset.sequences(batch, chunks, device)


@torch.no_grad()
def validate(
    network: StpNetwork, sequence: Sequence, chunks: int, autocast: torch.dtype | None, *, lead: int = 0
) -> Validation:
    device = sequence.fields.device
    scores, figures = [], {}
    network.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        for quality in QUALITIES:
            at: Tensor = torch.full((sequence.batch,), float(quality), device=device)
            with torch.autocast(device.type, dtype=autocast or torch.bfloat16, enabled=autocast is not None):
                losses = sequence_loss(
                    network, sequence, None, at, chunks=chunks, cascade=False, rate_weight=1.0,
                    intra_bonus=torch.full_like(at, float(INTRA_BONUS)), lead=lead,
                )  # fmt: skip
            values = losses.figures
            weight = float(lagrange_lambda(at)[0])
            for kind in ("intra", "inter"):
                cost = values[f"{kind}_bpp"] + weight * 255**2 * 10 ** (-values[f"{kind}_psnr"] / 10)
                scores.append(math.log2(cost))
                figures[f"q{quality}_{kind}_bpp"] = values[f"{kind}_bpp"]
                figures[f"q{quality}_{kind}_psnr"] = values[f"{kind}_psnr"]
    network.train()
    return Validation(sum(scores) / len(scores), figures)
