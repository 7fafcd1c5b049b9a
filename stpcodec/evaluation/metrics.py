"""PSNR of 4:2:0 video, per plane and weighted, by both conventions that are in use.

*Frame mean*: the PSNR of every frame, averaged over the clip. It is what HM, VTM and the DCVC papers print,
and what this project quotes.
*Clip*: one PSNR from the squared error summed over all frames. A few bad frames weigh more in it; FFmpeg's
`psnr` filter prints this one as "average".

Both weigh the planes in dB: (6 Y + U + V) / 8, "6:1:1" of the common test conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stpcodec.errors import VerificationFailed

PLANES = ("y", "u", "v")
WEIGHTS = {"y": 6, "u": 1, "v": 1}
LOSSLESS_DB = 100.0
"""What a plane without any error counts as, so that means stay finite."""


class Planes(Protocol):
    """y: [H, W], u and v: [ceil(H/2), ceil(W/2)], unsigned integers."""

    @property
    def y(self) -> NDArray: ...
    @property
    def u(self) -> NDArray: ...
    @property
    def v(self) -> NDArray: ...


def psnr_db(mean_squared_error: float, peak: int) -> float:
    """10 log10(peak² / mse), at most `LOSSLESS_DB`."""
    if mean_squared_error <= 0:
        return LOSSLESS_DB
    return min(LOSSLESS_DB, 10 * math.log10(peak * peak / mean_squared_error))


def weighted(per_plane: Mapping[str, float]) -> float:
    """(6 Y + U + V) / 8 of figures in dB."""
    return sum(WEIGHTS[name] * per_plane[name] for name in PLANES) / sum(WEIGHTS.values())


def squared_error(reference: NDArray, decoded: NDArray) -> int:
    """Sum of squared differences, exact: integers up to 10 bits, summed in 64."""
    difference = reference.astype(np.int32) - decoded.astype(np.int32)
    return int(np.square(difference).sum(dtype=np.int64))


@dataclass(frozen=True)
class Psnr:
    """dB per plane ("y", "u", "v") and weighted ("yuv"), by both conventions (see the module)."""

    frame_mean: dict[str, float]
    clip: dict[str, float]
    frames: int


@dataclass
class PsnrMeter:
    """Collects a clip frame by frame, in constant memory but for two floats a frame."""

    bit_depth: int = 8
    luma_db: list[float] = field(default_factory=list)
    """PSNR of the luma of every frame so far."""
    yuv_db: list[float] = field(default_factory=list)
    """The same, 6:1:1."""
    _frame_sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PLANES, 0.0))
    _squared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PLANES, 0))
    _samples: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PLANES, 0))

    def add(self, reference: Planes, decoded: Planes) -> None:
        """Raises VerificationFailed when the two frames are not of one size."""
        frame_db: dict[str, float] = {}
        for name in PLANES:
            ours, theirs = getattr(decoded, name), getattr(reference, name)
            if ours.shape != theirs.shape:
                raise VerificationFailed(
                    f"frame {len(self.luma_db)}: plane {name} is {ours.shape}, the reference's {theirs.shape}"
                )
            error = squared_error(theirs, ours)
            self._squared[name] += error
            self._samples[name] += theirs.size
            frame_db[name] = psnr_db(error / theirs.size, self._peak)
            self._frame_sums[name] += frame_db[name]
        self.luma_db.append(frame_db["y"])
        self.yuv_db.append(weighted(frame_db))

    def result(self) -> Psnr:
        """Raises VerificationFailed when no frame was added."""
        count = len(self.luma_db)
        if count == 0:
            raise VerificationFailed("no frame to measure: the decoded clip is empty")
        mean = {name: self._frame_sums[name] / count for name in PLANES}
        clip = {name: psnr_db(self._squared[name] / self._samples[name], self._peak) for name in PLANES}
        return Psnr({**mean, "yuv": weighted(mean)}, {**clip, "yuv": weighted(clip)}, count)

    @property
    def _peak(self) -> int:
        return (1 << self.bit_depth) - 1


class Meter(Protocol):
    """Whatever looks at a clip and what was decoded from it, frame by frame."""

    def add(self, reference: Planes, decoded: Planes, /) -> None: ...


def compare_all(reference: Iterable[Planes], decoded: Iterable[Planes], meter: Meter) -> None:
    """Show `meter` every pair of frames.

    Raises:
        VerificationFailed: the clips differ in length or size; a frame lost is an error, not a lower figure.
    """
    for count, (theirs, ours) in enumerate(zip_longest(reference, decoded)):
        if theirs is None or ours is None:
            short = "decoded clip" if ours is None else "reference"
            raise VerificationFailed(f"the {short} ends after {count} frames, the other goes on")
        meter.add(theirs, ours)


def measure(reference: Iterable[Planes], decoded: Iterable[Planes], *, bit_depth: int) -> Psnr:
    """PSNR of a decoded clip against its reference; raises as `compare_all` does."""
    meter = PsnrMeter(bit_depth)
    compare_all(reference, decoded, meter)
    return meter.result()
