"""Motion of one coded picture: a field per reference, and between two references which of them to believe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.blend import BLOCK, BOTH, CHOICES
from stpcodec.latents.gop import Picture, predicted_future
from stpcodec.latents.motion_field import ANCHOR, FUTURE, PAST, reconstruct
from stpcodec.model.chunk_io import pack_frames, predict, unpack_frames
from stpcodec.model.compiled_frames import predicted as predicted_frame
from stpcodec.model.error_kernels import blend_errors
from stpcodec.model.motion_polish import MOST_PATIENCE
from stpcodec.model.motion_search import REFINEMENTS, search
from stpcodec.model.motion_tables import MotionTables
from stpcodec.model.planes import Planes

MOTION_CAUTION = 2.0
"""Bits of motion count this much more than those of latents: what a better prediction gains, latents would have
gained in part. Measured: docs/ablations.md."""
BETWEEN_CAUTION = 2.5
"""Between two references an error of one field is halved by the mean: motion bits count this much more, but where the
mean itself is looked at."""
CHOICE_BITS = 3.0
"""What a block pays for a choice its surroundings do not share."""


@dataclass(frozen=True)
class PictureMotion:
    """residuals: per field and level, finest first, int32 ``[1, 2, h, w]``. fields: in quarter samples,
    ``[references, 2, rows, columns]``; choice int32 ``[H/16, W/16]`` between two references, else None. likes: per
    field, what its coder's contexts look at. warped: both references, see `chunk_io.warped_pair`. Fields, choice and
    warped are on the encoder's device."""

    residuals: tuple[list[Tensor], ...]
    fields: Tensor
    choice: Tensor | None
    likes: tuple[Tensor | None, ...]
    warped: tuple[Tensor, Tensor] | None = None

    def parts(self) -> Iterator[tuple[list[Tensor], Tensor | None, int]]:
        """(residuals, like field, kind) of each field, in the order of coding."""
        kinds = (ANCHOR,) if self.choice is None else (PAST, FUTURE)
        return zip(self.residuals, self.likes, kinds, strict=True)

    @property
    def absent(self) -> bool:
        """Nothing has to be said: all residuals are zero and both references count everywhere."""
        still = not any(bool(level.any()) for levels in self.residuals for level in levels)
        return still and (self.choice is None or not bool(self.choice.any()))


def anchor_motion(
    frame: Planes, reference: Planes, tables: MotionTables, lagrangian: float, *,
    before: Tensor | None, hint: Tensor | None, caution: float = MOTION_CAUTION, refinements: int = REFINEMENTS,
    patience: int = MOST_PATIENCE,
) -> PictureMotion:  # fmt: skip
    """Of a picture with one reference. lagrangian, caution, refinements, patience: see motion_search.search. before:
    the field of the anchor before; hint: the same at this distance."""
    residuals = search(
        frame.y[0], reference.y[0], cost_bits=tables.bits(ANCHOR), lagrangian=lagrangian, caution=caution,
        like=before, hints=() if hint is None else (hint,), refinements=refinements, patience=patience,
    )  # fmt: skip
    return PictureMotion((residuals,), reconstruct(residuals).to(frame.y.device), None, (before,))


def between_motion(
    frame: Planes, past: Planes, future: Planes, picture: Picture, tables: MotionTables, lagrangian: float, *,
    predicted: Tensor, across: Tensor, caution: float = MOTION_CAUTION, refinements: int = REFINEMENTS,
    patience: int = MOST_PATIENCE,
) -> PictureMotion:  # fmt: skip
    """Of a picture between two references. lagrangian, caution, refinements, patience: see motion_search.search;
    predicted, across: see `latents.gop.predicted_past`."""
    weighed = BETWEEN_CAUTION * caution
    first = search(
        frame.y[0], past.y[0], cost_bits=tables.bits(PAST), lagrangian=lagrangian, caution=weighed,
        predicted=predicted, like=across, thorough=False, refinements=refinements, patience=patience,
    )  # fmt: skip
    first_field = predicted + reconstruct(first)[0]
    onward = predicted_future(picture, first_field)
    first_warped = _warped(past, first_field)
    second = search(
        frame.y[0], future.y[0], cost_bits=tables.bits(FUTURE), lagrangian=lagrangian, caution=weighed,
        predicted=onward, like=first_field - predicted, thorough=False,
        beside=unpack_frames(first_warped, 1).y[0], last_caution=caution,
        refinements=refinements, patience=patience,
    )  # fmt: skip
    fields = torch.stack((first_field, onward + reconstruct(second)[0]))
    warped = first_warped, _warped(future, fields[1])
    choice = choose_blend(frame, warped, caution * lagrangian)
    likes = across, first_field - predicted
    return PictureMotion((first, second), fields.to(frame.y.device), choice[0], likes, warped)


def _warped(reference: Planes, field: Tensor) -> Tensor:
    """One frame moved by a field ``[2, rows, columns]``: packed ``[1, 96, H/8, W/8]``."""
    if reference.y.device.type == "cpu":
        return predicted_frame(reference, field)
    return predict(reference, field[None].to(reference.y.device))[0]


def choose_blend(frames: Planes, pair: tuple[Tensor, Tensor], lagrangian: float) -> Tensor:
    """Per 16×16 block of B frames the choice of least luma error and bits: int32 ``[B, H/16, W/16]``.

    lagrangian: squared error (of samples in [0, 1]) per bit.
    """
    error = _blend_errors(frames, pair)
    # First as if all around said BOTH, then knowing what they would say.
    cost = error.clone()
    cost[BOTH + 1 :] += 2 * CHOICE_BITS * lagrangian
    first = cost.argmin(0)
    votes = torch.stack([F.avg_pool2d(F.pad((first == c).float(), (1, 1, 1, 1)), 3, 1) for c in range(CHOICES)])
    return (error + 2 * CHOICE_BITS * lagrangian * (1 - votes)).argmin(0).int()


def _blend_errors(frames: Planes, pair: tuple[Tensor, Tensor]) -> Tensor:
    """Per choice, in their order, the luma errors of blocks: ``[CHOICES, B, H/16, W/16]``."""
    if frames.y.device.type == "cpu" and len(frames) == 1:
        out = np.zeros((CHOICES, frames.height // BLOCK, frames.width // BLOCK), np.float32)
        packed = (np.ascontiguousarray(part[0].permute(1, 2, 0).numpy()) for part in pair)
        blend_errors(*packed, frames.y[0].contiguous().numpy(), out)
        return torch.from_numpy(out)[:, None]
    target = pack_frames(frames, 1)[:, :64]
    past, future = (part[:, :64] - target for part in pair)
    errors = (((past + future) / 2).square().sum(1), past.square().sum(1), future.square().sum(1))
    # Four positions of 1/8 resolution make a block.
    return 4 * F.avg_pool2d(torch.stack(errors, 1), 2).transpose(0, 1)
