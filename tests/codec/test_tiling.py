from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.parallel import Inline
from stpcodec.codec.samples import to_planes
from stpcodec.codec.tiling import OVERLAP, TiledCodec, choose_tile
from stpcodec.errors import CorruptFile, UsageError
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures
from tests.codec.fake_codec import FakeChunkCodec
from tests.tiny_model import moving_planes


def test_small_frames_are_not_tiled() -> None:
    assert choose_tile(1080, 1920, 0, 16) == (0, 0)
    assert choose_tile(1080, 1920, 2048, 16) == (0, 0)


def test_frames_over_the_budget_are_tiled() -> None:
    tile, overlap = choose_tile(8192, 8192, 0, 16)
    assert 0 < overlap < tile < 8192


def test_a_requested_tile_is_taken() -> None:
    assert choose_tile(1080, 1920, 512, 16) == (512, OVERLAP)


@pytest.mark.parametrize("tile", [100, 16, 2 * OVERLAP - 16])
def test_impossible_tiles_are_refused(tile: int) -> None:
    with pytest.raises(UsageError, match="tile size"):
        choose_tile(1080, 1920, tile, 16)


def coded(codec: TiledCodec, *chunks: Planes) -> list[tuple[tuple[bytes, ...], list, list]]:  # type: ignore[type-arg]
    """Per chunk: the streams of all tiles one after the other, latents per tile, history per tile."""
    chains, found = codec.chains(Inline()), []
    for chunk in chunks:
        parts = [chain.add(part).result() for chain, part in zip(chains, codec.windows(chunk), strict=True)]
        streams = tuple(stream for part in parts for stream in part.streams)
        found.append((streams, [part.latents for part in parts], [part.history for part in parts]))
    return found


def test_tiles_predict_from_their_own_history_and_blend_to_the_picture() -> None:
    frames = [Frame(*triple, pts=i) for i, triple in enumerate(pictures(5, height=192, width=320))]
    planes = to_planes(frames, bit_depth=8, multiple=16, device=torch.device("cpu"))
    codec = TiledCodec(FakeChunkCodec(), height=192, width=320, tile=128, overlap=64, quality=100)  # type: ignore[arg-type]
    assert len(codec.tiles) > 2
    intra, inter = planes[:1], planes[1:]
    (streams_a, latents_a, _), (streams_b, _, _) = coded(codec, intra, inter)
    assert len(streams_a) == 3 * len(codec.tiles)

    decoded_a = codec.decode_latents(streams_a, frame_count=1, previous=None)
    decoded_b = codec.decode_latents(streams_b, frame_count=4, previous=decoded_a)
    assert (decoded_a[1].latents.arrays()["y"] == latents_a[1].arrays()["y"]).all()
    first, states = codec.synthesise(decoded_a, None)
    rest, _ = codec.synthesise(decoded_b, states)
    for ours, theirs in ((first, intra), (rest, inter)):
        assert isinstance(ours, Planes)
        assert ours.y.shape == theirs.y.shape
        assert float((ours.y - theirs.y).abs().max()) < 1 / 512
        assert float((ours.u - theirs.u).abs().max()) < 1 / 512


@pytest.mark.parametrize(("tile", "overlap"), [(1, 0), (16, 15), (32, 31)])
def test_tiles_from_a_hostile_header_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(CorruptFile, match="damaged"):
        TiledCodec(FakeChunkCodec(), height=16384, width=16384, tile=tile, overlap=overlap, quality=50)  # type: ignore[arg-type]


def test_streams_that_cannot_be_shared_out_are_corrupt() -> None:
    codec = TiledCodec(FakeChunkCodec(), height=192, width=320, tile=128, overlap=64, quality=100)  # type: ignore[arg-type]
    with pytest.raises(CorruptFile, match="tiles"):
        codec.decode_latents((b"",) * (len(codec.tiles) + 1), frame_count=1, previous=None)


@pytest.fixture(scope="module")
def learned(tiny_weights: Path) -> TiledCodec:
    """Two rows of three tiles, with pictures between two references in each."""
    codec = ChunkCodec(load_model(tiny_weights, device=torch.device("cpu")))
    return TiledCodec(codec, height=80, width=128, tile=64, overlap=16, quality=60)


def test_tiles_of_pictures_between_two_references(learned: TiledCodec) -> None:
    """Every tile is a chunk of its own, with its own references: decoded as encoded, and as if it stood alone."""
    frames = moving_planes(6, 80, 128, dy=1, dx=3)
    (first, _, _), (streams, sent, after) = coded(learned, frames[:1], frames[1:])
    tiles = learned.tiles
    assert len(tiles) == 6
    assert len(streams) == 6 * len(tiles), "heads and five pictures each"
    intra = learned.decode_latents(first, frame_count=1, previous=None)
    inter = learned.decode_latents(streams, frame_count=5, previous=intra)
    _, states = learned.synthesise(intra, None)
    planes, ends = learned.synthesise(inter, states)
    assert planes.y.shape == (5, 80, 128)
    for number, (tile, found) in enumerate(zip(tiles, inter, strict=True)):
        assert found.tile == tile
        assert len(found.latents.pictures) == 5
        for one, other in zip(found.latents.pictures, sent[number].pictures, strict=True):
            assert one.first_frame == other.first_frame
            for name, array in one.arrays().items():
                assert (array == other.arrays()[name]).all(), (number, name)
        assert torch.equal(ends[number].reference.y, after[number].reference.y)
    tile, number = tiles[4], 4
    window = Planes(
        frames.y[:, tile.y : tile.y + tile.height, tile.x : tile.x + tile.width],
        *(
            plane[:, tile.y // 2 : (tile.y + tile.height) // 2, tile.x // 2 : (tile.x + tile.width) // 2]
            for plane in (frames.u, frames.v)
        ),
    )
    history = learned.codec.encode(window[:1], quality=60, history=None).history
    alone = learned.codec.encode(window[1:], quality=60, history=history)
    assert alone.streams == streams[6 * number : 6 * number + 6]


@pytest.mark.parametrize("change", [1, -1, 6, -6])
def test_tiles_with_a_picture_too_many_or_too_few(learned: TiledCodec, change: int) -> None:
    """Whether or not the streams can be shared out evenly."""
    frames = moving_planes(3, 80, 128)
    (first, _, _), (streams, _, _) = coded(learned, frames[:1], frames[1:])
    intra = learned.decode_latents(first, frame_count=1, previous=None)
    wrong = (*streams, *streams[:change]) if change > 0 else streams[:change]
    with pytest.raises(CorruptFile, match="streams"):
        learned.decode_latents(wrong, frame_count=2, previous=intra)
