"""Segments that begin from a picture of the model's library: what it saves, that it decodes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xxhash

import stpcodec
from stpcodec.codec.choices import Choices
from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.interest import Interest
from stpcodec.codec.qualities import Qualities
from stpcodec.container import StpReader, StpWriter
from stpcodec.errors import CorruptFile, CorruptSegment, ModelError
from stpcodec.model.library import eight_bits
from stpcodec.model.planes import Planes
from stpcodec.model.rates import INTRA_BONUS, LIBRARY_BONUS
from stpcodec.model.zoo import load_model
from stpcodec.training.library import with_library
from tests.codec.clips import Triple, write_y4m
from tests.codec.test_patch_bits import bits_of
from tests.tiny_model import moving_planes

CPU = torch.device("cpu")
HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="module")
def scene() -> Planes:
    return moving_planes(1, HEIGHT, WIDTH, seed=7)


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> ChunkCodec:
    return ChunkCodec(load_model(tiny_weights, device=CPU))


@pytest.fixture(scope="module")
def known(tiny: ChunkCodec, scene: Planes) -> ChunkCodec:
    """Of a model that has another picture, too, and one of another size."""
    pictures = (moving_planes(1, HEIGHT, WIDTH, seed=8), moving_planes(1, 32, 48, seed=7), scene)
    return ChunkCodec(replace(tiny.model, library=tuple(map(eight_bits, pictures))))


@pytest.fixture(scope="module")
def weights(tiny_weights: Path, scene: Planes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_library(tiny_weights, [eight_bits(scene)], tmp_path_factory.mktemp("library"), "yard")


def visited(scene: Planes, corner: int) -> Planes:
    """The scene with something in it that was not there."""
    frame = scene.map(torch.clone)
    frame.y[:, corner : corner + 16, corner : corner + 16] = 0.9
    return frame


def clip(path: Path, scene: Planes, count: int) -> Path:
    def samples(planes: Planes) -> Triple:
        y, u, v = ((255 * plane[0]).round().numpy().astype(np.uint8) for plane in (planes.y, planes.u, planes.v))
        return y, u, v

    return write_y4m(path, [samples(visited(scene, 4 * number)) for number in range(count)])


def test_it_is_taken_where_it_is_cheaper_and_decodes(tiny: ChunkCodec, known: ChunkCodec, scene: Planes) -> None:
    frame = visited(scene, 8)
    alone, coded = (codec.encode(frame, quality=50, history=None) for codec in (tiny, known))
    assert alone.latents.anchor.library is None
    assert alone.latents.anchor.intra
    assert coded.latents.anchor.library == 2
    assert not coded.latents.anchor.intra
    assert coded.streams[0][2:] == bytes([2])
    assert sum(map(len, coded.streams)) < 0.5 * sum(map(len, alone.streams))
    latents = known.decode_latents(
        coded.streams, frame_count=1, height=HEIGHT, width=WIDTH, quality=50, previous=None
    )
    hashes = [xxhash.xxh3_128() for _ in range(2)]
    for part, digest in zip((coded.latents, latents), hashes, strict=True):
        part.hash_into(digest)
    assert hashes[0].digest() == hashes[1].digest()
    decoded, history = known.synthesise(latents, history=None)
    assert torch.allclose(decoded.y, coded.reconstruction.y, atol=1e-5)
    assert history.anchor.library == 2


def test_its_quality_follows_the_intra_frames(known: ChunkCodec, scene: Planes) -> None:
    """So that `--effort` can look for a better one."""
    frame = visited(scene, 8)
    for more in (0, 8):
        codec = known.choosing(Choices(intra_bonus=INTRA_BONUS + more))
        anchor = codec.encode(frame, quality=50, history=None).latents.anchor
        assert anchor.library == 2
        assert anchor.quality == 50 + LIBRARY_BONUS + more


def test_the_number_counts_in_the_hash(known: ChunkCodec, scene: Planes) -> None:
    anchor = known.encode(visited(scene, 8), quality=50, history=None).latents.anchor
    hashes = [xxhash.xxh3_128() for _ in range(2)]
    for number, digest in zip((2, 0), hashes, strict=True):
        replace(anchor, library=number).hash_into(digest)
    assert hashes[0].digest() != hashes[1].digest()


def test_frames_that_are_not_of_the_place_begin_as_ever(tiny: ChunkCodec, known: ChunkCodec) -> None:
    """(A loop filter may make anything of the pictures of networks that know nothing.)"""
    plain = Choices(filters=False)
    for frame in (moving_planes(1, HEIGHT, WIDTH, seed=9), moving_planes(1, 48, 64, seed=7)):
        assert known.choosing(plain).encode(frame, quality=50, history=None).streams == tiny.choosing(plain).encode(
            frame, quality=50, history=None
        ).streams


@pytest.mark.parametrize("number", [0, 1, 3, 255])
def test_a_number_of_another_picture_is_refused_or_decodes(known: ChunkCodec, scene: Planes, number: int) -> None:
    """0 is a picture of that size; 1 is of another size, and the others are none."""
    coded = known.encode(visited(scene, 8), quality=50, history=None)
    streams = (coded.streams[0][:2] + bytes([number]), *coded.streams[1:])

    def decode(codec: ChunkCodec) -> object:
        return codec.decode_latents(streams, frame_count=1, height=HEIGHT, width=WIDTH, quality=50, previous=None)

    if number:
        with pytest.raises(CorruptFile, match=f"picture {number} of the model's library, of 96×64"):
            decode(known)
    else:
        decode(known)


@pytest.mark.parametrize("which", ["tiny", "dct"])
def test_a_model_without_a_library_refuses(which: str, tiny: ChunkCodec, known: ChunkCodec, scene: Planes) -> None:
    streams = known.encode(visited(scene, 8), quality=50, history=None).streams
    codec = tiny if which == "tiny" else ChunkCodec(load_model("dct", device=CPU))
    with pytest.raises(CorruptFile, match="does not have"):
        codec.decode_latents(streams, frame_count=1, height=HEIGHT, width=WIDTH, quality=50, previous=None)


@pytest.mark.parametrize("tune", ["psnr", "ssim"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_of_several_segments(
    tmp_path: Path, tiny_weights: Path, weights: Path, scene: Planes, jobs: int, tune: str
) -> None:
    source = clip(tmp_path / "clip.y4m", scene, 10)
    sizes = {}
    for model in (tiny_weights, weights):
        target = tmp_path / f"{model.stem}.stp"
        report = stpcodec.encode(
            source, target, model=str(model), quality=Qualities(50, interest=Interest(tune=tune)), segment_frames=5,
            jobs=jobs, device="cpu", verify=True,
        )  # fmt: skip
        sizes[model] = report.bytes_written
        assert report.psnr_db is not None
        assert report.psnr_db["yuv"] > 25
    assert sizes[weights] < 0.8 * sizes[tiny_weights]
    with stpcodec.open(tmp_path / f"{weights.stem}.stp", model=str(weights), device="cpu") as file:
        assert len(list(file)) == 10
        firsts = [file.latents(number)[0] for number in range(2)]
        assert all("motion" in first.arrays for first in firsts)
    with pytest.raises(ModelError):
        stpcodec.decode(tmp_path / f"{weights.stem}.stp", tmp_path / "no.y4m", device="cpu")


def test_its_bits_are_all_accounted_for(tmp_path: Path, weights: Path, scene: Planes) -> None:
    source = clip(tmp_path / "clip.y4m", scene, 3)
    stpcodec.encode(source, tmp_path / "a.stp", model=str(weights), device="cpu")
    with StpReader(tmp_path / "a.stp") as stream:
        coded = sum(len(part) for chunk in stream.read_segment(0).chunks for part in chunk.streams)
    found = bits_of(tmp_path / "a.stp", str(weights))
    assert sum(bits.coded for _, bits in found) == 8 * coded


def test_a_forged_number_is_an_error_that_names_the_file(tmp_path: Path, weights: Path, scene: Planes) -> None:
    source, forged = clip(tmp_path / "clip.y4m", scene, 3), tmp_path / "forged.stp"
    stpcodec.encode(source, tmp_path / "a.stp", model=str(weights), device="cpu")
    with StpReader(tmp_path / "a.stp") as stream:
        header, segment = stream.header, stream.read_segment(0)
    first = segment.chunks[0]
    assert len(first.streams[0]) == 3
    head = first.streams[0][:2] + bytes([9])
    chunks = (replace(first, streams=(head, *first.streams[1:])), *segment.chunks[1:])
    with forged.open("wb") as file:
        writer = StpWriter(file)
        writer.write_header(header)
        writer.write_segment(replace(segment, chunks=chunks))
        writer.finish()
    with pytest.raises(CorruptSegment, match=r"forged\.stp: segment at frame 0, chunk 0: begins from picture 9"):
        stpcodec.decode(forged, tmp_path / "out.y4m", model=str(weights), device="cpu")
    assert not (tmp_path / "out.y4m").exists()
