"""What the codec asks of a model, learned or fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.tables import TableSet
from stpcodec.model.motion_tables import MotionTables
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality
from stpcodec.model.refine import Refiner


class Prior(Protocol):
    """See prior.IntegerPrior: scale index and mean per latent, in steps; integers only."""

    @property
    def steps(self) -> int: ...

    def begin(self, z: Tensor, previous: Tensor | None, quality: Tensor, size: tuple[int, int]) -> Tensor: ...

    def step(self, number: int, features: Tensor, known: Tensor | None, quality: Tensor) -> tuple[Tensor, Tensor]: ...

    def mask(self, number: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor: ...


class PriorRun(Protocol):
    """`step(number, y)` for 0, 1, ... in turn; y int32 ``[latents, h, w]`` in sixteenths, zero at first.

    A step puts the means of its part into y and returns scale indices uint8 ``[latents, h, w]`` of what has to be
    coded, zero elsewhere; before the next one the caller adds the symbols.
    """

    def step(self, number: int, y: np.ndarray) -> np.ndarray: ...


class Transform(Protocol):
    """One transform pair with its prior and tables. `frames` are coded together; 1 means intra."""

    @property
    def frames(self) -> int: ...

    @property
    def uses_motion(self) -> bool: ...

    @property
    def latents(self) -> int: ...

    @property
    def modes(self) -> Sequence[int]:
        """What `choose_mode` and `alternatives` may say; a file that says anything else is damaged."""
        ...

    @property
    def prior(self) -> Prior: ...

    def run_prior(self, z: Tensor, previous: Tensor | None, quality: Quality, size: tuple[int, int]) -> PriorRun:
        """The prior for one picture: z int32 ``[*hyper_shape]``; previous int32 ``[latents, h, w]``, or None."""
        ...

    @property
    def y_tables(self) -> TableSet: ...

    @property
    def z_tables(self) -> TableSet: ...

    @property
    def tilts(self) -> bool:
        """Whether there is any `tilted`."""
        ...

    def tilted(self, tilt: int) -> Transform:
        """With other steps for each latent, FULL_TILT for those that MS-SSIM asks for; of one that was not tilted."""
        ...

    def hyper_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape of z for a latent grid of height × width."""
        ...

    def error_weights(self, quality: Quality) -> Tensor:
        """``[latents]``, or ``[latents, h, w]`` where the quality differs from patch to patch: bits that a squared
        error of one step in a latent is worth."""
        ...

    def choose_mode(self, frames: Planes, reference: Planes | None) -> int:
        """The transform's own switch for a chunk, 0..127, sent with it."""
        ...

    def context(
        self, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None, quality: int, mode: int, *,
        warped: tuple[Tensor, Tensor] | None = None, regions: Tensor | None = None, precise: bool = True,
    ) -> Any:  # fmt: skip
        """What both sides know; quality: of the picture; field ``[references, 2, rows, columns]`` in quarter samples,
        choice ``[h, w]``.

        warped: two references as the field moves them (chunk_io.warped_pair), if the caller has them already. regions:
        of a picture in `mixed_mode` (latents/regions.py). precise: False where what is synthesised only helps to
        choose: it may be faster then, and a little different from what decoders have.
        """
        ...

    def bare(self, context: Any) -> Planes | None:
        """What `synthesise` makes of latents that are all zero, in any mode, if that is the prediction itself."""
        ...

    @property
    def mixed_mode(self) -> int | None:
        """The mode of a picture that is synthesised in full in some regions and plainer in others; None if none is."""
        ...

    def analyse(self, frames: Planes, quality: Quality, context: Any) -> tuple[Tensor, Tensor]:
        """`frames` frames to real y ``[1, latents, h, w]`` in steps and integer-valued z ``[1, *hyper_shape]``."""
        ...

    def refiner(
        self, frames: Planes, references: Sequence[Planes], field: Tensor | None, choice: Tensor | None,
        quality: Quality,
    ) -> Refiner | None:  # fmt: skip
        """For better latents than `analyse` has; None where there are none. field, choice: as of `context`."""
        ...

    def hyper(self, y: Tensor) -> Tensor:
        """z of a y that was changed after `analyse`."""
        ...

    def synthesise(self, y: Tensor, quality: Quality, context: Any) -> Planes:
        """Decoded y ``[1, latents, h, w]`` in steps to `frames` frames, clamped to [0, 1]."""
        ...

    def alternatives(self, y: Tensor, quality: Quality, context: Any, mode: int) -> list[tuple[Planes, int]]:
        """`synthesise`, and what other modes would make of the same latents, each with its mode."""
        ...


FULL_TILT = 8


@dataclass(frozen=True)
class Model:
    """A pair of transforms under a name. weights_sha256: of the weights file, or of the fixed model's definition.

    library: pictures that segments may begin from instead of an intra frame (uint8, N = 1 each; model/library.py).
    """

    name: str
    weights_sha256: str
    intra: Transform
    inter: Transform
    motion_tables: MotionTables
    device: torch.device
    library: tuple[Planes, ...] = ()

    @property
    def tilts(self) -> bool:
        return self.intra.tilts and self.inter.tilts

    def tilted(self, tilt: int) -> Model:
        """Of one that was not tilted; FORMAT.md §16."""
        return replace(self, intra=self.intra.tilted(tilt), inter=self.inter.tilted(tilt))
