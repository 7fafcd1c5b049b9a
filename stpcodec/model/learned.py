"""A trained network as a `Transform`: inference only, integer prior frozen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stpcodec.entropy.tables import TableSet
from stpcodec.latents.motion_field import SPACING
from stpcodec.latents.quantise import LARGEST_HYPER
from stpcodec.latents.regions import network_share
from stpcodec.model.band_work import BandWork, CompiledWork, TorchWork
from stpcodec.model.bands import Band, cut, halo_rows
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes, empty_frame
from stpcodec.model.precision import analysis_dtype
from stpcodec.model.prior_int8 import Int8Prior, eight_bit_products
from stpcodec.model.prior_run import CompiledPrior, CompiledRun, LaidOutPrior, StepwiseRun
from stpcodec.model.quality import Quality, batched
from stpcodec.model.refine import Refiner, usable
from stpcodec.model.side_by_side import side_by_side
from stpcodec.model.transform import FULL_TILT, PriorRun

Contexts = tuple[tuple[Band, Context], ...]
"""Of an inter picture, band by band."""

PLAIN, MIXED = 1, 2
"""Modes of inter pictures that are prediction and linear path alone, without the synthesis network, everywhere or in
some regions (latents/regions.py)."""
Z_CONTEXTS = 2 * (LARGEST_HYPER + 1)
"""Tables per channel of an inter network's z: none before, or each value before (codec/latent_coder.py)."""


class LearnedTransform:
    """network: in eval mode with its prior frozen, on its device. dtype: of the synthesis and analysis networks.
    tilt: int32 ``[latents]``, in full, see `tilted`.

    The prior always runs in exact float32; only pixels depend on dtype.
    """

    uses_motion = True

    def __init__(
        self, network: ChunkNetwork, y_tables: TableSet, z_tables: TableSet, *, dtype: torch.dtype = torch.float32,
        tilt: Tensor | None = None,
    ):  # fmt: skip
        self.network, self._dtype, self._tilt = network, dtype, tilt
        self.frames = network.config.frames
        self.latents = network.config.latents
        self.modes = (0, PLAIN, MIXED) if network.inter else (0,)
        self.mixed_mode = MIXED if network.inter else None
        self.prior = network.prior
        self.y_tables, self.z_tables = y_tables, z_tables
        self.device = network.log_gain.points.device
        compiled = self.device.type == "cpu" and dtype == torch.float32
        self._work: BandWork = TorchWork(network, dtype, self.device)
        # Of what only chooses integers.
        self._coarse = analysis_dtype() if compiled else torch.float32
        if compiled:
            self._work = CompiledWork(network, self._coarse)
        self._halo = halo_rows(network.config)
        self._compiled: LaidOutPrior[Any] | None = None
        if self.device.type == "cpu":
            self._compiled = Int8Prior(network.prior) if eight_bit_products() else CompiledPrior(network.prior)

    @property
    def tilts(self) -> bool:
        return self._tilt is not None

    def tilted(self, tilt: int) -> LearnedTransform:
        assert self._tilt is not None
        offsets = torch.div(2 * tilt * self._tilt + FULL_TILT, 2 * FULL_TILT, rounding_mode="floor")
        return LearnedTransform(
            self.network.tilted(offsets), self.y_tables, self.z_tables, dtype=self._dtype, tilt=self._tilt
        )

    def run_prior(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> PriorRun:
        if self._compiled is None:
            return StepwiseRun(self.prior, z, previous, quality, size, self.device)
        return CompiledRun(self._compiled, z, previous, quality, size)

    def hyper_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.network.config.hyper, -(-height // 4), -(-width // 4)

    def error_weights(self, quality: Quality) -> Tensor:
        weights = self.network.error_weights(batched(quality, self.device))[0]
        return weights[:, 0, 0] if isinstance(quality, int) else weights

    def choose_mode(self, frames: Planes, reference: Planes | None) -> int:
        return 0

    def context(
        self, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None, quality: int, mode: int, *,
        warped: tuple[Tensor, Tensor] | None = None, regions: Tensor | None = None, precise: bool = True,
    ) -> Contexts | None:  # fmt: skip
        if not references or field is None:
            return None
        height, width = references[0].height, references[0].width
        points = field[..., : height // SPACING + 1, : width // SPACING + 1]
        share = None if regions is None else network_share(regions, height // 8, width // 8)
        # Modes that are not one of these: PLAIN, and the codec's own for pictures without latents.
        everywhere = mode in (0, MIXED)

        def of_band(band: Band) -> Context:
            network = everywhere and (share is None or bool(share[band.computed(2)].any()))
            return self._work.context(
                references, points, choice, warped, share, band, network=network, precise=precise
            )

        bands = self._bands(height // 16)
        return tuple(zip(bands, side_by_side([partial(of_band, band) for band in bands]), strict=True))

    def analyse(self, frames: Planes, quality: Quality, context: Contexts | None) -> tuple[Tensor, Tensor]:
        parts = context or self._without_context(frames.height // 16)
        y = torch.cat(
            side_by_side([partial(self._work.analyse, frames, quality, known, band) for band, known in parts]), 2
        )
        return y, self.hyper(y)

    def refiner(
        self, frames: Planes, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None,
        quality: Quality,
    ) -> Refiner:  # fmt: skip
        parts: list[tuple[Band, Context | None]] = list(self._without_context(frames.height // 16))
        if references and field is not None:
            # By torch's modules: gradients are needed, which compiled networks do not have.
            work = TorchWork(self.network, torch.float32, self.device)
            points = field[..., : frames.height // SPACING + 1, : frames.width // SPACING + 1]
            with torch.inference_mode(False), torch.no_grad():
                known = [usable(reference) for reference in references]
                own = points.clone(), None if choice is None else choice.clone()
                parts = [(band, work.context(known, *own, None, None, band, network=True)) for band, _ in parts]
        return Refiner(self.network, usable(frames), parts, quality, dtype=self._coarse)

    def hyper(self, y: Tensor) -> Tensor:
        return self._work.hyper(y).round().clamp(-LARGEST_HYPER, LARGEST_HYPER)

    def synthesise(self, y: Tensor, quality: Quality, context: Contexts | None) -> Planes:
        return self._syntheses(y, quality, context, 1)[0]

    def alternatives(
        self, y: Tensor, quality: Quality, context: Contexts | None, mode: int
    ) -> list[tuple[Planes, int]]:
        found = self._syntheses(y, quality, context, 1 if context is None else 2)
        return list(zip(found, (mode, PLAIN), strict=False))

    def bare(self, context: Contexts | None) -> Planes | None:
        if context is None:
            return None
        rows, columns = context[-1][0].stop, context[0][1].prediction.shape[3] // 2
        frame = empty_frame(16 * rows, 16 * columns, self.device)
        for band, known in context:
            self._work.bare(known, band, frame)
        return frame

    def _syntheses(self, y: Tensor, quality: Quality, context: Contexts | None, count: int) -> list[Planes]:
        frames = [empty_frame(16 * y.shape[2], 16 * y.shape[3], self.device) for _ in range(count)]
        parts = context or self._without_context(y.shape[2])
        side_by_side([partial(self._work.syntheses, y, quality, known, band, frames) for band, known in parts])
        return frames

    def _bands(self, rows: int) -> tuple[Band, ...]:
        """Of a GPU's picture one: it is filled by one, and every further one has to be told to it."""
        return cut(rows, self._halo) if self.device.type == "cpu" else (Band(0, rows, 0, rows),)

    def _without_context(self, rows: int) -> list[tuple[Band, None]]:
        return [(band, None) for band in self._bands(rows)]
