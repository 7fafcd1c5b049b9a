"""Training material for the inter network from real encodes, and batches of it.

Sequences behind an intra frame (dataset.py) show the network a few frames after a reference that is better than any it
will meet later. Here a clip is encoded, and every picture keeps what it was predicted from (evaluation/predictions.py):
a step needs no frames before the one that is learned from. What the network of the day would make of the references is
not followed up; a new model asks for new encodes (the imitation problem of Ross et al. 2011, one round of it).
"""

from __future__ import annotations

import math
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.errors import InputError, OutputError
from stpcodec.evaluation.predictions import PredictedPicture, predicted_pictures
from stpcodec.latents.chunk import PATCH
from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.model.layers import QUALITIES
from stpcodec.model.rates import lagrange_lambda
from stpcodec.model.transform import Model
from stpcodec.training.cache import frames_of
from stpcodec.training.step import balance
from stpcodec.training.store import ArrayStore

FRAMES = 41
"""Of a clip: as far as a picture can be from the intra frame."""
SHORTEST = 9
"""Clips of fewer frames are left out."""
ARRAYS = ("target", "prediction", "other", "previous")
SKIPPED_SHARE = 0.3
"""Of the pictures that were skipped: the network may have been the reason. A choice; not measured."""
_PACKED = PATCH // 8
"""Packed samples a patch and side."""


def drawn_quality(clip: Path) -> int:
    """The same for a clip at every call."""
    return int(np.random.default_rng(zlib.crc32(clip.name.encode())).integers(1, QUALITIES + 1))


def ensure_chain(clip: Path, quality: int, model: Model, cache: Path) -> Path | None:
    """Encodes a cached clip with `model`, unless that was done; the folder of its pictures, None of too short a clip.

    There lie target.npy (uint8), prediction.npy and other.npy (float16) ``[N, 96, H/8, W/8]``, previous.npy (int16
    ``[N, latents, H/16, W/16]``, zero where there is none), and facts.npy: a row of references, quality, skipped,
    bits per pixel and squared error for each. About 95 MB of 41 frames of 640×360.
    Raises OutputError: the cache cannot be written.
    """
    stacked = np.load(clip, mmap_mode="r")
    if len(stacked) < SHORTEST:
        return None
    folder = cache / f"chains-{model.weights_sha256[:8]}" / f"{clip.stem}-{quality}"
    if folder.exists():
        return folder
    found = list(predicted_pictures(model, frames_of(stacked[:FRAMES]), quality))
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for name, array in _arrays(found, model.inter.latents).items():
            np.save(temporary / f"{name}.npy", array)
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = error.strerror or error
        raise OutputError(f"{folder}: cannot be written ({reason}); choose another --cache") from error
    return folder


def _arrays(pictures: Sequence[PredictedPicture], latents: int) -> dict[str, np.ndarray]:
    _, height, width = pictures[0].target.shape
    nothing = torch.zeros(latents, height // _PACKED, width // _PACKED)
    previous = [nothing if picture.previous is None else picture.previous for picture in pictures]
    facts = [(p.references, p.quality, p.skipped, p.bits, p.error) for p in pictures]
    return {
        "target": np.stack([(255 * picture.target).round().numpy().astype(np.uint8) for picture in pictures]),
        "prediction": np.stack([picture.prediction.half().numpy() for picture in pictures]),
        "other": np.stack([picture.other.half().numpy() for picture in pictures]),
        "previous": np.stack([part.clamp(-(1 << 15), (1 << 15) - 1).numpy().astype(np.int16) for part in previous]),
        "facts": np.array(facts, np.float64),
    }


@dataclass(frozen=True)
class ChainBatch:
    """B crops. target, prediction, reference (the prediction where there are two), difference (zero where there is one)
    ``[B, 96, h, w]``; previous ``[B, latents, h/2, w/2]`` in steps; quality ``[B]``; weight ``[B]``: of their losses.
    """

    target: Tensor
    prediction: Tensor
    reference: Tensor
    difference: Tensor
    previous: Tensor
    quality: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Place:
    """A crop: picture `number` of `folder`, its corner in patches."""

    folder: Path
    number: int
    top: int
    left: int


class ChainDataset:
    """Draws crops uniformly over pictures, as `store` holds them (memory-mapped, unless one is given).

    A clip's losses weigh by what it cost on average, so that saving a share of any clip's bits is worth the same, as in
    the mean of clips that BD-rates are compared by. Raises InputError when no picture is large enough.
    """

    def __init__(self, folders: Iterable[Path], *, crop: int, seed: int, store: ArrayStore | None = None):
        store = store or ArrayStore(torch.device("cpu"))
        self.crop, self.random = crop, np.random.default_rng(seed)
        self._arrays, self._facts, costs = {}, {}, {}
        for folder in folders:
            arrays = {name: store(folder / f"{name}.npy") for name in ARRAYS}
            if min(arrays["previous"].shape[2:]) * PATCH >= crop:
                self._arrays[folder], self._facts[folder] = arrays, np.load(folder / "facts.npy")
                costs[folder] = _cost(self._facts[folder])
        if not costs:
            raise InputError(f"no encoded clip of at least {crop}×{crop} samples to train on; add larger videos")
        usual = math.exp(sum(math.log(cost) for cost in costs.values()) / len(costs))
        self._weights = {folder: usual / max(cost, usual / 10) for folder, cost in costs.items()}
        self.pictures = [(folder, number) for folder, facts in self._facts.items() for number in range(len(facts))]

    def skipped(self, folder: Path, number: int) -> bool:
        return bool(self._facts[folder][number, 2])

    def draw(self, batch: int, device: torch.device) -> ChainBatch:
        places: list[Place] = []
        while len(places) < batch:
            folder, number = self.pictures[self.random.integers(len(self.pictures))]
            if not self.skipped(folder, number) or self.random.random() < SKIPPED_SHARE:
                places.append(self.place(folder, number))
        return self.batch(places, device)

    def place(self, folder: Path, number: int) -> Place:
        """Somewhere in that picture."""
        sides = self._arrays[folder]["previous"].shape[2:]
        top, left = (int(self.random.integers(side - self.crop // PATCH + 1)) for side in sides)
        return Place(folder, number, top, left)

    def batch(self, places: Sequence[Place], device: torch.device) -> ChainBatch:
        def stacked(name: str, unit: int) -> Tensor:
            size = unit * (self.crop // PATCH)
            crops = [
                self._arrays[p.folder][name][
                    p.number, :, unit * p.top : unit * p.top + size, unit * p.left : unit * p.left + size
                ]
                for p in places
            ]  # fmt: skip
            return torch.stack([crop.to(device) for crop in crops]).float()

        facts = torch.tensor(np.stack([self._facts[p.folder][p.number] for p in places]), dtype=torch.float32)
        one = (facts[:, 0] == 1)[:, None, None, None].to(device)
        prediction, other = stacked("prediction", _PACKED), stacked("other", _PACKED)
        return ChainBatch(
            stacked("target", _PACKED) / 255, prediction, torch.where(one, other, prediction),
            torch.where(one, 0.0, other), stacked("previous", 1) / SIXTEENTHS, facts[:, 1].to(device),
            torch.tensor([self._weights[p.folder] for p in places], device=device),
        )  # fmt: skip


def _cost(facts: np.ndarray) -> float:
    """Bits and error of a picture, mean over those that were coded (over all where none was)."""
    coded = facts[facts[:, 2] == 0] if (facts[:, 2] == 0).any() else facts
    quality, bits, error = (torch.from_numpy(coded[:, column]) for column in (1, 3, 4))
    return max(1e-6, float(((lagrange_lambda(quality) * error + bits) * balance(quality)).mean()))
