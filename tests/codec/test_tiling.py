from __future__ import annotations

import pytest
import torch

from stpcodec.codec.samples import to_planes
from stpcodec.codec.tiling import OVERLAP, TiledCodec, choose_tile
from stpcodec.errors import CorruptFile, UsageError
from stpcodec.model.planes import Planes
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures
from tests.codec.fake_codec import FakeChunkCodec


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


def test_tiles_predict_from_their_own_history_and_blend_to_the_picture() -> None:
    frames = [Frame(*triple, pts=i) for i, triple in enumerate(pictures(5, height=192, width=320))]
    planes = to_planes(frames, bit_depth=8, multiple=16, device=torch.device("cpu"))
    codec = TiledCodec(FakeChunkCodec(), height=192, width=320, tile=128, overlap=64, quality=100)  # type: ignore[arg-type]
    assert len(codec.tiles) > 2
    intra, inter = planes[:1], planes[1:]
    streams_a, latents_a, histories = codec.encode(intra, None)
    streams_b, _, _ = codec.encode(inter, histories)
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
