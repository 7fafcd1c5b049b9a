"""How many frames the chunks of a model with motion hold: chosen before coding, on small pictures of two sizes.

Long chunks put few predictions between a frame and a good reference, and most frames between two references; but their
anchors are predicted from far away. Beginning with chunks of one frame, two neighbours become one where predicting its
anchor across both, and the frame between from its two sides, looks cheaper than predicting each from the one before
(the same question x264's lookahead asks, on half-size frames). Quarter-size pictures see large motion, half-size ones
what moves by little, or is little: where either says that it looks cheaper, it is done.

What is left in chunks of one frame is then coded in twos: of 1,256 runs of two frames (157 clips of `train`), 2 in 100
were better off as two chunks, whatever small pictures said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.model.block_cost import BLOCK, prediction_cost
from stpcodec.model.motion_match import displacements
from stpcodec.model.motion_windows import best_displacements


@dataclass(frozen=True)
class Scale:
    """Pictures are shrunk so many times (twice as much above 1024 samples) and matched within reach, in their samples.
    margin: factor of the thresholds."""

    shrink: int
    reach: int
    margin: float


SCALES = (Scale(4, 4, 1.03), Scale(2, 8, 1.02))
"""In the order in which they are asked. Measured: docs/ablations.md."""
GAIN = {1: 0.93, 2: 0.93, 4: 0.94}
"""By the length of two chunks: joined where the cost falls below this share. Measured: docs/ablations.md."""
DRIFT = {1: 0.1, 2: 0.06, 4: 0.06}
"""... and this much above it: what a frame loses by one more prediction between it and a good reference, which small
pictures do not show. It decides where little moves."""


class Planner:
    """Of one segment. Remembers the frame before: at first `luma` ``[H, W]`` in [0, 1], of the frame that opens it.

    joining: factor of the thresholds (GAIN and DRIFT); 0 joins nothing at all.
    """

    def __init__(self, luma: Tensor, joining: float = 1.0) -> None:
        self.joining = joining
        self._last = [small_picture(luma, scale) for scale in SCALES]

    def plan(self, luma: Tensor) -> list[int]:
        """luma ``[N, H, W]``, at most 8 frames: lengths of the chunks to code them in."""
        return self.plans(luma, (self.joining,))[0]

    def plans(self, luma: Tensor, joinings: Sequence[float]) -> list[list[int]]:
        """As `plan`, by each of these factors."""
        gaps = []
        for number, scale in enumerate(SCALES):
            pictures = [self._last[number], *(small_picture(frame, scale) for frame in luma)]
            self._last[number] = pictures[-1]
            gaps.append(_Gaps(pictures, scale.reach, scale.margin))
        return [_plan(gaps, len(luma), joining) for joining in joinings]


def _plan(gaps: Sequence[_Gaps], count: int, joining: float) -> list[int]:
    lengths = [1] * count
    if joining == 0:
        return lengths
    for size in GAIN:
        lengths = _joined(lengths, size, lambda start, size: any(gap.pays(start, size, joining) for gap in gaps))
    return _joined(lengths, 1, lambda start, size: True)


def _joined(lengths: Sequence[int], size: int, pays: Callable[[int, int], bool]) -> list[int]:
    """Lengths, with two neighbours of `size` as one where that pays; the first begins at a multiple of their sum."""
    start, joined, left = 0, list[int](), list(lengths)
    while left:
        if left[:2] == [size, size] and start % (2 * size) == 0 and pays(start, size):
            joined.append(2 * size)
            left = left[2:]
        else:
            joined.append(left.pop(0))
        start += joined[-1]
    return joined


class _Gaps:
    """Costs of predicting small pictures from each other. margin: factor of the thresholds."""

    def __init__(self, pictures: Sequence[Tensor], reach: int, margin: float) -> None:
        self._pictures, self._reach, self._margin = pictures, reach, margin
        self._matched: dict[tuple[int, int], Tensor] = {}

    def pays(self, start: int, size: int, joining: float) -> bool:
        """Whether picture start + 2·size is an anchor rather than start + size."""
        middle, end = start + size, start + 2 * size
        chain = self._cost(middle, self._match(middle, start)) + self._cost(end, self._match(end, middle))
        past, future = self._match(middle, start), self._match(middle, end)
        between = min(self._cost(middle, prediction) for prediction in ((past + future) / 2, past, future))
        most = joining * self._margin * (GAIN[size] * chain + DRIFT[size])
        return self._cost(end, self._match(end, start)) + between < most

    def _cost(self, number: int, prediction: Tensor) -> float:
        return prediction_cost(self._pictures[number], prediction)

    def _match(self, number: int, reference: int) -> Tensor:
        if (number, reference) not in self._matched:
            own, other = self._pictures[number], self._pictures[reference]
            self._matched[number, reference] = best_blocks(own, other, self._reach)
        return self._matched[number, reference]


def small_picture(luma: Tensor, scale: Scale) -> Tensor:
    """Luma ``[H, W]``, on the CPU."""
    factor = scale.shrink if max(luma.shape) <= 1024 else 2 * scale.shrink
    return F.avg_pool2d(luma[None, None], factor, ceil_mode=True)[0, 0].cpu()


def best_blocks(picture: Tensor, reference: Tensor, reach: int) -> Tensor:
    """The picture put together from the best-matching blocks of the reference."""
    height, width = picture.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    # Whole blocks: what is added repeats the border on both sides.
    missing = ((0, rows * BLOCK - height), (0, columns * BLOCK - width))
    own, other = (np.pad(plane.numpy(), missing, mode="edge") for plane in (picture, reference))
    padded = np.pad(other, reach, mode="edge")
    dy, dx = best_displacements(own, padded, BLOCK, 0, BLOCK, displacements(reach), rows, columns)
    y = np.arange(height)[:, None] + reach + dy.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    x = np.arange(width)[None, :] + reach + dx.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    return torch.from_numpy(padded[y, x])
