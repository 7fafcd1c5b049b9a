"""From a checkpoint to package weights: counted probability tables, half-precision matrices, one safetensors file.

Training assumes Gaussians; real symbols are counted here, per scale index (y), per channel (z) and per context
(motion), on training material, and the counts become the coder's tables.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from stpcodec.entropy.tables import gaussian_counts
from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES
from stpcodec.latents.motion_field import like_levels
from stpcodec.latents.quantise import LARGEST_HYPER, SCALE_COUNT, scales
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.config import ModelConfig
from stpcodec.model.learned import Z_CONTEXTS
from stpcodec.model.motion_tables import (
    CONTEXTS,
    SYMBOLS,
    MotionTables,
    count_choices,
    count_residuals,
    initial_tables,
    tables_from_counts,
)
from stpcodec.model.network import StpNetwork
from stpcodec.model.picture_motion import PictureMotion
from stpcodec.model.prior import IntegerLayer, power_of_two
from stpcodec.model.rates import lagrange_lambda
from stpcodec.model.zoo import TILT
from stpcodec.training.coding_loop import code_sequence
from stpcodec.training.dataset import ClipDataset, MixedLengths, PictureDataset
from stpcodec.training.loss import Coded, code_chunk
from stpcodec.training.motion_cache import planes_of, search_chunk
from stpcodec.training.tilt import tilt_table

Y_LARGEST = 255
TABLE_TOTAL = 1 << 22
PSEUDO_COUNT = 300.0
"""Weight of the Gaussian a row starts from, in observations: rare rows stay sane."""
Z_PSEUDO_COUNT = 20.0


MOTION_FRAMES = 8
"""Frames of a clip that are searched for the motion tables."""


class _Counter:
    """Histograms of one network's symbols. contexts: tables per channel of z, see `codec.latent_coder`."""

    def __init__(self, hyper: int, contexts: int):
        self.contexts = contexts
        self.y = torch.zeros(SCALE_COUNT, 2 * Y_LARGEST + 2, dtype=torch.float64)
        self.z = torch.zeros(hyper * contexts, 2 * LARGEST_HYPER + 2, dtype=torch.float64)

    def add(self, coded: Coded, previous_z: Tensor | None = None) -> None:
        symbols = (coded.latents - coded.mean).round().long().flatten().cpu()
        column = torch.where(symbols.abs() <= Y_LARGEST, symbols + Y_LARGEST, 2 * Y_LARGEST + 1)
        index = coded.index.long().flatten().cpu() * self.y.shape[1] + column
        self.y.view(-1).index_add_(0, index, torch.ones_like(index, dtype=torch.float64))
        z = coded.z.long().cpu()
        row = torch.arange(z.shape[1]).view(1, -1, 1, 1).expand_as(z) * self.contexts
        if previous_z is not None:
            row = row + self.contexts // 2 + previous_z.long().cpu()
        flat = (row * self.z.shape[1] + z + LARGEST_HYPER).flatten()
        self.z.view(-1).index_add_(0, flat, torch.ones_like(flat, dtype=torch.float64))

    def tables(self) -> tuple[Tensor, Tensor]:
        gaussian = torch.from_numpy(
            np.stack([
                0.97 * gaussian_counts(float(s), Y_LARGEST) + 0.03 * gaussian_counts(3 * float(s) + 0.5, Y_LARGEST)
                for s in scales()
            ])
        )  # fmt: skip
        columns = self.z.shape[1]
        flat = torch.ones(self.z.shape[0] // self.contexts, columns, dtype=torch.float64)
        flat[:, -1] = 1e-6  # z is clamped: its escape never comes
        # A channel's rare contexts lean on what it does at large, and that on no knowledge at all.
        channel = self.z.view(-1, self.contexts, columns).sum(1) + flat
        return _integers(self.y, gaussian, PSEUDO_COUNT), _integers(
            self.z, channel.repeat_interleave(self.contexts, 0), Z_PSEUDO_COUNT
        )


def _integers(observed: Tensor, expected: Tensor, weight: float) -> Tensor:
    mixed = observed + weight * expected / expected.sum(1, keepdim=True)
    return (mixed / mixed.sum(1, keepdim=True) * TABLE_TOTAL).round().clamp(min=1).int()


@torch.no_grad()
def count_symbols(
    network: StpNetwork, clips: ClipDataset | MixedLengths, pictures: PictureDataset, *,
    chunks: int, batches: int, device: torch.device,
) -> dict[str, Tensor]:  # fmt: skip
    """Runs the codec's loop over random crops, sequences of `chunks`; the y and z tables of both networks."""
    counters = {
        "intra": _Counter(network.config.intra.hyper, 1),
        "inter": _Counter(network.config.inter.hyper, Z_CONTEXTS),
    }
    for _ in range(batches):
        quality = 1 + 99 * torch.rand(clips_per_batch := 4, device=device)
        photo = pictures.pictures(clips_per_batch, device)
        counters["intra"].add(code_chunk(network.intra, pack_frames(photo, 1), quality, None, None))
        sequence = clips.sequences(clips_per_batch, chunks, device)
        for picture in code_sequence(network, sequence, quality):
            name = "intra" if picture.context is None else "inter"
            previous = None if picture.previous is None else picture.previous.coded.z
            counters[name].add(picture.coded, previous)
    result = {}
    for name, counter in counters.items():
        result[f"tables.{name}.y"], result[f"tables.{name}.z"] = counter.tables()
    return result


@torch.no_grad()
def count_motion(clips: list[Path], frames: int, *, rounds: int = 2, limit: int = 60) -> MotionTables:
    """Searches the first frames of some clips, counts residuals, and searches again with the costs so found.

    Chunks of `frames` frames, and in every second clip of one.
    """
    tables = initial_tables()
    step = max(1, len(clips) // limit)
    for _ in range(rounds):
        counts = torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64)
        blend = torch.zeros(BLEND_CONTEXTS, CHOICES + 1, dtype=torch.float64)
        for number, clip in enumerate(clips[::step]):
            array = np.load(clip, mmap_mode="r")
            quality = torch.tensor(10.0 + 80.0 * (number % 9) / 8)
            lagrangian = 1.0 / (float(lagrange_lambda(quality)) * 255**2)
            before, length = None, 1 if number % 2 else frames
            for start in range(0, min(len(array) - length, MOTION_FRAMES), length):
                window = planes_of(array, start, start + length + 1)
                found = search_chunk(window, tables, lagrangian, before)
                for motion in found:
                    count_picture(counts, blend, motion, window.height, window.width)
                before = found[0].fields[0]
        tables = tables_from_counts(counts, blend)
    return tables


def count_picture(counts: Tensor, blend: Tensor, motion: PictureMotion, height: int, width: int) -> None:
    """Adds what a picture's motion says to both tables' counts, in place."""
    if motion.absent:
        return
    for levels, like, kind in motion.parts():
        count_residuals(counts, levels, like_levels(like, height, width), height, width, kind)
    if motion.choice is not None:
        count_choices(blend, motion.choice)


def tables_of(weights: Path) -> tuple[dict[str, Tensor], MotionTables]:
    """The tables of a weights file as `export_weights` takes them; the rest of them it makes of the networks."""
    with safe_open(weights, "pt") as file:
        names = [name for name in file.keys() if name.startswith("tables.") and not name.endswith(("_quality", TILT))]  # noqa: SIM118
        tables = {name: file.get_tensor(name) for name in names}
    return tables, MotionTables(tables.pop("tables.motion"), tables.pop("tables.blend"))


def export_weights(network: StpNetwork, tables: dict[str, Tensor], motion: MotionTables, folder: Path) -> Path:
    """Writes ``NAME-<sha256 first 8>.safetensors`` into folder and returns its path.

    Raises ModelError when the integer prior could overflow (see prior.IntegerLayer.check_exact).
    """
    tensors: dict[str, Tensor] = {}
    for name, part in (("intra", network.intra), ("inter", network.inter)):
        part.prior.check_exact(name)
        for table, values in part.prior.quality_integers().items():
            tensors[f"tables.{name}.{table}"] = values
        tensors[f"tables.{name}.{TILT}"] = tilt_table(part)
    tensors |= tables | {"tables.motion": motion.counts.int(), "tables.blend": motion.blend.int()}
    snapped = _snapped_prior(network)
    for key, value in network.state_dict().items():
        value = snapped.get(key, value).detach().cpu().contiguous()
        # Vectors (biases, gains) stay float32; prior weights are 8-bit integers over a power of two: exact in float16.
        tensors[key] = value.half() if value.ndim >= 2 and "quality" not in key and "gain" not in key else value.float()
    return write_weights(tensors, network.config, folder)


def write_weights(tensors: dict[str, Tensor], config: ModelConfig, folder: Path) -> Path:
    """The file of a model's tensors, named by what it holds; under its name only when it is complete."""
    data = save({key: value.cpu().contiguous() for key, value in tensors.items()}, {"config": config.to_json()})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{config.name}-{hashlib.sha256(data).hexdigest()[:8]}.safetensors"
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.rename(path)
    return path


def _snapped_prior(network: StpNetwork) -> dict[str, Tensor]:
    """The prior's weights as the integers they stand for, divided by their power of two again."""
    snapped = {}
    for name, layer in network.named_modules():
        if isinstance(layer, IntegerLayer):
            weight, _, shift = layer.integers()
            snapped[f"{name}.weight"] = weight.detach() * power_of_two(-shift)
    return snapped
