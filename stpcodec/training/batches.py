"""What a training step learns from: drawn by one function and put through the networks by another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.model.network import StpNetwork
from stpcodec.model.planes import Planes
from stpcodec.training.dataset import MixedLengths, PictureDataset, Sequence
from stpcodec.training.jitter import jittered, jittered_pictures
from stpcodec.training.options import TrainOptions
from stpcodec.training.step import Losses, sequence_loss

MOST_BONUS = 32
"""The intra frame is coded at qualities up to this far above the others'."""


@dataclass(frozen=True)
class Batch:
    """quality, bonus ``[B]``: of sequences, and of their intra frames on top of it. chunks, lead: counted in chunks of
    the sequence's length. pictures: further frames for the intra network."""

    sequence: Sequence
    pictures: Planes | None
    quality: Tensor
    bonus: Tensor
    chunks: int
    lead: int


def draw_batch(data: MixedLengths, pictures: PictureDataset, options: TrainOptions) -> Batch:
    """On options.device; with the generators of both and torch's."""
    device, chunks = options.device, 0 if options.part == "intra" else options.chunks
    lead = int(data.random.integers(options.lead + 1)) if chunks else 0
    sequence = jittered(data.sequences(options.batch, lead + chunks, device), options.jitter)
    extra: Planes | None = None
    if options.pictures and options.part != "inter":
        extra = jittered_pictures(pictures.pictures(options.pictures, device), options.jitter)
    quality = 1 + 99 * torch.rand(options.batch, device=device)
    bonus = MOST_BONUS * torch.rand(options.batch, device=device)
    # Options count in long chunks.
    ratio = data.frames // sequence.chunk_frames
    return Batch(sequence, extra, quality, bonus, chunks * ratio, lead * ratio)


def batch_losses(network: StpNetwork, batch: Batch, options: TrainOptions) -> Losses:
    return sequence_loss(
        network, batch.sequence, batch.pictures, batch.quality, chunks=batch.chunks, cascade=options.cascade,
        rate_weight=options.rate_weight, intra_bonus=batch.bonus, part=options.part, vary=True, lead=batch.lead,
        optimise=options.quantiser == "encoder",
    )  # fmt: skip
