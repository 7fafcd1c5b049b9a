"""Second thoughts of an encoder about a picture's latents: `--effort`.

The analysis guesses in one pass which latents the synthesis will need. What it made of them once they are quantised is
known exactly, and so is how its error changes with each latent. Latents are moved towards where that error would be
least, quantised again, and so on: iterative inference (Campos et al. 2019; Yang, Bamler, Mandt 2020), by quasi-Newton
steps in place of many small ones. Decoding does not change.

Of a tilted network (`--tune ssim`) errors count half as squares and half as MS-SSIM sees them (structure.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.model.bands import Band
from stpcodec.model.chunk_io import unpack_frames
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality, batched
from stpcodec.model.rates import lagrange_lambda, squared_error, squared_error_map
from stpcodec.model.structure import structural_slope
from stpcodec.patches.packing import LUMA_CHANNELS

STRUCTURE = 0.5
"""Share of MS-SSIM in what errors of a tilted network count. With 1, latents overshoot. Measured: docs/ablations.md."""
TRUST_STEP, TRUST_LEFT = 0.7, 0.75
"""So far on the way that MS-SSIM asks for, at most so much of its loss may be left: on pages of text its slope changes
too fast to be followed, and squared errors alone are."""


class Refiner:
    """Of one picture. frames: N = 1, what it should decode to. parts: its bands, each with its context, None of an
    intra picture; memory for gradients is that of one. dtype: of the network's products; in bfloat16 a round takes
    little more than half the time, and latents move by a twentieth more or less than they would."""

    def __init__(
        self, network: ChunkNetwork, frames: Planes, parts: Sequence[tuple[Band, Context | None]], quality: Quality, *,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        self.network, self._frames, self.parts, self._quality = network, frames, parts, quality
        self._dtype = dtype

    def wanted(self, decoded: Tensor) -> Tensor:
        """Where the error around decoded latents ``[1, latents, h, w]`` (in steps) would be least, real.

        Its slope there is exact, its curvature that of the orthonormal basis that the synthesis started from
        (ChunkNetwork.curvatures), greater where MS-SSIM counts more.
        """
        # Codecs run in inference mode, whose tensors no gradient can be taken of.
        autocast = torch.autocast(decoded.device.type, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16)
        with torch.inference_mode(False), torch.enable_grad(), autocast:
            quality = batched(self._quality, decoded.device)
            latents = decoded.clone().float()
            curvature = 2 * self.network.curvatures(quality)
            if self.network.is_tilted and (found := self._by_structure(latents, quality, curvature)) is not None:
                return found.detach()
            return (latents - self._slope(latents, quality, None) / curvature).detach()

    def _slope(self, latents: Tensor, quality: Tensor, of_samples: Tensor | None) -> Tensor:
        """Of the squared errors' cost; of_samples: or of another one, how it changes with each packed sample."""
        slope = torch.zeros_like(latents)
        for band, context in self.parts:
            near = band.computed(1)
            part = latents[:, :, near].requires_grad_(True)
            made = self._made(part, quality, band, context)
            if of_samples is None:
                own = quality if quality.dim() == 1 else quality[:, band.own(1)]
                cost = _cost(unpack_frames(made, 1), self._frames.lines(band.own(16)), own)
                slope[:, :, near] += torch.autograd.grad(cost, part)[0]
            else:
                slope[:, :, near] += torch.autograd.grad(made, part, of_samples[:, :, band.own(2)])[0]
        return slope

    def _made(self, part: Tensor, quality: Tensor, band: Band, context: Context | None) -> Tensor:
        level = quality if quality.dim() == 1 else quality[:, band.computed(1)]
        return self.network.synthesise(part, level, context)[:, :, band.inner(2)].float()

    def _whole(self, latents: Tensor, quality: Tensor) -> Tensor:
        with torch.no_grad():
            bands = [self._made(latents[:, :, b.computed(1)], quality, b, known) for b, known in self.parts]
        return torch.cat(bands, 2)

    def _by_structure(self, latents: Tensor, quality: Tensor, curvature: Tensor) -> Tensor | None:
        """`wanted` where MS-SSIM counts too; None where that cannot be trusted."""
        packed = self._whole(latents, quality).requires_grad_(True)
        made = unpack_frames(packed, 1)
        loss, structure = structural_slope(made.y[0], self._frames.y[0])
        seen = torch.autograd.grad(made.y, packed, structure[None], retain_graph=True)[0][:, :LUMA_CHANNELS]
        slope = torch.autograd.grad(_cost(made, self._frames, quality), packed)[0]
        luma = slope[:, :LUMA_CHANNELS]
        along = _product(luma, seen)
        if along <= 0:
            return None
        # In the direction of the squares' slope both are as steep.
        seen = seen * (_product(luma, luma) / along)
        strengths = [
            F.avg_pool2d(F.avg_pool2d(part.square().mean(1, keepdim=True), 2), 3, 1, 1, count_include_pad=False)
            for part in (seen, luma)
        ]
        counts = 1 - STRUCTURE + STRUCTURE * (strengths[0] / strengths[1].clamp(min=1e-20)).sqrt()
        slope = torch.cat((torch.lerp(luma, seen, STRUCTURE), slope[:, LUMA_CHANNELS:]), 1)
        wanted = latents - self._slope(latents, quality, slope) / (curvature * counts.clamp(min=1))
        reached = unpack_frames(self._whole(torch.lerp(latents, wanted, TRUST_STEP), quality), 1)
        left = structural_slope(reached.y[0], self._frames.y[0])[0]
        return wanted if left <= TRUST_LEFT * loss else None


def _cost(made: Planes, wanted: Planes, quality: Tensor) -> Tensor:
    """Of errors, in bits; quality ``[1]``, or ``[1, h, w]`` of every patch."""
    if quality.dim() == 1:
        return lagrange_lambda(quality)[0] * (squared_error(made, wanted).sum() * wanted.y.numel())
    return (lagrange_lambda(quality) * squared_error_map(made, wanted, PATCH)).sum()


def _product(one: Tensor, other: Tensor) -> float:
    """Of two slopes. By numpy: a sum by torch depends on the number of threads."""
    return float(np.vdot(one.cpu().numpy().astype(np.float64), other.cpu().numpy().astype(np.float64)))


def usable(frames: Planes) -> Planes:
    """The same samples outside inference mode."""
    with torch.inference_mode(False):
        return frames.map(torch.clone)
