"""A training pass over pictures of real encodes (chains.py), and validation on held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.errors import InputError, UsageError
from stpcodec.model.chunk_io import unpack_frames
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.model.rates import lagrange_lambda, squared_error
from stpcodec.model.zoo import load_model
from stpcodec.training.chains import SHORTEST, ChainBatch, ChainDataset, Place, drawn_quality, ensure_chain
from stpcodec.training.loss import code_chunk
from stpcodec.training.options import names_model
from stpcodec.training.step import QUALITY_SPREAD, Losses, balance
from stpcodec.training.validate import QUALITIES, Validation

VALIDATION_CROP = 192
HELD_OUT = 192
"""Crops to validate on; from EARLIEST pictures behind the intra frame, beyond what short sequences show."""
EARLIEST, LATE = 4, 16
WORTH = 1.4
"""What a squared error counts beside the Lagrangian's: the picture is the reference of others. With 1 the network takes
back what the encoder's caution spends (docs/training-log.md, session 10). At 1.22 the weights 4270b089 neither gain nor
lose by finer steps everywhere; this is a little on the side of better references."""
_AT_ONCE = 16


def chain_losses(network: ChunkNetwork, batch: ChainBatch, *, vary: bool, optimise: bool = True) -> Losses:
    """vary: each picture at a quality near its own, as the encoder may; optimise: see `sequence_loss`."""
    cost, quality, bits, error = _costs(network, batch, vary=vary, optimise=optimise)
    figures = {"inter_bpp": float(bits.detach().mean()), "inter_psnr": float(_decibels(error).mean())}
    # Twice, as inter pictures count in sequence_loss: one learning rate means the same in both.
    return Losses(2.0 * (cost * balance(quality) * batch.weight).mean(), figures)


def _costs(
    network: ChunkNetwork, batch: ChainBatch, *, vary: bool, optimise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(WORTH·λ·error + bits, quality, bits, error), each ``[B]``, bits per pixel."""
    quality = batch.quality
    if vary:
        quality = (quality + QUALITY_SPREAD * (2 * torch.rand_like(quality) - 1)).clamp(1, 100)
    context = network.context(batch.prediction, batch.reference, batch.difference)
    coded = code_chunk(network, batch.target, quality, context, batch.previous, optimise=optimise)
    bits = (coded.y_bits + coded.z_bits) / (64 * batch.target.shape[2] * batch.target.shape[3])
    error = squared_error(unpack_frames(coded.packed, 1), unpack_frames(batch.target, 1))
    return WORTH * lagrange_lambda(quality) * error + bits, quality, bits, error


@dataclass(frozen=True)
class HeldOutChains:
    """The same crops at every validation. The score is the mean over pictures of log2 of bits + WORTH·λ·error."""

    data: ChainDataset
    places: tuple[Place, ...]
    device: torch.device
    autocast: torch.dtype | None

    @torch.no_grad()
    def validate(self, network: StpNetwork) -> Validation:
        parts: list[tuple[Tensor, ...]] = []
        network.eval()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)
            for start in range(0, len(self.places), _AT_ONCE):
                batch = self.data.batch(self.places[start : start + _AT_ONCE], self.device)
                dtype = self.autocast or torch.bfloat16
                with torch.autocast(self.device.type, dtype=dtype, enabled=self.autocast is not None):
                    parts.append(_costs(network.inter, batch, vary=False, optimise=True))
        network.train()
        cost, _, bits, error = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        scores = torch.log2(cost)
        late = torch.tensor([place.number >= LATE for place in self.places])
        by_place = (("early", ~late), ("late", late))
        figures = {name: float(scores[which].mean()) for name, which in by_place if which.any()}
        figures |= {"inter_bpp": float(bits.mean()), "inter_psnr": float(_decibels(error).mean())}
        return Validation(float(scores.mean()), figures)


def chains_of(
    clips: Sequence[Path], validation_clips: Sequence[Path], start: str, count: int, cache: Path,
    say: Callable[[str], None], poll: Callable[[], None],
) -> tuple[list[Path], list[Path]]:  # fmt: skip
    """Encodes of `count` cached clips by the model `start`, at qualities drawn for each, and of all validation clips at
    fixed ones; those that are in the cache are not made again.

    Raises UsageError: start is no model with tables, or without motion; InputError: too few long clips.
    """
    if not names_model(start):
        raise UsageError(f"--start {start} --chains {count}: only a model or a weights file can encode; name one")
    model = load_model(start, device=torch.device("cpu"))
    if not model.inter.uses_motion:
        raise UsageError(f"--start {start}: has no motion, so there is nothing to learn from its encodes; name another")
    found: list[Path] = []
    for clip in np.random.default_rng(0).permutation(np.array([str(clip) for clip in clips])):
        poll()
        folder = ensure_chain(Path(clip), drawn_quality(Path(clip)), model, cache)
        if folder is not None:
            found.append(folder)
            if len(found) % 50 == 0:
                say(f"encoded {len(found)} of {count} clips")
        if len(found) == count:
            break
    held_out = []
    for number, path in enumerate(validation_clips):
        poll()
        folder = ensure_chain(path, QUALITIES[number % len(QUALITIES)], model, cache)
        held_out += [] if folder is None else [folder]
    for what, folders in (("training", found), ("validation", held_out)):
        if not folders:
            raise InputError(f"no {what} clip has the {SHORTEST} frames that --chains needs; add longer videos")
    return found, held_out


def hold_out_chains(
    folders: Sequence[Path], crop: int, device: torch.device, autocast: torch.dtype | None
) -> HeldOutChains:
    """Up to HELD_OUT pictures that were not skipped, drawn once; in large crops where a video is so large."""
    try:
        data = ChainDataset(folders, crop=VALIDATION_CROP, seed=0)
    except InputError:
        data = ChainDataset(folders, crop=crop, seed=0)
    pictures = [
        (folder, number) for folder, number in data.pictures if number >= EARLIEST and not data.skipped(folder, number)
    ] or data.pictures  # fmt: skip
    order = data.random.permutation(len(pictures))[:HELD_OUT]
    return HeldOutChains(data, tuple(data.place(*pictures[number]) for number in order), device, autocast)


def _decibels(error: Tensor) -> Tensor:
    return 10 * torch.log10(255**2 / error.detach().clamp(min=1e-6))
