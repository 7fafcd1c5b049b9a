"""What a quality of 1 to 100 means: a Lagrangian, the same for every model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LAMBDA_SMALLEST, LAMBDA_LARGEST = 0.002, 0.4
"""λ of quality 1 and 100, in bits per pixel per squared 8-bit error; as x264's Lagrangian at QP 40 and 17."""


def lagrange_lambda(quality: Tensor) -> Tensor:
    """λ for qualities of 1 to 100, log-spaced."""
    return LAMBDA_SMALLEST * (LAMBDA_LARGEST / LAMBDA_SMALLEST) ** ((quality.float() - 1) / 99)


def sample_weight(quality: Tensor) -> Tensor:
    """Bits that a squared error of 1.0 in one sample is worth, planes weighted 6:1:1 over 4:1:1 samples.

    That weighs a luma sample's error 0.75 and a chroma sample's 0.5 of a pixel's: 0.7 on average. Training weighs
    chroma three times as much (training/loss.py); a learned model spreads its error by its own gains.
    """
    return lagrange_lambda(quality) * 255**2 * 0.7


def quantiser_step(quality: Tensor) -> Tensor:
    """Step Δ of an orthonormal transform of samples in [0, 1] at which weight·Δ²/12 + log2(1/Δ) per sample is least."""
    return torch.sqrt(6 / (math.log(2) * sample_weight(quality)))
