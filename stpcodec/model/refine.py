"""Second thoughts of an encoder about a picture's latents: `--effort`.

The analysis guesses in one pass which latents the synthesis will need. What it made of them once they are quantised is
known exactly, and so is how its error changes with each latent. Latents are moved towards where that error would be
least, quantised again, and so on: iterative inference (Campos et al. 2019; Yang, Bamler, Mandt 2020), by quasi-Newton
steps in place of many small ones. Decoding does not change.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.model.chunk_io import unpack_frames
from stpcodec.model.network import ChunkNetwork, Context
from stpcodec.model.planes import Planes
from stpcodec.model.rates import lagrange_lambda, squared_error


class Refiner:
    """Of one picture. frames: N = 1, what it should decode to. context: None of an intra picture."""

    def __init__(self, network: ChunkNetwork, frames: Planes, context: Context | None, quality: int) -> None:
        self._network, self._frames, self._context, self._quality = network, frames, context, quality

    def wanted(self, decoded: Tensor) -> Tensor:
        """Where the error around decoded latents ``[1, latents, h, w]`` (in steps) would be least, real.

        Its slope there is exact, its curvature that of the orthonormal basis that the synthesis started from
        (ChunkNetwork.error_weights).
        """
        # Codecs run in inference mode, whose tensors no gradient can be taken of.
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(decoded.device.type, enabled=False):
            quality = torch.tensor([self._quality], device=decoded.device)
            latents = decoded.clone().float().requires_grad_(True)
            made = unpack_frames(self._network.synthesise(latents, quality, self._context), 1)
            error = (lagrange_lambda(quality) * squared_error(made, self._frames)).sum() * self._frames.y.numel()
            (slope,) = torch.autograd.grad(error, latents)
            curvature = 2 * self._network.error_weights(quality)[:, :, None, None]
            return (latents - slope / curvature).detach()


def usable(frames: Planes) -> Planes:
    """The same samples outside inference mode."""
    with torch.inference_mode(False):
        return frames.map(torch.clone)
