"""Procedural pictures to render with: periodic multi-octave noise, sampling with mip levels, and colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def noise(size: int, *, slope: float, seed: int, low: float = 1.0) -> Floats:
    """Periodic noise [size, size] of zero mean and unit deviation.

    Its amplitude spectrum falls as frequency ** -slope (1: natural textures, 2: landscapes) above `low`
    cycles per tile and is empty below.
    """
    white = np.random.default_rng(seed).standard_normal((size, size))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    gain = np.where(frequency >= low, np.maximum(frequency, 1.0) ** -slope, 0.0)
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(size, size))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def bilinear(texture: Floats, y: Floats, x: Floats) -> Floats:
    """Values of a periodic texture [H, W] or [H, W, C] at real coordinates (in texels)."""
    height, width = texture.shape[:2]
    y0, x0 = np.floor(y), np.floor(x)
    fy, fx = (y - y0).astype(np.float32), (x - x0).astype(np.float32)
    if texture.ndim == 3:
        fy, fx = fy[..., None], fx[..., None]
    top, left = y0.astype(np.int64) % height, x0.astype(np.int64) % width
    bottom, right = (top + 1) % height, (left + 1) % width
    upper = texture[top, left] * (1 - fx) + texture[top, right] * fx
    lower = texture[bottom, left] * (1 - fx) + texture[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


class Mipmap:
    """A periodic texture and its halvings: sampled at the level whose texel is as large as the pixel."""

    def __init__(self, texture: Floats, levels: int = 6) -> None:
        self.levels = [texture]
        for _ in range(levels - 1):
            last = self.levels[-1]
            self.levels.append((last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) / 4)

    def sample(self, y: Floats, x: Floats, texels_per_pixel: Floats) -> Floats:
        """Trilinear lookup at (y, x) in texels of the finest level; all arguments of one shape [N]."""
        level = np.clip(np.log2(np.maximum(texels_per_pixel, 1e-6)), 0, len(self.levels) - 1.001)
        floor = level.astype(np.int64)
        mix = (level - floor).astype(np.float32)
        out = np.zeros((*y.shape, *self.levels[0].shape[2:]), np.float32)
        for index in range(len(self.levels)):
            for chosen, weight in ((floor == index, 1 - mix), (floor + 1 == index, mix)):
                if not chosen.any():
                    continue
                scale = 0.5**index
                values = bilinear(
                    self.levels[index], (y[chosen] + 0.5) * scale - 0.5, (x[chosen] + 0.5) * scale - 0.5
                )
                share = weight[chosen]
                out[chosen] += values * (share[:, None] if values.ndim == 2 else share)
        return out


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def mix(a: Floats, b: Floats, weight: Floats) -> Floats:
    """a where weight is 0, b where it is 1; colours are [..., 3] or [3], weight is [...]."""
    return (a + (b - a) * weight[..., None]).astype(np.float32)


def colour(red: int, green: int, blue: int) -> Floats:
    return np.array([red, green, blue], np.float32) / 255


def shrink(picture: Floats, factor: int) -> Floats:
    """Area average [H*factor, W*factor, C] -> [H, W, C]: the antialiasing of everything here."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    return picture.reshape(height, factor, width, factor, -1).mean((1, 3))
