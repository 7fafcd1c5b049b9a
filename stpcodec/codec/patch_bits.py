"""Where the bits of a picture go: a figure for every spacetime patch, by the tables that the coder used.

Nothing is guessed: the decoded integers are walked once more in the order of coding, and every symbol is priced by its
table (entropy/cost.py). A latent counts where its patch lies; a hyper-latent evenly in the patches it speaks for; a
motion vector in the patch in which its control point lies, however far it reaches; flags likewise; a loop filter evenly
in all patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stpcodec.codec.filter_coder import filter_changes
from stpcodec.codec.latent_coder import walk_latents, z_rows
from stpcodec.codec.level_coder import level_changes
from stpcodec.codec.picture import ABSENT, FILTER_SAID, LEVELLED, SKIP, Tables, levelled
from stpcodec.codec.tiling import TiledCodec, TileLatents
from stpcodec.entropy.cost import symbol_bits
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.blend import walk_blend
from stpcodec.latents.chunk import PATCH, ChunkLatents, PictureLatents
from stpcodec.latents.gop import Picture, coding_order, predicted_future, predicted_past
from stpcodec.latents.levels import LEVEL_REGION
from stpcodec.latents.motion_field import (
    ANCHOR,
    FUTURE,
    PAST,
    SPACING,
    Hierarchy,
    decompose,
    like_levels,
    second_context,
    to_symbols,
    walk,
)
from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.latents.regions import REGION
from stpcodec.model.transform import Model, Transform

_HEAD_BYTES = 2
Price = Callable[[np.ndarray, TableSet, np.ndarray], np.ndarray]
"""(symbols, tables, row of each) to bits of each."""


@dataclass(frozen=True)
class PictureBits:
    """One coded picture. first_frame: counted in its chunk. coded: bits of its streams, which `patches` share but for
    roundings; patches: float64 ``[H/16, W/16]`` of the padded frame, over all its frames."""

    first_frame: int
    frame_count: int
    coded: int
    patches: np.ndarray


@torch.inference_mode()
def chunk_bits(
    tiled: TiledCodec, streams: Sequence[bytes], latents: Sequence[TileLatents], previous: Sequence[TileLatents] | None,
    price: Price = symbol_bits,
) -> list[PictureBits]:  # fmt: skip
    """Of the pictures of one chunk, in order of coding. previous: of the chunk before, None in an intra chunk. price:
    is shown every symbol once, and says what it counts."""
    per_tile = len(streams) // len(tiled.tiles)
    grid = (tiled.height // PATCH, tiled.width // PATCH)
    found: list[PictureBits] = []
    for number, picture in enumerate(latents[0].latents.pictures):
        patches, coded = np.zeros(grid), 0
        for index, part in enumerate(latents):
            own = streams[index * per_tile : (index + 1) * per_tile]
            head = own[0][_HEAD_BYTES * number : _HEAD_BYTES * (number + 1)]
            if picture.library is not None:
                head = own[0]
            before = previous[index].latents.anchor if previous else None
            pricer = _Pricer(tiled.codec.model, tiled.codec.tables, (part.tile.height, part.tile.width), price)
            rows, columns = part.tile.y // PATCH, part.tile.x // PATCH
            bits = pricer.picture(part.latents, number, before, head[1])
            patches[rows : rows + bits.shape[0], columns : columns + bits.shape[1]] += bits
            coded += 8 * (len(own[1 + number]) + len(head))
        found.append(PictureBits(picture.first_frame, picture.frame_count, coded, patches))
    return found


@dataclass(frozen=True)
class _Pricer:
    """Prices the pictures of one tile. size: of the padded tile."""

    model: Model
    tables: Tables
    size: tuple[int, int]
    price: Price

    def picture(
        self, chunk: ChunkLatents, number: int, before: PictureLatents | None, flags: int
    ) -> np.ndarray:
        """Bits ``[H/16, W/16]`` of picture `number` in order of coding, in whose head these flags stand."""
        picture = chunk.pictures[number]
        transform = self.model.intra if picture.intra else self.model.inter
        bits = np.zeros((self.size[0] // PATCH, self.size[1] // PATCH))
        guide = before
        if transform.uses_motion and not picture.intra:
            place = coding_order(chunk.frame_count)[number]
            done = {p.first_frame + 1: p for p in chunk.pictures[:number]}
            if not flags & ABSENT:
                for points, levels in self._motion(picture, place, done, before):
                    _add_points(bits, points, levels)
                if picture.choice is not None:
                    bits += _choice_bits(picture.choice, self.tables.blend, self.price)
            if place.depth:
                guide = done[place.guide]
        like = None if guide is None or guide.intra else guide
        if picture.mode != SKIP or picture.intra:
            bits += _latent_bits(transform, picture, like, self.price)
        if flags & LEVELLED and picture.levels is not None:
            at, changes = level_changes(picture.levels, None if guide is None else guide.levels)
            bits += _spread(self.price(changes, self.tables.levels, at), LEVEL_REGION // PATCH, bits.shape)
        if picture.regions is not None:
            share = _choice_bits(picture.regions, self.tables.regions, self.price)
            bits += _spread(share, REGION // PATCH, bits.shape)
        if flags & FILTER_SAID and picture.loop_filter is not None:
            at, changes = filter_changes(picture.loop_filter, None if guide is None else guide.loop_filter)
            bits += self.price(changes, self.tables.filters, at).sum() / bits.size
        return bits

    def _motion(
        self, picture: PictureLatents, place: Picture, done: dict[int, PictureLatents], before: PictureLatents | None
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        assert picture.field is not None
        if place.future is None:
            last = None if before is None or before.field is None else before.field[-1]
            yield from self._field(picture.field[0], last, ANCHOR)
            return
        fields = {position: coded.field for position, coded in done.items() if coded.field is not None}
        predicted, across = predicted_past(place, fields)
        past, future = picture.field
        yield from self._field(past - predicted, across, PAST)
        yield from self._field(future - predicted_future(place, past), past - predicted, FUTURE)

    def _field(self, residual: Tensor, like: Tensor | None, kind: int) -> Iterator[tuple[Tensor, np.ndarray]]:
        """(luma positions ``[K, 2]``, bits ``[K]``) of the control points of every level; as `encode_field` codes
        them."""
        levels = decompose(residual[None], Hierarchy.of(*self.size).top)
        for level, context, coded, other, _ in walk(levels, like_levels(like, *self.size), *self.size, kind):
            values, beside = (part.permute(1, 0, 2, 3)[:, coded] for part in (levels[level], other))
            first, second = to_symbols(values, beside)
            at = context[coded]
            bits = self.price(first.numpy(), self.tables.motion, at.numpy())
            bits = bits + self.price(second.numpy(), self.tables.motion, second_context(at, first).numpy())
            yield coded[0].nonzero() * (SPACING << level), bits


def _latent_bits(
    transform: Transform, picture: PictureLatents, before: PictureLatents | None, price: Price
) -> np.ndarray:  # fmt: skip
    """Bits ``[H/16, W/16]`` of y and z; before: the picture whose latents the prior looks at."""
    y = picture.y.numpy().reshape(-1)
    bits = np.zeros(tuple(picture.y.shape))

    def symbols_of(table: np.ndarray, at: np.ndarray, means: np.ndarray) -> np.ndarray:
        symbols = (y[at] - means) // SIXTEENTHS
        bits.reshape(-1)[at] = price(symbols, transform.y_tables, table)
        return symbols

    grid = (picture.y.shape[1], picture.y.shape[2])
    quality = levelled(picture.quality, picture.levels, *grid)
    walk_latents(transform, picture.z, None if before is None else before.y, quality, grid, symbols_of)
    rows = z_rows(transform.z_tables, tuple(picture.z.shape), None if before is None else before.z)
    hyper = price(picture.z.numpy(), transform.z_tables, np.ascontiguousarray(rows)).sum(0)
    # z is as fine as y, or a quarter as fine in each direction with its last cells cut off.
    side = max(-(-length // cells) for length, cells in zip(grid, hyper.shape, strict=True))
    return bits.sum(0) + _spread(hyper, 1 << (side - 1).bit_length(), grid)


def _choice_bits(choice: Tensor, tables: TableSet, price: Price) -> np.ndarray:
    """Bits of flags ``[h, w]``, as `encode_choice` codes them."""
    bits = np.zeros(tuple(choice.shape))
    for part, context in walk_blend(choice):
        bits[part] = price(choice[part].numpy() - 1, tables, context.numpy())
    return bits


def _spread(coarse: np.ndarray, side: int, grid: tuple[int, ...]) -> np.ndarray:
    """Figures of cells of side × side patches, each in equal parts on its patches inside the grid."""
    rows, columns = (
        np.minimum(np.arange(length) // side, cells - 1) for length, cells in zip(grid, coarse.shape, strict=True)
    )
    shares = np.bincount(rows, minlength=coarse.shape[0])[:, None] * np.bincount(columns, minlength=coarse.shape[1])
    return (coarse / shares)[np.ix_(rows, columns)]


def _add_points(bits: np.ndarray, points: Tensor, costs: np.ndarray) -> None:
    """Adds costs ``[K]`` at luma positions ``[K, 2]``, those beyond the last patch to it."""
    rows, columns = (np.minimum(points[:, axis].numpy() // PATCH, bits.shape[axis] - 1) for axis in (0, 1))
    np.add.at(bits, (rows, columns), costs)
