"""Second thoughts of an encoder about a picture's latents: `--effort`.

The analysis guesses in one pass which latents the synthesis will need. What it made of them once they are quantised is
known exactly, and so is how its error changes with each latent. Latents are moved towards where that error would be
least, quantised again, and so on: iterative inference (Campos et al. 2019; Yang, Bamler, Mandt 2020), by quasi-Newton
steps in place of many small ones. Decoding does not change.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.model.bands import Band
from stpcodec.model.chunk_io import unpack_frames
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality, batched
from stpcodec.model.rates import lagrange_lambda, squared_error, squared_error_map


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
        (ChunkNetwork.curvatures).
        """
        # Codecs run in inference mode, whose tensors no gradient can be taken of.
        autocast = torch.autocast(decoded.device.type, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16)
        with torch.inference_mode(False), torch.enable_grad(), autocast:
            quality = batched(self._quality, decoded.device)
            latents = decoded.clone().float()
            slope = torch.zeros_like(latents)
            for band, context in self.parts:
                own, near = self._frames.lines(band.own(16)), band.computed(1)
                part = latents[:, :, near].requires_grad_(True)
                level = quality if quality.dim() == 1 else quality[:, near]
                made = self.network.synthesise(part, level, context)[:, :, band.inner(2)].float()
                cost = _cost(unpack_frames(made, 1), own, quality if quality.dim() == 1 else quality[:, band.own(1)])
                slope[:, :, near] += torch.autograd.grad(cost, part)[0]
            curvature = 2 * self.network.curvatures(quality)
            return (latents - slope / curvature).detach()


def _cost(made: Planes, wanted: Planes, quality: Tensor) -> Tensor:
    """Of errors, in bits; quality ``[1]``, or ``[1, h, w]`` of every patch."""
    if quality.dim() == 1:
        return lagrange_lambda(quality)[0] * (squared_error(made, wanted).sum() * wanted.y.numel())
    return (lagrange_lambda(quality) * squared_error_map(made, wanted, PATCH)).sum()


def usable(frames: Planes) -> Planes:
    """The same samples outside inference mode."""
    with torch.inference_mode(False):
        return frames.map(torch.clone)
