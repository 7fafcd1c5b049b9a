"""A trained network as a `Transform`: inference only, integer prior frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stpcodec.entropy.tables import TableSet
from stpcodec.latents.motion_field import SPACING
from stpcodec.latents.regions import network_share
from stpcodec.model.chunk_io import blend, pack_frames, predict, unpack_frames, warped_pair
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes
from stpcodec.model.rates import sample_weight

LARGEST_HYPER = 7
PLAIN, MIXED = 1, 2
"""Modes of inter pictures that are prediction and linear path alone, without the synthesis network, everywhere or in
some regions (latents/regions.py)."""
Z_CONTEXTS = 2 * (LARGEST_HYPER + 1)
"""Tables per channel of an inter network's z: none before, or each value before (codec/latent_coder.py)."""


class LearnedTransform:
    """network: in eval mode with its prior frozen, on its device. dtype: of the synthesis and analysis networks.

    The prior always runs in exact float32; only pixels depend on dtype.
    """

    uses_motion = True

    def __init__(
        self, network: ChunkNetwork, y_tables: TableSet, z_tables: TableSet, *, dtype: torch.dtype = torch.float32
    ):
        self.network = network
        self.frames = network.config.frames
        self.latents = network.config.latents
        self.modes = (0, PLAIN, MIXED) if network.inter else (0,)
        self.mixed_mode = MIXED if network.inter else None
        self.prior = network.prior
        self.y_tables, self.z_tables = y_tables, z_tables
        self.dtype = dtype

    def hyper_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.network.config.hyper, -(-height // 4), -(-width // 4)

    def error_weights(self, quality: int) -> Tensor:
        # As if the synthesis were orthonormal behind its gains, as the KLT that it started from is.
        table = self.network.log_inverse_gain
        gain = torch.exp(table(torch.tensor([quality], device=table.points.device)))[0, :, 0, 0]
        return sample_weight(torch.tensor(quality)).to(gain.device) * gain.square()

    def choose_mode(self, frames: Planes, reference: Planes | None) -> int:
        return 0

    def context(
        self, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None, quality: int, mode: int, *,
        warped: tuple[Tensor, Tensor] | None = None, regions: Tensor | None = None,
    ) -> Context | None:  # fmt: skip
        if not references or field is None:
            return None
        rows, columns = references[0].height // SPACING + 1, references[0].width // SPACING + 1
        field = field[..., :rows, :columns]
        packed: Tensor | None = None
        difference: Tensor | None = None
        if len(references) == 1:
            prediction, packed = predict(references[0], field)
        else:
            assert choice is not None
            past, future = references
            prediction, difference = blend(warped or warped_pair(past, future, field[None]), choice[None])
        if mode not in (0, MIXED):  # PLAIN, or the codec's own for pictures without latents
            return Context(_fast(prediction), None)
        with self._autocast(prediction.device):
            found = self.network.context(*(None if x is None else _fast(x) for x in (prediction, packed, difference)))  # type: ignore[arg-type]
        if regions is None:
            return found
        return replace(found, network=network_share(regions, *prediction.shape[-2:]))

    def plainer(self, context: Context | None, mode: int) -> tuple[Context | None, int]:
        if context is None:
            return None, mode
        return replace(context, features=None), PLAIN

    def analyse(self, frames: Planes, quality: int, context: Context | None) -> tuple[Tensor, Tensor]:
        packed = _fast(pack_frames(frames, self.frames))
        with self._autocast(packed.device):
            y = self.network.analyse(packed, self._quality(quality, packed), context)
        # Outside autocast: a float analysis, but its rounding must not depend on more than it has to.
        return y, self.hyper(y)

    def hyper(self, y: Tensor) -> Tensor:
        return self.network.hyper_analyse(y).round().clamp(-LARGEST_HYPER, LARGEST_HYPER)

    def synthesise(self, y: Tensor, quality: int, context: Context | None) -> Planes:
        with self._autocast(y.device):
            packed = self.network.synthesise(_fast(y), self._quality(quality, y), context)
        return unpack_frames(packed, self.frames).clamp()

    def _autocast(self, device: torch.device) -> torch.autocast:
        enabled = self.dtype != torch.float32
        return torch.autocast(device.type, dtype=self.dtype if enabled else torch.bfloat16, enabled=enabled)

    @staticmethod
    def _quality(quality: int, like: Tensor) -> Tensor:
        return torch.tensor([quality], device=like.device)


def _fast(x: Tensor) -> Tensor:
    """1×1 convolutions are matrix products in channels-last, twice as fast on a CPU."""
    return x.contiguous(memory_format=torch.channels_last)
