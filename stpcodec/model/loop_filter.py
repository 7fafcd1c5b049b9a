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
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.latents.loop_filter import CHROMA_TERMS, LUMA_TERMS, SHIFTS
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

STRAIGHT, SLANTED = slice(5, 9), slice(9, 11)
STRAIGHT_CLIPPED, SLANTED_CLIPPED = slice(14, 16), slice(16, 17)


def weights_of(loop_filter: Tensor) -> Tensor:
    """float32 weights of a filter's integers, ``[FILTER_SIZE]``."""
    return loop_filter.float() * _units()


@cache
def _units() -> Tensor:
    return torch.tensor([2.0**-shift for shift in SHIFTS])


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


def _sum(source: Tensor, dy: int, dx: int) -> Tensor:
    one, other = _pairs(source, dy, dx)
    return one + other


def _clipped(source: Tensor, dy: int, dx: int, most: float) -> Tensor:
    one, other = _pairs(source, dy, dx)
    return one.clamp(-most, most) + other.clamp(-most, most)


def _blocks(source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """loop_filter_kernels.describe, of planes at once, each ``[N, H, W]``."""
    differences = torch.stack([_sum(source, *way).abs() for way in ((0, 1), (1, 0), (1, 1), (1, -1))], 1)
    cells = F.avg_pool2d(differences, 2)
    sums = F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 4, 2) * 255
    across, down, falling, rising = sums.unbind(1)
    busy = across + down + SOFT
    straight, slanted = (across - down) / busy, (falling - rising) / (falling + rising + SOFT)
    much = (torch.log2(busy) / OCTAVES).clamp(0, 1)
    along, high = (partial(torch.repeat_interleave, repeats=BLOCK, dim=dim) for dim in (2, 1))
    return tuple(along(high(part)) for part in (straight, slanted, much))  # type: ignore[return-value]


def _luma_terms(source: Tensor) -> list[Tensor]:
    """Without what blocks say."""
    across, down, falling, rising = (_sum(source, *way) for way in ((0, 1), (1, 0), (1, 1), (1, -1)))
    across_2, down_2, across_3, down_3 = (_sum(source, *way) for way in ((0, 2), (2, 0), (0, 3), (3, 0)))
    flat, flat_back, steep, steep_back = (_sum(source, *way) for way in ((1, 2), (1, -2), (2, 1), (2, -1)))
    ways = (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)
    clipped = [_clipped(source, *way, LUMA_CLIP) for way in ways]
    return [
        across + down, falling + rising, across_2 + down_2, flat + flat_back + steep + steep_back, across_3 + down_3,
        across - down, across_2 - down_2, flat + flat_back - steep - steep_back, across_3 - down_3,
        falling - rising, flat + steep - flat_back - steep_back,
        clipped[0] + clipped[1], clipped[2] + clipped[3], clipped[4] + clipped[5],
        clipped[0] - clipped[1], clipped[4] - clipped[5], clipped[2] - clipped[3],
        torch.full_like(across, OFFSET),
    ]  # fmt: skip


def _luma(planes: Tensor, weights: Tensor) -> Tensor:
    source = padded(planes)
    straight, slanted, much = _blocks(source)
    total = planes.clone()
    for number, term in enumerate(_luma_terms(source)):
        along = _along(number, straight, slanted)
        weight = torch.lerp(weights[0, number], weights[1, number], much)
        total += weight * (term if along is None else along * term)
    return total.clamp_(0, 1)


def _along(term: int, straight: Tensor, slanted: Tensor) -> Tensor | None:
    """How much a term of luma counts by a block's directions."""
    if term in range(*STRAIGHT.indices(LUMA_TERMS)) or term in range(*STRAIGHT_CLIPPED.indices(LUMA_TERMS)):
        return straight
    if term in range(*SLANTED.indices(LUMA_TERMS)) or term in range(*SLANTED_CLIPPED.indices(LUMA_TERMS)):
        return slanted
    return None


def _chroma(planes: Tensor, weights: Tensor) -> Tensor:
    source = padded(planes)
    ways = ((0, 1), (1, 0)), ((1, 1), (1, -1)), ((0, 2), (2, 0))
    total = planes + weights[CHROMA_TERMS] * OFFSET
    for number, (one, other) in enumerate(ways):
        total += weights[number] * (_sum(source, *one) + _sum(source, *other))
        clipped = _clipped(source, *one, CHROMA_CLIP) + _clipped(source, *other, CHROMA_CLIP)
        total += weights[3 + number] * clipped
    return total.clamp_(0, 1)
