"""What a quality of 1 to 100 means: a Lagrangian, the same for every model."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.model.error_kernels import add_block_errors, blocks_like
from stpcodec.model.planes import Planes

LAMBDA_SMALLEST, LAMBDA_LARGEST = 0.002, 0.4
"""λ of quality 1 and 100, in bits per pixel per squared 8-bit error; as x264's Lagrangian at QP 40 and 17."""

LOG_LAMBDA_STEP = math.log(LAMBDA_LARGEST / LAMBDA_SMALLEST) / 99
"""Of a whole quality."""

LUMA_WEIGHT = 6.0
CHROMA_WEIGHT = 3.0
"""The figure that counts averages decibels 6:1:1, not squared errors: a chroma error, being several times smaller
than luma's, weighs that much more in it. 6:3:3 makes a decibel of u worth about what the figure gives it."""


INTRA_BONUS = 34
"""The intra frame is the reference of all that follows: it is coded this much above the quality asked for, and less
where much moves (codec/opening.py)."""
LIBRARY_BONUS = 22
"""... and so much where it is predicted from a picture of the model's library: most of it is good already. Measured:
docs/ablations.md."""
INTRA_ROUNDS = 3
"""Of better latents (model/refine.py) in the intra frame: one frame in a segment, so it may take its time. Measured:
docs/ablations.md."""
TILTED_ROUNDS = 2
"""... and in other pictures that some are predicted from, of a tilted model (`--tune ssim`): what MS-SSIM sees of an
error is not what the analysis was trained for. Measured: docs/ablations.md."""
CAUTION = 3.2
"""Errors count this much more than the Lagrangian says when the quantiser makes a symbol cheaper: a picture is the
reference of others, and its latents are the prior's context. Measured: docs/ablations.md."""
CAUTION_BETWEEN, CAUTION_LAST = 0.75, 0.5
"""Shares of the caution in pictures between two references: those that others are predicted from, and those that none
is. Measured: docs/ablations.md."""
DEPTH_BONUS: dict[int, tuple[int, ...]] = {
    1: (0,), 2: (8, -9), 3: (9, -8, -8), 4: (19, 0, -12), 5: (19, 0, -12, -12), 6: (19, 0, -12, -12),
    7: (19, 0, -12, -12), 8: (20, 7, -4, -15),
}  # fmt: skip
"""By chunk length, per depth, where a segment goes on (codec/ending.py). Compared: 2, 4 and 8 (docs/ablations.md). 3
and 5 to 7 end segments; those follow 4."""


def depth_bonus(frames: int, depth: int) -> int:
    """How far above the quality asked for pictures of a depth (latents/gop.py) are coded: others are predicted from
    them."""
    return DEPTH_BONUS[frames][depth]


def lagrange_lambda(quality: Tensor) -> Tensor:
    """λ for qualities of 1 to 100, log-spaced."""
    return LAMBDA_SMALLEST * (LAMBDA_LARGEST / LAMBDA_SMALLEST) ** ((quality.float() - 1) / 99)


def sample_weight(quality: Tensor) -> Tensor:
    """Bits that a squared error of 1.0 in one sample is worth, planes weighted 6:1:1 over 4:1:1 samples.

    That weighs a luma sample's error 0.75 and a chroma sample's 0.5 of a pixel's: 0.7 on average. Training weighs
    chroma three times as much (`squared_error`); a learned model spreads its error by its own gains.
    """
    return lagrange_lambda(quality) * 255**2 * 0.7


def quantiser_step(quality: Tensor) -> Tensor:
    """Step Δ of an orthonormal transform of samples in [0, 1] at which weight·Δ²/12 + log2(1/Δ) per sample is least."""
    return torch.sqrt(6 / (math.log(2) * sample_weight(quality)))


def squared_error_map(decoded: Planes, original: Planes, block: int) -> Tensor:
    """As `squared_error`, but summed over blocks of `block`×`block` luma samples: ``[N, ⌈H/block⌉, ⌈W/block⌉]``."""
    if _compiles(decoded):
        return _compiled_error_map(decoded, original, block)
    total = torch.zeros((), device=decoded.y.device)
    for name, side, weight in (("y", block, LUMA_WEIGHT), *((c, block // 2, CHROMA_WEIGHT) for c in ("u", "v"))):
        error = (getattr(decoded, name) - getattr(original, name)).square()
        error = F.pad(error[:, None], (0, -error.shape[2] % side, 0, -error.shape[1] % side))
        total = total + weight * block * block * F.avg_pool2d(error, side)[:, 0]
    return total * (255.0**2 / 8)


def _compiles(frames: Planes) -> bool:
    return frames.y.device.type == "cpu" and not torch.is_grad_enabled()


def _compiled_error_map(decoded: Planes, original: Planes, block: int) -> Tensor:
    out = blocks_like(decoded.y.numpy(), block)
    for name, side, weight in (("y", block, LUMA_WEIGHT), *((c, block // 2, CHROMA_WEIGHT) for c in ("u", "v"))):
        planes = (getattr(part, name).detach().float().contiguous().numpy() for part in (decoded, original))
        # An average over a block of samples, times the luma samples that it stands for.
        add_block_errors(*planes, side, np.float32(weight * (block / side) ** 2 * (255.0**2 / 8)), out)
    return torch.from_numpy(out)


def squared_error(decoded: Planes, original: Planes) -> Tensor:
    """Per frame ``[N]``: squared 8-bit error weighted 6:3:3 over y, u, v, in luma's units."""
    if _compiles(decoded):
        # By blocks, so that float32 sums stay short.
        return _compiled_error_map(decoded, original, 16).sum((1, 2)) / (decoded.height * decoded.width)
    y = (decoded.y - original.y).square().mean((1, 2))
    u = (decoded.u - original.u).square().mean((1, 2))
    v = (decoded.v - original.v).square().mean((1, 2))
    return (LUMA_WEIGHT * y + CHROMA_WEIGHT * (u + v)) * (255.0**2 / 8)
