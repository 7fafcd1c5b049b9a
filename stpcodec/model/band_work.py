"""What a learned transform does to one band of a picture: by torch modules on any device, or compiled on the CPU.

`size` of a band is that with its halo, in positions of 1/8 resolution; what is returned is without it unless it is a
`Context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from stpcodec.model.bands import Band
from stpcodec.model.chunk_io import blend, pack_frames, predict, unpack_frames, warped_pair
from stpcodec.model.compiled_frames import packed, predicted, predicted_pair, unpack_into
from stpcodec.model.compiled_hyper import CompiledHyper
from stpcodec.model.compiled_network import CompiledNetwork
from stpcodec.model.network import GREY, ChunkNetwork, Context
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality, batched, lines_of


class BandWork(Protocol):
    def context(
        self, references: Sequence[Planes], field: Tensor, choice: Tensor | None, warped: tuple[Tensor, Tensor] | None,
        share: Tensor | None, band: Band, *, network: bool, precise: bool = True,
    ) -> Context:  # fmt: skip
        """See LearnedTransform.context. share ``[H/8, W/8]``: of the network, None where it counts everywhere; network:
        whether it counts anywhere."""
        ...

    def analyse(self, frame: Planes, quality: Quality, context: Context | None, band: Band) -> Tensor:
        """Real latents ``[1, latents, rows, columns]`` in steps."""
        ...

    def hyper(self, y: Tensor) -> Tensor:
        """Real latents of a whole picture to real hyper-latents, see ChunkNetwork.hyper_analyse."""
        ...

    def syntheses(
        self, y: Tensor, quality: Quality, context: Context | None, band: Band, frames: Sequence[Planes]
    ) -> None:  # fmt: skip
        """Fills the band's lines of frames from decoded y ``[1, latents, h, w]`` of the picture: of the first as the
        context says, of the second, if there is one, by the linear path alone. Clamped."""
        ...

    def bare(self, context: Context, band: Band, frame: Planes) -> None:
        """Fills the band's lines of the frame from the prediction."""
        ...


class TorchWork:
    """dtype: of the networks' mixed precision."""

    def __init__(self, network: ChunkNetwork, dtype: torch.dtype, device: torch.device) -> None:
        self._network, self._dtype, self._device = network, dtype, device

    def context(
        self, references: Sequence[Planes], field: Tensor, choice: Tensor | None, warped: tuple[Tensor, Tensor] | None,
        share: Tensor | None, band: Band, *, network: bool, precise: bool = True,
    ) -> Context:  # fmt: skip
        lines, packed_lines = band.computed(16), band.computed(2)
        reference: Tensor | None = None
        difference: Tensor | None = None
        if len(references) == 1:
            prediction, reference = predict(references[0], field, lines)
        else:
            assert choice is not None
            past, future = references
            pair = warped_pair(past, future, field[None], lines) if warped is None else _lines(warped, packed_lines)
            prediction, difference = blend(pair, choice[None, band.computed(1)])
        if not network:
            return Context(_fast(prediction), None)
        with self._autocast():
            parts = (prediction, reference, difference)
            found = self._network.context(*(None if x is None else _fast(x) for x in parts))  # type: ignore[arg-type]
        return found if share is None else replace(found, network=share[packed_lines])

    def analyse(self, frame: Planes, quality: Quality, context: Context | None, band: Band) -> Tensor:
        values = _fast(pack_frames(frame.lines(band.computed(16)), 1))
        with self._autocast():
            return self._network.analyse(values, self._level(quality, band), context)[:, :, band.inner(1)]

    def hyper(self, y: Tensor) -> Tensor:
        # Outside autocast: a float analysis, but its rounding must not depend on more than it has to.
        return self._network.hyper_analyse(y)

    def syntheses(
        self, y: Tensor, quality: Quality, context: Context | None, band: Band, frames: Sequence[Planes]
    ) -> None:  # fmt: skip
        with self._autocast():
            plain, full = self._network.syntheses(_fast(y[:, :, band.computed(1)]), self._level(quality, band), context)
        for frame, values in zip(frames, (plain if full is None else full, plain), strict=False):
            _fill(frame, values, band)

    def bare(self, context: Context, band: Band, frame: Planes) -> None:
        _fill(frame, context.prediction, band)

    def _autocast(self) -> torch.autocast:
        enabled, kind = self._dtype != torch.float32, self._device.type
        return torch.autocast(kind, dtype=self._dtype if enabled else torch.bfloat16, enabled=enabled)

    def _level(self, quality: Quality, band: Band) -> Tensor:
        return batched(lines_of(quality, band.computed(1)), self._device)


class CompiledWork:
    """On the CPU, one frame at a time. Its contexts hold features position by position, within
    `CompiledNetwork.features_margin`, and `network` of the band's own rows. coarse: see there.
    """

    def __init__(self, network: ChunkNetwork, coarse: torch.dtype = torch.float32) -> None:
        self._network = CompiledNetwork(network, coarse)
        self._hyper = CompiledHyper(network, coarse)

    def context(
        self, references: Sequence[Planes], field: Tensor, choice: Tensor | None, warped: tuple[Tensor, Tensor] | None,
        share: Tensor | None, band: Band, *, network: bool, precise: bool = True,
    ) -> Context:  # fmt: skip
        lines = band.computed(16)
        reference: Tensor | None = None
        difference: Tensor | None = None
        if len(references) == 1:
            prediction = predicted(references[0], field[0], lines)
            reference = packed(references[0], lines) if network else None
        else:
            assert choice is not None
            past, future = references
            pair = predicted_pair(past, future, field, lines) if warped is None else _lines(warped, band.computed(2))
            prediction, difference = blend(pair, choice[None, band.computed(1)])
        if not network:
            return Context(prediction, None)
        size = (prediction.shape[2], prediction.shape[3])
        beside, apart = (None if x is None else _positions(x) for x in (reference, difference))
        with torch.autocast("cpu", enabled=False):
            features = self._network.context(
                _positions(prediction), beside, apart, size, band.margin(2), precise=precise
            )
        return Context(prediction, features, None if share is None else share[band.own(2)])

    def analyse(self, frame: Planes, quality: Quality, context: Context | None, band: Band) -> Tensor:
        values = packed(frame, band.computed(16))
        residual = values - (GREY if context is None else context.prediction)
        size = (values.shape[2], values.shape[3])
        features = None if context is None else context.features
        level = lines_of(quality, band.computed(1))
        with torch.autocast("cpu", enabled=False):
            y = self._network.analyse(_positions(residual), level, features, size, band.margin(2))
        return y.view(1, band.stop - band.start, size[1] // 2, -1).permute(0, 3, 1, 2)

    def hyper(self, y: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self._hyper(y)

    def syntheses(
        self, y: Tensor, quality: Quality, context: Context | None, band: Band, frames: Sequence[Planes]
    ) -> None:  # fmt: skip
        lines = band.computed(1)
        y = y[:, :, lines]
        size = (2 * y.shape[2], 2 * y.shape[3])
        prediction = features = share = None
        if context is not None:
            prediction, features = _positions(context.prediction), context.features
            share = None if context.network is None else context.network.reshape(-1, 1)
        with torch.autocast("cpu", enabled=False):
            plain, full = self._network.syntheses(
                _positions(y), lines_of(quality, lines), prediction, features, share, size, band.margin(2)
            )
        for frame, values in zip(frames, (plain if full is None else full, plain), strict=False):
            unpack_into(values.view(2 * (band.stop - band.start), size[1], -1), frame, band.start * 16)

    def bare(self, context: Context, band: Band, frame: Planes) -> None:
        unpack_into(context.prediction[0].permute(1, 2, 0)[band.inner(2)], frame, band.start * 16)


def _lines(pair: tuple[Tensor, Tensor], lines: slice) -> tuple[Tensor, Tensor]:
    return pair[0][:, :, lines], pair[1][:, :, lines]


def _positions(x: Tensor) -> Tensor:
    """``[1, C, h, w]`` to ``[h·w, C]``; of channels-last order nothing moves."""
    return x[0].permute(1, 2, 0).reshape(-1, x.shape[1])


def _fill(frame: Planes, values: Tensor, band: Band) -> None:
    own, target = unpack_frames(values[:, :, band.inner(2)], 1).clamp(), frame.lines(band.own(16))
    for name in ("y", "u", "v"):
        getattr(target, name).copy_(getattr(own, name))


def _fast(x: Tensor) -> Tensor:
    """1×1 convolutions are matrix products in channels-last."""
    return x.contiguous(memory_format=torch.channels_last)
