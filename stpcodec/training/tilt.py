"""Which latents count more where structure is judged: the table behind `--tune ssim` (FORMAT.md §16).

MS-SSIM (Wang et al. 2003) sees an error of low frequency on all of its five scales, one of high frequency on the finest
alone, which counts least. Noise was put into one latent of the intra network after the other, and what MS-SSIM lost for
each squared error that it made was plotted against the latent's frequency: `SENSITIVITY` (docs/ablations.md). It does
not see chroma at all; `CHROMA` is a choice.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.model.chunk_io import unpack_frames
from stpcodec.model.network import ChunkNetwork
from stpcodec.model.rates import LOG_LAMBDA_STEP

SENSITIVITY = ((0.0, 2.6), (0.2, 2.6), (0.25, 1.6), (0.3, 1.0), (0.4, 0.65), (0.5, 0.5))
"""(cycles a sample, what a squared error counts), between them linear in its logarithm."""
CHROMA = 0.4
"""What a squared error of chroma counts of what it does otherwise. Training weighs the planes 6:3:3, a chroma sample
twice as much as one of luma, for a figure that averages decibels; at the six eighths of `--tune ssim` all samples count
alike, as in other codecs."""
LUMA_SHARE = 0.5
"""Of a latent's energy, from which on it is one of luma."""


@torch.no_grad()
def tilt_table(network: ChunkNetwork) -> Tensor:
    """int32 ``[1, latents]``: by how many qualities each latent would be better, in full, for what its errors count."""
    basis = network.linear.inverse_matrix.weight.detach().float().cpu()[:, :, 0, 0].T
    patches = F.pixel_shuffle(basis[:, :, None, None], 2)  # of each latent, 2×2 positions
    planes = unpack_frames(patches, network.config.frames)
    luma = planes.y.reshape(len(basis), -1, *planes.y.shape[-2:])[:, 0]
    share = luma.square().sum((1, 2)) / basis.square().sum(1).clamp(min=1e-12)
    power = torch.fft.fft2(luma).abs().square()
    rows, columns = (torch.fft.fftfreq(side) for side in luma.shape[1:])
    radius = torch.hypot(rows[:, None], columns[None])
    frequency = (power * radius).sum((1, 2)) / power.sum((1, 2)).clamp(min=1e-12)
    known, counts = zip(*SENSITIVITY, strict=True)
    logs = torch.from_numpy(np.interp(frequency.numpy(), known, np.log(counts)))
    logs = torch.where(share > LUMA_SHARE, logs, math.log(CHROMA))
    return (logs / LOG_LAMBDA_STEP).round().int()[None]
