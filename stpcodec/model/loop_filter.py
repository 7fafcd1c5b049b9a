"""The adaptive loop filter on pixels: applied by both sides (loop_filter_fit.py is what an encoder looks at).

With x a decoded plane in [0, 1], borders repeated, and for a direction o

    S(o) = x(p + o) + x(p − o) − 2·x(p)        C(o) = clip(x(p + o) − x(p), ±c) + clip(x(p − o) − x(p), ±c)

a filtered sample of luma is x + Σ w_k · T_k, of 18 terms T_k: sums of S, or of C, over directions that are alike
where nothing tells them apart, and their differences times how much more a block of 4×4 runs one way than the other;
the last is 1/255. The weights w_k lie between the filter's two sets by how much happens in the block. Chroma has six
terms of such kinds with the same weights everywhere, and 1/255 with a weight of its own in u and in v. FORMAT.md §19
has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.latents.loop_filter import CHROMA_TERMS, LUMA_TERMS, UNITS
from stpcodec.model.bands import cut
from stpcodec.model.loop_filter_kernels import (
    BLOCK,
    CHROMA_CLIP,
    LUMA_CLIP,
    MARGIN,
    OCTAVES,
    OFFSET,
    SOFT,
    describe,
    filter_chroma,
    filter_luma,
)
from stpcodec.model.planes import Planes, empty_frame, join_frames
from stpcodec.model.side_by_side import side_by_side

Ways = tuple[tuple[int, int], ...]
SIDES: Ways = ((0, 1), (1, 0))
CORNERS: Ways = ((1, 1), (1, -1))
SIDES_2: Ways = ((0, 2), (2, 0))
SIDES_3: Ways = ((0, 3), (3, 0))
FLAT: Ways = ((1, 2), (1, -2))
STEEP: Ways = ((2, 1), (2, -1))


@dataclass(frozen=True)
class Term:
    """Of luma: the sum over the ways `more`, less that over the ways `less` where there are any, which then counts by
    how far a block runs across rather than down (or, slanted, one diagonal rather than the other). most: of C; None:
    it is of S."""

    more: Ways
    less: Ways = ()
    slanted: bool = False
    most: float | None = None


TERMS = (
    Term(SIDES), Term(CORNERS), Term(SIDES_2), Term(FLAT + STEEP), Term(SIDES_3),
    Term(SIDES[:1], SIDES[1:]), Term(SIDES_2[:1], SIDES_2[1:]), Term(FLAT, STEEP), Term(SIDES_3[:1], SIDES_3[1:]),
    Term(CORNERS[:1], CORNERS[1:], slanted=True),
    Term((FLAT[0], STEEP[0]), (FLAT[1], STEEP[1]), slanted=True),
    Term(SIDES, most=LUMA_CLIP), Term(CORNERS, most=LUMA_CLIP), Term(SIDES_2, most=LUMA_CLIP),
    Term(SIDES[:1], SIDES[1:], most=LUMA_CLIP), Term(SIDES_2[:1], SIDES_2[1:], most=LUMA_CLIP),
    Term(CORNERS[:1], CORNERS[1:], slanted=True, most=LUMA_CLIP),
)  # fmt: skip
"""Without the last one, which is the same everywhere."""


def weights_of(loop_filter: Tensor) -> Tensor:
    """float32 weights of a filter's integers, ``[FILTER_SIZE]``."""
    return loop_filter.float() * _units()


@cache
def _units() -> Tensor:
    return torch.tensor(UNITS)


def filtered(frames: Planes, loop_filter: Tensor) -> Planes:
    """The frames behind a filter int32 ``[FILTER_SIZE]`` (latents/loop_filter.py), clamped to [0, 1]."""
    weights = weights_of(loop_filter)
    luma = weights[: 2 * LUMA_TERMS].view(2, LUMA_TERMS)
    shared = weights[2 * LUMA_TERMS : -2]
    chroma = [torch.cat((shared, own[None])) for own in weights[-2:]]
    if _is_compiled(frames):
        arrays = luma.numpy(), [own.numpy() for own in chroma]
        return join_frames([_compiled(frames[slice(number, number + 1)], *arrays) for number in range(len(frames))])
    u, v = (own.to(frames.y.device) for own in chroma)
    return Planes(_luma(frames.y, luma.to(frames.y.device)), _chroma(frames.u, u), _chroma(frames.v, v))


def _is_compiled(frames: Planes) -> bool:
    return frames.y.device.type == "cpu"


def _compiled(frame: Planes, luma: np.ndarray, chroma: Sequence[np.ndarray]) -> Planes:
    out = empty_frame(frame.height, frame.width, frame.y.device)
    sources = [padded(plane)[0].numpy() for plane in (frame.y, frame.u, frame.v)]

    def fill(start: int, stop: int) -> None:
        """Rows of 16×16 patches."""
        blocks = np.empty((3, 4 * (stop - start), frame.width // BLOCK), np.float32)
        describe(sources[0], 4 * start, blocks)
        filter_luma(sources[0], blocks, luma, 4 * start, out.y[0].numpy()[16 * start : 16 * stop])
        for source, weights, plane in zip(sources[1:], chroma, (out.u, out.v), strict=True):
            filter_chroma(source, weights, 8 * start, plane[0].numpy()[8 * start : 8 * stop])

    side_by_side([partial(fill, band.start, band.stop) for band in cut(frame.height // PATCH, 0)])
    return out


def padded(planes: Tensor) -> Tensor:
    """``[N, H + 2·MARGIN, W + 2·MARGIN]``."""
    return F.pad(planes[:, None], (MARGIN,) * 4, mode="replicate")[:, 0]


def _pairs(source: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """The samples at (dy, dx) and opposite, less the ones between."""
    height, width = source.shape[-2] - 2 * MARGIN, source.shape[-1] - 2 * MARGIN

    def shifted(down: int, right: int) -> Tensor:
        top, left = MARGIN + down, MARGIN + right
        return source[..., top : top + height, left : left + width]

    return shifted(dy, dx) - shifted(0, 0), shifted(-dy, -dx) - shifted(0, 0)


def _sum(source: Tensor, ways: Ways, most: float | None = None) -> Tensor:
    """Of S over the ways, or of C with differences cut to ±most."""
    sides = [side for way in ways for side in _pairs(source, *way)]
    total = torch.zeros_like(sides[0])
    for side in sides:
        total += side if most is None else side.clamp(-most, most)
    return total


def _blocks(source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """loop_filter_kernels.describe, of planes at once, each ``[N, H, W]``."""
    differences = torch.stack([_sum(source, (way,)).abs() for way in SIDES + CORNERS], 1)
    cells = F.avg_pool2d(differences, 2)
    sums = F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 4, 2) * 255
    across, down, falling, rising = sums.unbind(1)
    busy = across + down + SOFT
    straight, slanted = (across - down) / busy, (falling - rising) / (falling + rising + SOFT)
    much = (torch.log2(busy) / OCTAVES).clamp(0, 1)

    def of_samples(blocks: Tensor) -> Tensor:
        return blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)

    return of_samples(straight), of_samples(slanted), of_samples(much)


def _luma(planes: Tensor, weights: Tensor) -> Tensor:
    source = padded(planes)
    straight, slanted, much = _blocks(source)
    total = planes + torch.lerp(weights[0, -1], weights[1, -1], much) * OFFSET
    for number, term in enumerate(TERMS):
        found = _sum(source, term.more, term.most)
        if term.less:
            found -= _sum(source, term.less, term.most)
            found *= slanted if term.slanted else straight
        total += torch.lerp(weights[0, number], weights[1, number], much) * found
    return total.clamp_(0, 1)


def _chroma(planes: Tensor, weights: Tensor) -> Tensor:
    source = padded(planes)
    total = planes + weights[CHROMA_TERMS] * OFFSET
    for number, ways in enumerate(2 * (SIDES, CORNERS, SIDES_2)):
        total += weights[number] * _sum(source, ways, None if number < CHROMA_TERMS // 2 else CHROMA_CLIP)
    return total.clamp_(0, 1)
