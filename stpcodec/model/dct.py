"""The model `dct`: a fixed 3-D DCT with a hand-set prior, nothing learned and no motion.

The baseline that a learned model must beat, and what makes tests fast. A patch of T frames × 16×16 luma with
its chroma is transformed by orthonormal DCT-II along time, rows and columns, either as it is or as the
difference to the last decoded frame, whichever is smaller over the chunk. The prior's z says how loud each
patch is, per plane; scales then fall with frequency by a fixed law.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.entropy.tables import TableSet, gaussian_counts
from stpcodec.latents.quantise import SCALE_COUNT, scales
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.planes import Planes
from stpcodec.model.prior_run import StepwiseRun
from stpcodec.model.quality import Quality
from stpcodec.model.rates import quantiser_step, sample_weight
from stpcodec.model.transform import Model, PriorRun

DEFINITION = "stpcodec dct model 2: 16x16 luma, 8x8 chroma, T frames; z classes of 5 scale indices; slope 6"
CHUNK_FRAMES = 4
CLASSES = 14
CLASS_STEP = 5
"""Scale indices per class of loudness: a factor of 1.8 in standard deviation."""
SLOPE = 6.0
"""Scale indices lost per doubling of frequency: amplitude falls as 1/f in natural pictures (Field 1987)."""
SYMBOL_LARGEST = 127


def dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II ``[size, size]``, rows are basis functions by rising frequency."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi * (n + 0.5) * k / size) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


class DctPrior:
    """Scale index from the patch's class and the coefficient's frequency; means are zero; one step."""

    steps = 1

    def __init__(self, frames: int, device: torch.device):
        self.decay, self.plane = _frequency_law(frames)
        self.decay, self.plane = self.decay.to(device), self.plane.to(device)

    def begin(self, z: Tensor, previous: Tensor | None, quality: Tensor, size: tuple[int, int]) -> Tensor:
        loudness = (z * CLASS_STEP)[:, self.plane]
        index = (loudness - self.decay.view(1, -1, 1, 1)).clamp(0, SCALE_COUNT - 1)
        return torch.where(z[:, self.plane] > 0, index, torch.zeros_like(index))

    def step(self, number: int, features: Tensor, known: Tensor | None, quality: Tensor) -> tuple[Tensor, Tensor]:
        return features, torch.zeros_like(features)

    def mask(self, number: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        return torch.ones(len(self.decay), height, width, dtype=torch.bool, device=device)


def _frequency_law(frames: int) -> tuple[Tensor, Tensor]:
    """Per coefficient of `DctTransform`'s order: scale indices below the patch's class, and its plane 0..2."""
    decay, plane = [], []
    for number, size in enumerate((16, 8, 8)):
        for t in range(frames):
            for y in range(size):
                for x in range(size):
                    # Frequency in half-cycles per patch; a chunk's time axis weighs like two samples a frame.
                    frequency = math.hypot(y * 16 / size, x * 16 / size, 2.0 * t)
                    decay.append(SLOPE * math.log2(1 + frequency / 2))
                    plane.append(number)
    return torch.tensor(decay).round(), torch.tensor(plane)


class DctTransform:
    """See the module's docstring. `frames` 1 (intra) or T."""

    mixed_mode = None
    uses_motion = False

    def __init__(self, frames: int, device: torch.device):
        self.frames = frames
        self.latents = 384 * frames
        self.modes = (0,) if frames == 1 else (0, 1)
        self.prior = DctPrior(frames, device)
        self.y_tables = TableSet(_stack_scales())
        self.z_tables = TableSet(_class_counts())
        self.matrices = {size: dct_matrix(size).to(device) for size in (16, 8, frames)}
        self.law = (_class_ratio() ** (-self.prior.decay / CLASS_STEP)).view(1, -1, 1, 1)

    def run_prior(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> PriorRun:
        return StepwiseRun(self.prior, z, previous, quality, size, self.law.device)

    @property
    def tilts(self) -> bool:
        return False

    def tilted(self, tilt: int) -> DctTransform:
        raise NotImplementedError("its steps are alike")

    def hyper_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return 3, height, width

    def error_weights(self, quality: Quality) -> Tensor:
        weight = sample_weight(torch.as_tensor(quality, device=self.law.device)) * self._step(quality).square()
        return weight.expand(self.latents, *weight.shape)

    def choose_mode(self, frames: Planes, reference: Planes | None) -> int:
        """1: code the difference to the reference; 0: code the frames themselves."""
        if reference is None:
            return 0
        difference = (frames.y - reference.y).square().mean()
        means = F.avg_pool2d(frames.y[:, None], 16)
        itself = F.avg_pool2d(frames.y[:, None].square(), 16).mean() - means.square().mean()
        return int(bool(difference < itself))

    def context(
        self, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None, quality: int, mode: int, *,
        warped: tuple[Tensor, Tensor] | None = None, regions: Tensor | None = None, precise: bool = True,
    ) -> Planes | None:  # fmt: skip
        return references[0] if mode and references else None

    def bare(self, context: Planes | None) -> Planes | None:
        return None

    def analyse(self, frames: Planes, quality: Quality, context: Planes | None) -> tuple[Tensor, Tensor]:
        base = context or Planes(*(torch.tensor(0.5, device=frames.y.device),) * 3)
        parts = [
            self._forward(plane - start, size)
            for plane, start, size in ((frames.y, base.y, 16), (frames.u, base.u, 8), (frames.v, base.v, 8))
        ]
        y = torch.cat(parts, 1) / self._step(quality)
        return y, self.hyper(y)

    def synthesise(self, y: Tensor, quality: Quality, context: Planes | None) -> Planes:
        luma = 256 * self.frames
        parts = (y * self._step(quality)).split((luma, luma // 4, luma // 4), 1)
        planes = (self._inverse(part, size) for part, size in zip(parts, (16, 8, 8), strict=True))
        base = context or Planes(*(torch.tensor(0.5, device=y.device),) * 3)
        return Planes(*(p + b for p, b in zip(planes, (base.y, base.u, base.v), strict=True))).clamp()

    def alternatives(self, y: Tensor, quality: Quality, context: Planes | None, mode: int) -> list[tuple[Planes, int]]:
        return [(self.synthesise(y, quality, context), mode)]

    def _step(self, quality: Quality) -> Tensor:
        """One, or ``[h, w]``."""
        return quantiser_step(torch.as_tensor(quality, device=self.law.device))

    def refiner(
        self, frames: Planes, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None,
        quality: Quality,
    ) -> None:  # fmt: skip
        """None: of an orthonormal transform the analysis has the best latents."""

    def hyper(self, y: Tensor) -> Tensor:
        """The maximum-likelihood loudness of each patch and plane under the frequency law, rounded to a class."""
        energy = (y / self.law).square()
        count = torch.zeros(3, device=y.device).index_add_(
            0, self.prior.plane, torch.ones(self.latents, device=y.device)
        )
        total = torch.zeros(1, 3, *y.shape[2:], device=y.device).index_add_(1, self.prior.plane, energy)
        spread = (total / count.view(1, 3, 1, 1)).sqrt()
        loudness = torch.log(spread.clamp(min=1e-6) / scales()[0]) / math.log(_class_ratio())
        luma = 256 * self.frames
        loudest = [part.abs().amax(1, keepdim=True) for part in y.split((luma, luma // 4, luma // 4), 1)]
        silent = torch.cat(loudest, 1) < 0.5
        return torch.where(silent, 0.0, loudness.round().clamp(1, CLASSES - 1))

    def _forward(self, plane: Tensor, size: int) -> Tensor:
        """``[T, H, W]`` to ``[1, T·size², H/size, W/size]``."""
        frames, height, width = plane.shape
        d, dt = self.matrices[size], self.matrices[self.frames]
        cells = plane.view(frames, height // size, size, width // size, size)
        return torch.einsum("st,ky,lx,tayhx->sklah", dt, d, d, cells).flatten(0, 2)[None]

    def _inverse(self, coefficients: Tensor, size: int) -> Tensor:
        _, _, rows, columns = coefficients.shape
        d, dt = self.matrices[size], self.matrices[self.frames]
        cells = coefficients.view(self.frames, size, size, rows, columns)
        return torch.einsum("st,ky,lx,sklah->tayhx", dt, d, d, cells).reshape(self.frames, rows * size, columns * size)


def _class_ratio() -> float:
    grid = scales()
    return float((grid[1] / grid[0]) ** CLASS_STEP)


def _stack_scales() -> np.ndarray:
    return np.stack([gaussian_counts(float(s), SYMBOL_LARGEST) for s in scales()])


def _class_counts() -> np.ndarray:
    # Classes are 0..13; a wide bump in the middle, and silence often.
    row = gaussian_counts(3.0, CLASSES)
    row = np.roll(row[:-1], 5)
    row[CLASSES] += row.sum() // 3
    return np.stack([np.append(row, 1)] * 3)


def dct_model(device: torch.device) -> Model:
    return Model(
        name="dct",
        weights_sha256=hashlib.sha256(DEFINITION.encode()).hexdigest(),
        intra=DctTransform(1, device),
        inter=DctTransform(CHUNK_FRAMES, device),
        motion_tables=initial_tables(),
        device=device,
    )
