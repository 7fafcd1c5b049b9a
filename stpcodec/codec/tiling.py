"""One chunk as one or several tiles: what does not fit memory at once is coded window by window.

Every tile has its own history (it predicts from its own decoded pixels, before blending), so encoder and
decoder stay equal tile by tile and only the pixels shown are blended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.codec.choices import Choices
from stpcodec.codec.chunk import ChunkCodec, History
from stpcodec.codec.lookahead import Chain
from stpcodec.errors import CorruptFile, UsageError
from stpcodec.latents.chunk import ChunkLatents
from stpcodec.model.planes import Planes
from stpcodec.patches.tiles import Tile, Triple, blend, plan_tiles

TILE_ABOVE_PIXELS = 4096 * 2304
"""Frames larger than this are tiled unless the caller chose: about 1 GB of activations in the model."""

AUTOMATIC_TILE = 2048
OVERLAP = 64
"""Luma samples that neighbouring tiles share: the blending hides what the transforms' borders differ in."""


def choose_tile(height: int, width: int, requested: int, multiple: int) -> tuple[int, int]:
    """(tile size, overlap) for the stream header; (0, 0) when the frame is coded whole.

    requested: 0 to decide by the size of the frame.
    """
    if requested == 0:
        requested = AUTOMATIC_TILE if height * width > TILE_ABOVE_PIXELS else 0
    elif requested % multiple or requested < 2 * OVERLAP:
        raise UsageError(
            f"tile size {requested}: must be a multiple of {multiple} and at least {2 * OVERLAP}; "
            f"for instance {max(2 * OVERLAP, requested // multiple * multiple)}"
        )
    if requested == 0 or max(height, width) <= requested:
        return 0, 0
    return requested, OVERLAP


_MOST_TILES = 1 << 16


@dataclass(frozen=True)
class TileLatents:
    """The integers of one tile of one chunk."""

    tile: Tile
    latents: ChunkLatents


class TiledCodec:
    """`ChunkCodec` over all tiles of frames of one size. The order of tiles is that of `plan_tiles`.

    height, width: of the padded planes (multiples of the codec's alignment). Raises CorruptFile for tiles that
    `choose_tile` would not have chosen and that do not work.
    """

    def __init__(self, codec: ChunkCodec, *, height: int, width: int, tile: int, overlap: int, quality: int) -> None:
        self.codec = codec
        self.height, self.width = height, width
        self.quality = quality
        self.tiles = [Tile(0, 0, height, width)]
        if tile:
            # What a file asks for is not to be trusted: tiny tiles would make millions.
            if (-(-height // max(1, tile - overlap))) * (-(-width // max(1, tile - overlap))) > _MOST_TILES:
                raise CorruptFile(f"tiles of {tile} with {overlap} overlap for {width}x{height}; the file is damaged")
            try:
                self.tiles = plan_tiles(height, width, tile=tile, overlap=overlap, multiple=codec.alignment)
            except UsageError as error:
                raise CorruptFile(f"its tiles cannot cover its frames ({error}); the file is damaged") from error

    def chains(self, pool: Executor, choices: Choices | None = None, *, shown: bool = True) -> list[Chain]:
        """Encoders of one segment, one a tile: each takes its `window` of every chunk. choices: the codec's if None;
        shown: as of `Chain`."""
        codec = self.codec if choices is None else self.codec.choosing(choices)
        return [Chain(codec, quality=self.quality, pool=pool, shown=shown) for _ in self.tiles]

    def windows(self, planes: Planes) -> Iterator[Planes]:
        """The parts of padded planes under the tiles, each made when it is asked for."""
        return (_window(planes, tile) for tile in self.tiles)

    def patches(self, weights: Tensor) -> list[Tensor]:
        """The parts of a grid of patches ``[H/16, W/16]`` under the tiles."""
        side = self.codec.alignment
        return [
            weights[
                tile.y // side : (tile.y + tile.height) // side,
                tile.x // side : (tile.x + tile.width) // side,
            ]
            for tile in self.tiles
        ]

    @torch.no_grad()
    def decode_latents(
        self, streams: Sequence[bytes], *, frame_count: int, previous: Sequence[TileLatents] | None
    ) -> list[TileLatents]:
        """The integers of all tiles. Every tile has the same number of streams.

        Raises:
            CorruptFile: the streams cannot be shared out, or do not decode.
        """
        per_tile, rest = divmod(len(streams), len(self.tiles))
        if rest:
            raise CorruptFile(f"{len(streams)} streams for {len(self.tiles)} tiles; the file is damaged")
        return [
            TileLatents(
                tile,
                self.codec.decode_latents(
                    tuple(streams[i * per_tile : (i + 1) * per_tile]),
                    frame_count=frame_count,
                    height=tile.height,
                    width=tile.width,
                    quality=self.quality,
                    previous=previous[i].latents if previous else None,
                ),
            )
            for i, tile in enumerate(self.tiles)
        ]

    @torch.no_grad()
    def synthesise(
        self, latents: Sequence[TileLatents], histories: Sequence[History] | None
    ) -> tuple[Planes, list[History]]:
        """Pixels of the whole padded frame, blended where tiles overlap, and the history of every tile."""
        new_histories: list[History] = []

        def parts() -> Iterator[Triple]:
            for index, part in enumerate(latents):
                planes, history = self.codec.synthesise(part.latents, history=histories[index] if histories else None)
                new_histories.append(history)
                yield planes.y, planes.u, planes.v

        return Planes(*blend(self.tiles, parts(), self.height, self.width)), new_histories


def _window(planes: Planes, tile: Tile) -> Planes:
    """The part of padded planes under a tile (chroma at half the resolution)."""
    if (tile.height, tile.width) == (planes.height, planes.width):
        return planes
    luma = (..., slice(tile.y, tile.y + tile.height), slice(tile.x, tile.x + tile.width))
    chroma = (
        ...,
        slice(tile.y // 2, (tile.y + tile.height) // 2),
        slice(tile.x // 2, (tile.x + tile.width) // 2),
    )
    return Planes(planes.y[luma].contiguous(), planes.u[chroma].contiguous(), planes.v[chroma].contiguous())
