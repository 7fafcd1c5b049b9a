"""The adaptive loop filter on pixels: applied by both sides, fitted by the encoder.

With x a decoded plane in [0, 1], borders repeated, and for a direction o

    S(o) = x(p + o) + x(p − o) − 2·x(p)        C(o) = clip(x(p + o) − x(p), ±c) + clip(x(p − o) − x(p), ±c)

a filtered sample of luma is x + Σ w_k · T_k, of 18 terms T_k: sums of S, or of C, over directions that are alike where
nothing tells them apart, and their differences times how much more a block of 4×4 runs one way than the other; the last is 1/255. The
weights w_k lie between the filter's two sets by how much happens in the block. Chroma has six terms of
such kinds with the same weights everywhere, and 1/255 with a weight of its own in u and in v. FORMAT.md §19 has the whole list.
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
    chroma_terms,
    describe,
    filter_chroma,
    filter_luma,
    luma_terms,
)
from stpcodec.model.planes import Planes, empty_frame, join_frames
from stpcodec.model.rates import CHROMA_WEIGHT, LUMA_WEIGHT
from stpcodec.model.side_by_side import side_by_side

FITTED_LINES = 2
"""One line of so many is looked at by the encoder."""
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
        parts = [_compiled(frames[slice(n, n + 1)], luma.numpy(), [own.numpy() for own in chroma]) for n in range(len(frames))]
        return join_frames(parts)
    u, v = (own.to(frames.y.device) for own in chroma)
    return Planes(_luma(frames.y, luma.to(frames.y.device)), _chroma(frames.u, u), _chroma(frames.v, v))


def _is_compiled(frames: Planes) -> bool:
    return frames.y.device.type == "cpu"


def _compiled(frame: Planes, luma: np.ndarray, chroma: Sequence[np.ndarray]) -> Planes:
    out = empty_frame(frame.height, frame.width, frame.y.device)
    sources = [_padded(plane)[0].numpy() for plane in (frame.y, frame.u, frame.v)]

    def fill(start: int, stop: int) -> None:
        """Rows of 16×16 patches."""
        blocks = np.empty((3, 4 * (stop - start), frame.width // BLOCK), np.float32)
        describe(sources[0], 4 * start, blocks)
        filter_luma(sources[0], blocks, luma, 4 * start, out.y[0].numpy()[16 * start : 16 * stop])
        for source, weights, plane in zip(sources[1:], chroma, (out.u, out.v), strict=True):
            filter_chroma(source, weights, 8 * start, plane[0].numpy()[8 * start : 8 * stop])

    side_by_side([partial(fill, band.start, band.stop) for band in cut(frame.height // PATCH, 0)])
    return out


def _padded(planes: Tensor) -> Tensor:
    """``[N, H + 2·MARGIN, W + 2·MARGIN]``."""
    return F.pad(planes[:, None], (MARGIN,) * 4, mode="replicate")[:, 0]


def _pairs(padded: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """The samples at (dy, dx) and opposite, less the ones between."""
    height, width = padded.shape[-2] - 2 * MARGIN, padded.shape[-1] - 2 * MARGIN

    def shifted(down: int, right: int) -> Tensor:
        top, left = MARGIN + down, MARGIN + right
        return padded[..., top : top + height, left : left + width]

    return shifted(dy, dx) - shifted(0, 0), shifted(-dy, -dx) - shifted(0, 0)


def _sum(padded: Tensor, dy: int, dx: int) -> Tensor:
    one, other = _pairs(padded, dy, dx)
    return one + other


def _clipped(padded: Tensor, dy: int, dx: int, most: float) -> Tensor:
    one, other = _pairs(padded, dy, dx)
    return one.clamp(-most, most) + other.clamp(-most, most)


def _blocks(padded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """loop_filter_kernels.describe, of planes at once, each ``[N, H, W]``."""
    differences = torch.stack([_sum(padded, *way).abs() for way in ((0, 1), (1, 0), (1, 1), (1, -1))], 1)
    cells = F.avg_pool2d(differences, 2)
    sums = F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 4, 2) * 255
    across, down, falling, rising = sums.unbind(1)
    busy = across + down + SOFT
    straight, slanted = (across - down) / busy, (falling - rising) / (falling + rising + SOFT)
    much = (torch.log2(busy) / OCTAVES).clamp(0, 1)
    along, high = (partial(torch.repeat_interleave, repeats=BLOCK, dim=dim) for dim in (2, 1))
    return tuple(along(high(part)) for part in (straight, slanted, much))  # type: ignore[return-value]


def _luma_terms(padded: Tensor) -> list[Tensor]:
    """Without what blocks say."""
    across, down, falling, rising = (_sum(padded, *way) for way in ((0, 1), (1, 0), (1, 1), (1, -1)))
    across_2, down_2, across_3, down_3 = (_sum(padded, *way) for way in ((0, 2), (2, 0), (0, 3), (3, 0)))
    flat, flat_back, steep, steep_back = (_sum(padded, *way) for way in ((1, 2), (1, -2), (2, 1), (2, -1)))
    ways = (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)
    clipped = [_clipped(padded, *way, LUMA_CLIP) for way in ways]
    return [
        across + down, falling + rising, across_2 + down_2, flat + flat_back + steep + steep_back, across_3 + down_3,
        across - down, across_2 - down_2, flat + flat_back - steep - steep_back, across_3 - down_3,
        falling - rising, flat + steep - flat_back - steep_back,
        clipped[0] + clipped[1], clipped[2] + clipped[3], clipped[4] + clipped[5],
        clipped[0] - clipped[1], clipped[4] - clipped[5], clipped[2] - clipped[3],
        torch.full_like(across, OFFSET),
    ]  # fmt: skip


def _luma(planes: Tensor, weights: Tensor) -> Tensor:
    padded = _padded(planes)
    straight, slanted, much = _blocks(padded)
    total = planes.clone()
    for number, term in enumerate(_luma_terms(padded)):
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
    padded = _padded(planes)
    ways = ((0, 1), (1, 0)), ((1, 1), (1, -1)), ((0, 2), (2, 0))
    total = planes + weights[CHROMA_TERMS] * OFFSET
    for number, (one, other) in enumerate(ways):
        total += weights[number] * (_sum(padded, *one) + _sum(padded, *other))
        clipped = _clipped(padded, *one, CHROMA_CLIP) + _clipped(padded, *other, CHROMA_CLIP)
        total += weights[3 + number] * clipped
    return total.clamp_(0, 1)


@dataclass(frozen=True)
class Fit:
    """What a filter's weights w are worth: the error of a picture is `error − 2·slope·w + w·gram·w`, in squared 8-bit
    errors weighed as rates.squared_error does, summed over the picture; of luma and of chroma alone, as each has
    weights of its own.

    gram float64 ``[2·LUMA_TERMS]²``, ``[CHROMA_TERMS + 2]²``.
    """

    grams: tuple[np.ndarray, np.ndarray]
    slopes: tuple[np.ndarray, np.ndarray]
    error: float


def fit(decoded: Planes, original: Planes, weights: Tensor | None) -> Fit:
    """Of frames on any device, by every second line. weights: PictureTask.weights, what errors of each patch count."""
    decoded, original = decoded.to("cpu"), original.to("cpu")
    share = None if weights is None else weights.cpu()
    luma = _moments(decoded.y, original.y, share, LUMA_WEIGHT / 8, 2 * LUMA_TERMS)
    chroma = np.zeros((CHROMA_TERMS + 3, CHROMA_TERMS + 3))
    for number, name in enumerate(("u", "v")):
        one, other = getattr(decoded, name), getattr(original, name)
        # The plane's own offset, the last of its terms, has a place among those of both.
        places = [*range(CHROMA_TERMS), CHROMA_TERMS + number, CHROMA_TERMS + 2]
        chroma[np.ix_(places, places)] += _moments(one, other, share, 4 * CHROMA_WEIGHT / 8, CHROMA_TERMS + 1)
    grams, slopes = ([part(luma), part(chroma)] for part in (_gram, _slope))
    return Fit((grams[0], grams[1]), (slopes[0], slopes[1]), float(luma[-1, -1] + chroma[-1, -1]))


def _gram(moments: np.ndarray) -> np.ndarray:
    return moments[:-1, :-1]


def _slope(moments: np.ndarray) -> np.ndarray:
    return moments[:-1, -1]


def _moments(decoded: Tensor, original: Tensor, share: Tensor | None, weight: float, terms: int) -> np.ndarray:
    """float64 ``[terms + 1]²``: products of all terms and, last, of what is missing, summed over planes ``[N, H, W]``."""
    side = PATCH if terms == 2 * LUMA_TERMS else PATCH // 2
    total = np.zeros((terms + 1, terms + 1))
    padded = _padded(decoded)
    for number in range(len(decoded)):

        def of_band(start: int, stop: int, number: int = number) -> np.ndarray:
            source = padded[number].numpy()
            # A row of patches at a time, which stays in the processor's cache.
            found = torch.empty(terms + 1, side // FITTED_LINES, decoded.shape[2])
            blocks = np.empty((3, side // BLOCK, decoded.shape[2] // BLOCK), np.float32)
            flat, sums = found.view(terms + 1, -1), np.zeros((terms + 1, terms + 1))
            for row in range(start, stop):
                if side == PATCH:
                    describe(source, side // BLOCK * row, blocks)
                    luma_terms(source, blocks, side // BLOCK * row, FITTED_LINES, found.numpy())
                else:
                    chroma_terms(source, side * row, FITTED_LINES, found.numpy())
                    found[terms - 1] = OFFSET
                lines = slice(side * row, side * (row + 1), FITTED_LINES)
                torch.sub(original[number, lines], decoded[number, lines], out=found[-1])
                if share is not None:
                    found *= share[row].sqrt().repeat_interleave(side)
                sums += (flat @ flat.T).numpy()
            return sums

        bands = [partial(of_band, band.start, band.stop) for band in cut(decoded.shape[1] // side, 0)]
        total += sum(side_by_side(bands))
    return total * (weight * 255.0**2 * FITTED_LINES)
