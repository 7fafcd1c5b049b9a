"""The chunk codec on real bytes, with the fixed model and a very small learned one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec import picture as picture_module
from stpcodec.codec.choices import Choices
from stpcodec.codec.chunk import LONGEST_CHUNK, ChunkCodec, EncodedChunk, History
from stpcodec.codec.picture import ABSENT, FILTER_SAID, FILTERED, FLAGS, LEVELLED, OFFSET_ZERO, SKIP
from stpcodec.errors import CorruptFile
from stpcodec.latents.blend import BOTH, ONLY_FUTURE, ONLY_PAST
from stpcodec.latents.chunk import ChunkLatents, PictureLatents
from stpcodec.latents.gop import coding_order, predicted_future, predicted_past
from stpcodec.latents.regions import region_shape
from stpcodec.model import loop_filter as loop_filter_module
from stpcodec.model.learned import MIXED, PLAIN, LearnedTransform
from stpcodec.model.planes import Planes, join_frames
from stpcodec.model.rates import INTRA_BONUS, INTRA_ROUNDS, depth_bonus, lagrange_lambda, squared_error
from stpcodec.model.zoo import load_model
from tests.tiny_model import moving_planes, psnr_db, write_tiny_weights

CPU = torch.device("cpu")
NEVER, ALWAYS = 1e9, 1e-9
"""Values of SKIP_CAUTION: no picture, or every one that can, leaves out its latents."""


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> ChunkCodec:
    return ChunkCodec(load_model(tiny_weights, device=CPU))


@pytest.fixture(scope="module", params=["dct", "tiny"])
def codec(request: pytest.FixtureRequest, tiny: ChunkCodec) -> ChunkCodec:
    return tiny if request.param == "tiny" else ChunkCodec(load_model("dct", device=CPU))


@dataclass(frozen=True)
class Coded:
    """A segment as encoded: frames per chunk, and what the encoder said of each."""

    lengths: tuple[int, ...]
    chunks: list[EncodedChunk]
    original: Planes
    quality: int

    @property
    def size(self) -> int:
        return sum(len(stream) for chunk in self.chunks for stream in chunk.streams)

    @property
    def psnr_db(self) -> float:
        parts = [chunk.reconstruction for chunk in self.chunks]
        whole = Planes(*(torch.cat([getattr(part, name) for part in parts]) for name in ("y", "u", "v")))
        return psnr_db(whole, self.original)


def encode(codec: ChunkCodec, frames: Planes, lengths: tuple[int, ...], quality: int = 50) -> Coded:
    chunks, history, start = [], None, 0
    for count in lengths:
        chunks.append(codec.encode(frames[start : start + count], quality=quality, history=history))
        history, start = chunks[-1].history, start + count
    assert start == len(frames)
    return Coded(lengths, chunks, frames, quality)


Streams = list[tuple[bytes, ...]]


def decode_latents(codec: ChunkCodec, coded: Coded, streams: Streams | None = None) -> list[ChunkLatents]:
    """Integers of every chunk; no synthesis takes part."""
    found: list[ChunkLatents] = []
    previous = None
    for count, chunk in zip(coded.lengths, streams or [chunk.streams for chunk in coded.chunks], strict=True):
        previous = codec.decode_latents(
            chunk, frame_count=count, height=coded.original.height, width=coded.original.width,
            quality=coded.quality, previous=previous,
        )  # fmt: skip
        found.append(previous)
    return found


def synthesise(codec: ChunkCodec, latents: list[ChunkLatents]) -> list[Planes]:
    found: list[Planes] = []
    history: History | None = None
    for chunk in latents:
        planes, history = codec.synthesise(chunk, history=history)
        found.append(planes)
    return found


def digest(latents: list[ChunkLatents]) -> str:
    state = xxhash.xxh3_128()
    for chunk in latents:
        chunk.hash_into(state)
    return state.hexdigest()


def pictures(latents: list[ChunkLatents]) -> list[PictureLatents]:
    """In the order of coding."""
    return [picture for chunk in latents for picture in chunk.pictures]


def assert_equal(found: PictureLatents, sent: PictureLatents) -> None:
    assert list(found.arrays()) == list(sent.arrays())
    for name, array in found.arrays().items():
        assert array.dtype == sent.arrays()[name].dtype
        assert (array == sent.arrays()[name]).all(), name
    for name in ("first_frame", "frame_count", "quality", "mode"):
        assert getattr(found, name) == getattr(sent, name), name


def clip(count: int, height: int = 48, width: int = 80) -> Planes:
    """Moves, and holds still for its last chunk."""
    moving = moving_planes(max(1, count - 3), height, width, dy=1, dx=2)
    still = moving[torch.tensor([len(moving) - 1] * (count - len(moving)), dtype=torch.long)]
    return Planes(*(torch.cat((getattr(moving, n), getattr(still, n))) for n in ("y", "u", "v")))


def assert_same(one: Planes, other: Planes, tolerance: float = 0.0) -> None:
    for name in ("y", "u", "v"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=tolerance, rtol=0)


LENGTHS = [(1,), (1, 1), (1, 2), (1, 3), (1, 4), (1, 4, 4), (1, 4, 2, 4, 1), (1, 1, 1, 3)]
LONGER = [(1, 5), (1, 6), (1, 7), (1, 8), (1, 8, 1, 5)]


@pytest.mark.parametrize(("name", "lengths"), [
    *(("dct", lengths) for lengths in LENGTHS), *(("tiny", lengths) for lengths in LENGTHS + LONGER),
], ids=str)  # fmt: skip
def test_segments_of_any_length_round_trip(name: str, lengths: tuple[int, ...], tiny: ChunkCodec) -> None:
    codec = tiny if name == "tiny" else ChunkCodec(load_model("dct", device=CPU))
    coded = encode(codec, clip(sum(lengths)), lengths)
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for number, (found, sent) in enumerate(zip(latents, [chunk.latents for chunk in coded.chunks], strict=True)):
        assert found.frame_count == lengths[number]
        assert found.anchor.intra == (number == 0)
        for one, other in zip(found.pictures, sent.pictures, strict=True):
            assert_equal(one, other)
    for planes, chunk, count in zip(synthesise(codec, latents), coded.chunks, lengths, strict=True):
        assert len(planes) == len(chunk.reconstruction) == count
        assert_same(planes, chunk.reconstruction)


@pytest.mark.parametrize("count", range(1, LONGEST_CHUNK + 1))
def test_the_pictures_of_a_chunk(tiny: ChunkCodec, count: int) -> None:
    """One stream each behind the heads, in the order of coding; every picture says where in time it lies."""
    assert tiny.chunk_frames == LONGEST_CHUNK == 8
    chunk = encode(tiny, moving_planes(1 + count, 32, 48, dx=2), (1, count), 50).chunks[1]
    order = coding_order(count)
    assert len(chunk.streams) == 1 + count
    assert len(chunk.streams[0]) == 2 * count
    for number, (picture, latents) in enumerate(zip(order, chunk.latents.pictures, strict=True)):
        quality, flags = chunk.streams[0][2 * number : 2 * number + 2]
        assert latents.first_frame == picture.position - 1
        assert latents.frame_count == 1
        assert latents.quality == quality - OFFSET_ZERO + 50 == 50 + depth_bonus(count, picture.depth)
        assert latents.mode == flags & ~FLAGS
        assert latents.field is not None
        assert len(latents.field) == len(picture.references)
        if picture.future is None:
            assert latents.choice is None
        else:
            assert latents.choice is not None
            assert latents.choice.shape == (2, 3)
            assert latents.choice.dtype == torch.int32
    assert chunk.latents.anchor is chunk.latents.pictures[0]
    assert chunk.latents.anchor.first_frame == count - 1


@pytest.mark.parametrize("count", [2, 5, 8])
def test_frames_come_out_in_their_order(tiny: ChunkCodec, count: int) -> None:
    """Each is nearest to its own original: a texture that moves far, coded well."""
    frames = moving_planes(1 + count, 48, 80, dy=4, dx=-6)
    coded = encode(tiny, frames, (1, count), 90)
    (_, planes) = synthesise(tiny, decode_latents(tiny, coded))
    errors = (planes.y[:, None] - frames.y[None, 1:]).square().mean((2, 3))
    assert errors.argmin(1).tolist() == list(range(count))


def test_qualities_stay_between_1_and_100(tiny: ChunkCodec) -> None:
    frames = moving_planes(9, 16, 32, dx=1)
    for quality in (1, 100):
        chunk = encode(tiny, frames, (1, 8), quality).chunks[1]
        found = [picture.quality for picture in chunk.latents.pictures]
        wanted = [quality + depth_bonus(8, picture.depth) for picture in coding_order(8)]
        assert found == [max(1, min(100, value)) for value in wanted]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 112), (64, 16), (80, 48)])
def test_frames_of_any_aligned_size(codec: ChunkCodec, height: int, width: int) -> None:
    coded = encode(codec, clip(5, height, width), (1, 4))
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    assert latents[1].anchor.y.shape[1:] == (height // 16, width // 16)
    for planes, chunk in zip(synthesise(codec, latents), coded.chunks, strict=True):
        assert (planes.height, planes.width) == (height, width)
        assert_same(planes, chunk.reconstruction)


def test_history_is_the_last_frame_as_decoded(codec: ChunkCodec) -> None:
    coded = encode(codec, clip(6), (1, 3, 2))
    for chunk in coded.chunks:
        assert_same(chunk.history.reference, chunk.reconstruction[len(chunk.reconstruction) - 1 :])
        assert len(chunk.history.reference) == 1
        assert chunk.history.anchor is chunk.latents.anchor


def test_bytes_and_quality_rise_with_quality() -> None:
    """Of the fixed model: the tiny one is not trained."""
    dct = ChunkCodec(load_model("dct", device=CPU))
    frames = moving_planes(9, 64, 96, dy=1, dx=1)
    points = [(c.size, c.psnr_db) for c in (encode(dct, frames, (1, 4, 4), q) for q in (1, 20, 40, 60, 80, 92))]
    assert points == sorted(points)
    sizes, psnrs = zip(*points, strict=True)
    assert len(set(sizes)) == len(set(psnrs)) == len(points)
    assert psnrs[-1] > 42


def test_the_intra_frame_is_coded_better(codec: ChunkCodec) -> None:
    first, second = encode(codec, clip(5), (1, 4), quality=50).chunks
    assert first.latents.anchor.quality == 50 + INTRA_BONUS
    assert second.latents.anchor.quality == 50 + (depth_bonus(4, 0) if codec.model.inter.uses_motion else 0)
    assert second.latents.anchor.quality < first.latents.anchor.quality
    assert encode(codec, clip(1), (1,), quality=100).chunks[0].latents.anchor.quality == 100


def test_the_intra_frames_latents_are_improved_unless_it_is_told_not_to() -> None:
    """By what decoding makes of them: the shipped model's error and bits, each at what it is worth, are less."""
    codec = ChunkCodec(load_model("stp-s", device=CPU))
    frames = moving_planes(1, 128, 192)
    worth = float(lagrange_lambda(torch.tensor(50 + INTRA_BONUS))) * frames.y.numel()
    cost, streams = [], []
    for rounds in (0, INTRA_ROUNDS):
        coded = codec.choosing(Choices(intra_rounds=rounds, filters=False)).encode(frames, quality=50, history=None)
        error = float(squared_error(coded.reconstruction, frames)[0])
        cost.append(8 * sum(map(len, coded.streams)) + worth * error)
        streams.append(coded.streams)
        latents = codec.decode_latents(
            coded.streams, frame_count=1, height=128, width=192, quality=50, previous=None
        )  # fmt: skip
        assert_equal(latents.anchor, coded.latents.anchor)
    assert cost[1] < 0.98 * cost[0]
    assert codec.choosing(Choices(filters=False)).encode(frames, quality=50, history=None).streams == streams[1]


def test_chunks_of_one_frame_round_trip(tiny: ChunkCodec) -> None:
    """Frames that move, stand and move again: every field is coded by the one before it, also by none."""
    moving, held = moving_planes(4, 48, 80, dx=3), [0, 1, 2, 3, 3, 3, 2, 1]
    frames = moving.map(lambda plane: plane[torch.tensor(held)])
    coded = encode(tiny, frames, (1,) * len(held))
    latents = decode_latents(tiny, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    fields = [picture.field for picture in pictures(latents)[1:]]
    for found, sent in zip(pictures(latents), pictures([chunk.latents for chunk in coded.chunks]), strict=True):
        assert_equal(found, sent)
    assert all(field is not None and len(field) == 1 for field in fields)
    moved = [field is not None and bool(field.any()) for field in fields]
    assert moved[:3] == [True] * 3
    assert moved[5:] == [True] * 2
    for planes, chunk in zip(synthesise(tiny, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)


def with_anchor_field(latents: ChunkLatents, change: float) -> ChunkLatents:
    """The same chunk as if its anchor had moved otherwise."""
    assert latents.anchor.field is not None
    anchor = replace(latents.anchor, field=(latents.anchor.field * change).int())
    return ChunkLatents((anchor, *latents.pictures[1:]))


@pytest.mark.parametrize("count", [1, 4])
def test_a_chunks_motion_needs_the_one_before(tiny: ChunkCodec, count: int) -> None:
    """Read behind another chunk, the same bytes are another field or none at all."""
    coded = encode(tiny, moving_planes(1 + 2 * count, 48, 80, dx=3), (1, count, count))
    intra, first, second = (chunk.latents for chunk in coded.chunks)
    wanted = second.anchor.field
    assert first.anchor.field is not None
    assert first.anchor.field.any()
    assert wanted is not None
    assert wanted.any()
    for previous in (intra, with_anchor_field(first, 0.0)):
        with contextlib.suppress(CorruptFile):
            found = tiny.decode_latents(
                coded.chunks[2].streams, frame_count=count, height=48, width=80, quality=50, previous=previous
            )
            assert found.anchor.field is not None
            assert not torch.equal(found.anchor.field, wanted)


def test_of_the_chunk_before_only_the_anchor_counts(tiny: ChunkCodec) -> None:
    """The pictures between have been shown and may be forgotten."""
    coded = encode(tiny, moving_planes(9, 48, 80, dx=3), (1, 4, 4))
    first, second = coded.chunks[1].latents, coded.chunks[2].latents
    forgotten = ChunkLatents((first.anchor, *(replace(p, y=p.y * 0, z=p.z * 0) for p in first.pictures[1:])))
    found = tiny.decode_latents(
        coded.chunks[2].streams, frame_count=4, height=48, width=80, quality=50, previous=forgotten
    )
    assert digest([found]) == digest([second])


def test_fields_between_follow_from_the_anchors(tiny: ChunkCodec) -> None:
    """A picture without a word about its motion has the fields that uniform motion gives it, and both references."""
    coded = encode(tiny, moving_planes(9, 48, 80, dx=3), (1, 8))
    chunk = coded.chunks[1]
    head = bytearray(chunk.streams[0])
    assert not head[1] & ABSENT
    streams = list(chunk.streams)
    for number in range(1, 8):
        head[2 * number + 1] = SKIP | ABSENT
        streams[1 + number] = b"\0"
    streams[0] = bytes(head)
    found = decode_latents(tiny, coded, [coded.chunks[0].streams, tuple(streams)])[1]
    assert_equal(found.anchor, chunk.latents.anchor)
    fields: dict[int, torch.Tensor] = {}
    for picture, latents in zip(coding_order(8), found.pictures, strict=True):
        assert latents.field is not None
        fields[picture.position] = latents.field
        if picture.future is None:
            continue
        past, _ = predicted_past(picture, fields)
        assert torch.equal(latents.field, torch.stack((past, predicted_future(picture, past))))
        assert latents.choice is not None
        assert not latents.choice.any()
        assert not latents.y.any()
        assert not latents.z.any()
    assert fields[4].any()
    assert fields[4].abs().max() < fields[8].abs().max()
    planes, _ = tiny.synthesise(found, history=coded.chunks[0].history)
    assert len(planes) == 8


@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_every_quality_round_trips(codec: ChunkCodec, quality: int) -> None:
    coded = encode(codec, clip(5), (1, 4), quality)
    assert digest(decode_latents(codec, coded)) == digest([chunk.latents for chunk in coded.chunks])


@given(seed=st.integers(0, 10**6), quality=st.integers(1, 100))
def test_noise_round_trips(codec: ChunkCodec, seed: int, quality: int) -> None:
    """The worst there is to code: escapes, large motion, no correlation."""
    random = torch.Generator().manual_seed(seed)
    frames = Planes(*(torch.rand(4, size, size, generator=random).round() for size in (32, 16, 16)))
    coded = encode(codec, frames, (1, 3), quality)
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for planes, chunk in zip(synthesise(codec, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)


def test_still_frames_are_coded_as_a_difference_by_dct() -> None:
    """Four more frames of what stands still cost less than half of the first: its own rounding errors."""
    dct = ChunkCodec(load_model("dct", device=CPU))
    picture = moving_planes(1, 64, 96)
    still = Planes(*(plane.expand(5, -1, -1) for plane in (picture.y, picture.u, picture.v)))
    first, second = encode(dct, still, (1, 4)).chunks
    assert second.latents.anchor.mode == 1
    assert len(second.streams[1]) < 0.4 * len(first.streams[1])
    moving = encode(dct, moving_planes(5, 64, 96, dx=3), (1, 4)).chunks[1]
    assert len(second.streams[1]) < 0.2 * len(moving.streams[1])


@pytest.mark.parametrize("count", [1, 4])
def test_motion_is_found_coded_and_used(tiny: ChunkCodec, count: int) -> None:
    """The decoded field is the one that was searched, and still frames have the flag instead of fields."""
    plain = tiny.choosing(replace(tiny.choices, filters=False))
    moving = encode(plain, moving_planes(1 + count, 48, 80, dx=3), (1, count), 44).chunks[1]
    field = moving.latents.anchor.field
    assert field is not None
    assert (field[0, 1, 1:4, 3:8] + 12 * count).abs().median() <= 2
    assert not moving.streams[0][1] & ABSENT
    first = tiny.encode(moving_planes(1, 48, 80, dx=0), quality=50, history=None)
    frozen = first.reconstruction.map(lambda plane: plane.expand(count, -1, -1))
    still = tiny.encode(frozen[:1], quality=50, history=first.history)
    assert still.latents.anchor.field is not None
    assert not still.latents.anchor.field.any()
    assert still.streams[0][1] & ABSENT


def test_frames_that_stand_still_are_absent_motion_all_of_them(
    tiny: ChunkCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded without an error: nothing is left to move to, nor a reference to prefer."""
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", ALWAYS)
    first = tiny.encode(moving_planes(1, 48, 80, dx=0), quality=50, history=None)
    frozen = first.reconstruction.map(lambda plane: plane.expand(8, -1, -1))
    still = tiny.encode(frozen, quality=50, history=first.history)
    assert list(still.streams[0][1::2]) == [SKIP | ABSENT] * 8
    assert sum(len(stream) for stream in still.streams[1:]) <= 8
    for picture in still.latents.pictures:
        assert picture.field is not None
        assert not picture.field.any()
        assert picture.choice is None or not picture.choice.any()
    assert_same(still.reconstruction, frozen, 1e-5)


def test_what_was_covered_comes_from_the_other_side(tiny: ChunkCodec) -> None:
    """A square jumps over a still background: choices are coded, decoded and used, and pay."""
    background = moving_planes(1, 96, 128, seed=1)
    thing = torch.nn.functional.avg_pool2d(torch.rand(1, 36, 36, generator=torch.Generator().manual_seed(0)), 5, 1)[0]
    frames = background.map(lambda plane: plane.expand(3, -1, -1).clone())
    for t in range(3):
        frames.y[t, 32:64, 16 + 32 * t : 48 + 32 * t] = thing
    coded = encode(tiny, frames, (1, 2), 80)
    latents = decode_latents(tiny, coded)
    middle = latents[1].pictures[1]
    assert middle.choice is not None
    assert (middle.choice[2:4, 1:3] == ONLY_FUTURE).any()
    assert (middle.choice[2:4, 5:7] == ONLY_PAST).any()
    assert (middle.choice == BOTH).any()
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    both = replace(middle, choice=torch.zeros_like(middle.choice))
    errors = []
    for picture in (middle, both):
        planes, _ = tiny.synthesise(
            ChunkLatents((latents[1].anchor, picture)), history=coded.chunks[0].history
        )  # fmt: skip
        errors.append(float((planes.y[0] - frames.y[1]).square().mean()))
    assert errors[0] < errors[1]


def test_bytes_are_deterministic(codec: ChunkCodec) -> None:
    one, two = (encode(codec, clip(6), (1, 4, 1)) for _ in range(2))
    assert [chunk.streams for chunk in one.chunks] == [chunk.streams for chunk in two.chunks]


def test_a_golden_dct_segment() -> None:
    """Made once of a picture of flat blocks: these bytes decode to these integers and these pixels for ever.

    What an encoder makes of a picture may change; what a decoder makes of bytes may only with the format version.
    """
    dct = ChunkCodec(load_model("dct", device=CPU))
    latents: list[ChunkLatents] = []
    for count, head, body in GOLDEN_DCT:
        latents.append(dct.decode_latents(
            (bytes.fromhex(head), bytes.fromhex(body)), frame_count=count, height=32, width=32, quality=40,
            previous=latents[-1] if latents else None,
        ))  # fmt: skip
    assert digest(latents) == GOLDEN_DCT_HASH
    y = torch.full((5, 32, 32), 0.25)
    y[:, :, 16:] = 0.75
    y[2:, 8:16, 4:12] = 1.0
    original = Planes(y, torch.full((5, 16, 16), 0.4), torch.full((5, 16, 16), 0.7))
    first, second = synthesise(dct, latents)
    assert psnr_db(first, original[:1]) > 53
    assert psnr_db(second, original[1:]) > 44


def test_synthesis_in_half_precision_has_the_same_latents(tiny: ChunkCodec, tiny_weights: Path) -> None:
    """Pixels may differ, integers must not: both ways round."""
    half = ChunkCodec(load_model(tiny_weights, device=CPU, dtype=torch.bfloat16))
    for writer, reader in ((tiny, half), (half, tiny)):
        coded = encode(writer, clip(4, 32, 48), (1, 1, 2))
        latents = decode_latents(reader, coded)
        assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
        for planes, chunk in zip(synthesise(reader, latents), coded.chunks, strict=True):
            assert psnr_db(planes, chunk.reconstruction) > 35


def test_threads_do_not_change_what_is_decoded(tiny: ChunkCodec) -> None:
    coded = encode(tiny, clip(9, 96, 160), (1, 4, 4))
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.add(digest(decode_latents(tiny, coded)))
    finally:
        torch.set_num_threads(before)
    assert found == {digest([chunk.latents for chunk in coded.chunks])}


def test_pictures_side_by_side_are_the_same_as_one_after_the_other(tiny: ChunkCodec) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(encode(tiny, clip(9), (1, 8)))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found[0].chunks, found[1].chunks, strict=True):
        assert_same(one.reconstruction, other.reconstruction, 1e-3)
    for coded in found:
        assert digest(decode_latents(tiny, coded)) == digest([chunk.latents for chunk in coded.chunks])
        positions = [picture.first_frame for picture in coded.chunks[1].latents.pictures]
        assert positions == [picture.position - 1 for picture in coding_order(8)]


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["dct", "tiny"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_and_a_cpu_read_each_other(name: str, dtype: torch.dtype, tiny_weights: Path) -> None:
    source = tiny_weights if name == "tiny" else "dct"
    cpu = ChunkCodec(load_model(source, device=CPU))
    gpu = ChunkCodec(load_model(source, device=torch.device("cuda"), dtype=dtype))
    for writer, reader in ((cpu, gpu), (gpu, cpu)):
        coded = encode(writer, clip(9, 96, 160), (1, 4, 4))
        latents = decode_latents(reader, coded)
        assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
        for planes, chunk in zip(synthesise(reader, latents), coded.chunks, strict=True):
            assert psnr_db(planes.to("cpu"), chunk.reconstruction.to("cpu")) > (60 if dtype == torch.float32 else 35)


def test_an_autocast_around_the_codec_changes_nothing(tiny: ChunkCodec) -> None:
    """A caller's own mixed precision must not reach the integer prior."""
    coded = encode(tiny, clip(5), (1, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert digest(decode_latents(tiny, coded)) == digest([chunk.latents for chunk in coded.chunks])


def test_other_weights_decode_to_something_else(tiny: ChunkCodec, tmp_path: Path) -> None:
    """Why the file names its weights."""
    other = ChunkCodec(load_model(write_tiny_weights(tmp_path, seed=6), device=CPU))
    coded = encode(tiny, clip(5), (1, 4))
    try:
        found = digest(decode_latents(other, coded))
    except CorruptFile:
        return
    assert found != digest([chunk.latents for chunk in coded.chunks])


def damage_source(codec: ChunkCodec) -> Coded:
    """Chunks of 1, 4 and (where there are such) 8 frames."""
    if id(codec) not in _CODED:
        lengths = (1, 4, 8) if codec.chunk_frames == 8 else (1, 4)
        _CODED[id(codec)] = encode(codec, clip(sum(lengths), 32, 48), lengths)
    return _CODED[id(codec)]


_CODED: dict[int, Coded] = {}


@given(data=st.data())
def test_damaged_streams_are_refused_or_decode_to_other_latents(codec: ChunkCodec, data: st.DataObject) -> None:
    """Nothing but CorruptFile may come out, and what decodes must still be synthesised without a crash."""
    coded = damage_source(codec)
    streams = [list(chunk.streams) for chunk in coded.chunks]
    for _ in range(data.draw(st.integers(1, 3))):
        chunk = streams[data.draw(st.integers(0, len(streams) - 1))]
        number = data.draw(st.integers(0, len(chunk) - 1))
        stream = bytearray(chunk[number])
        for _ in range(data.draw(st.integers(1, 4))):
            if stream:
                stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
        chunk[number] = bytes(stream[: data.draw(st.sampled_from([len(stream), len(stream) // 2]))])
    try:
        latents = decode_latents(codec, coded, [tuple(chunk) for chunk in streams])
    except CorruptFile:
        return
    for planes, count in zip(synthesise(codec, latents), coded.lengths, strict=True):
        assert len(planes) == count
        assert all(bool(torch.isfinite(plane).all()) for plane in (planes.y, planes.u, planes.v))


@given(data=st.data())
def test_streams_of_other_pictures_are_refused_or_decode_to_something(tiny: ChunkCodec, data: st.DataObject) -> None:
    """Whole and sound, but in the wrong places: exchanged within a chunk and between chunks."""
    coded = damage_source(tiny)
    bodies = [stream for chunk in coded.chunks for stream in chunk.streams[1:]]
    shuffled = data.draw(st.permutations(bodies))
    streams, at = [], 0
    for chunk in coded.chunks:
        count = len(chunk.streams) - 1
        streams.append((chunk.streams[0], *shuffled[at : at + count]))
        at += count
    try:
        latents = decode_latents(tiny, coded, streams)
    except CorruptFile:
        return
    synthesise(tiny, latents)


def test_every_cut_is_refused(codec: ChunkCodec) -> None:
    coded = damage_source(codec)
    for which, chunk in enumerate(coded.chunks):
        for number, body in enumerate(chunk.streams):
            cuts = {0, 1, 2, 5, len(body) // 2, len(body) - 1} if number else set(range(len(body)))
            for cut in cuts & set(range(len(body))):
                streams = [list(other.streams) for other in coded.chunks]
                streams[which][number] = body[:cut]
                with pytest.raises(CorruptFile):
                    decode_latents(codec, coded, [tuple(part) for part in streams])


@given(noise=st.lists(st.binary(max_size=300), min_size=1, max_size=4), head=st.binary(min_size=0, max_size=8))
def test_noise_instead_of_streams(codec: ChunkCodec, noise: list[bytes], head: bytes) -> None:
    source = damage_source(codec).chunks
    for previous in (None, *(chunk.latents for chunk in source[:2])):
        with contextlib.suppress(CorruptFile):
            found = codec.decode_latents(
                (head, *noise), frame_count=len(noise), height=32, width=48, quality=50, previous=previous
            )
            assert found.frame_count == len(noise)
            assert all(picture.y.shape[1:] == (2, 3) for picture in found.pictures)


IMPOSSIBLE: dict[str, tuple[tuple[bytes, ...], int]] = {
    "no streams": ((), 1),
    "one empty stream": ((b"",), 1),
    "no body": ((b"\x80\x00",), 1),
    "three streams": ((b"\x80\x00", b"", b""), 1),
    "short head": ((b"\x80", b""), 1),
    "quality -78": ((b"\x00\x00", b""), 1),
    "quality 177": ((b"\xff\x00", b""), 1),
    "no frames": ((b"\x80\x00", b""), 0),
    "two intra frames": ((b"\x80\x00", b""), 2),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_impossible_chunks(codec: ChunkCodec, case: str) -> None:
    streams, frame_count = IMPOSSIBLE[case]
    with pytest.raises(CorruptFile) as caught:
        codec.decode_latents(streams, frame_count=frame_count, height=48, width=80, quality=50, previous=None)
    assert "\n" not in str(caught.value)


@pytest.fixture
def chequered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random network is said to help in every second region: by itself it helps nowhere."""
    calls = []

    def errors(decoded: Planes, original: Planes, block: int) -> Tensor:
        rows, columns = region_shape(original.height, original.width)
        calls.append(1)
        return 1e6 * ((torch.arange(rows)[:, None] + torch.arange(columns) + len(calls)) % 2)[None].float()

    monkeypatch.setattr(picture_module, "squared_error_map", errors)
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", NEVER)


@pytest.mark.usefixtures("chequered")
def test_a_picture_may_use_the_network_in_some_regions(tiny: ChunkCodec) -> None:
    """There it is what it is with the network everywhere, elsewhere as without; and it is decoded as it was encoded."""
    coded = encode(tiny.choosing(replace(tiny.choices, filters=False)), clip(4, 144, 208), (1, 3))
    found = decode_latents(tiny, coded)
    assert digest(found) == digest([chunk.latents for chunk in coded.chunks])
    anchor = found[1].anchor
    assert anchor.mode == MIXED
    assert anchor.regions is not None
    assert anchor.regions.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    for planes, chunk in zip(synthesise(tiny, found), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)
    luma = []
    for mode, regions in ((MIXED, anchor.regions), (0, None), (PLAIN, None)):
        alone = ChunkLatents((replace(anchor, mode=mode, regions=regions, first_frame=0),))
        luma.append(tiny.synthesise(alone, history=coded.chunks[0].history)[0].y[0])
    mixed, network, linear = luma
    assert torch.equal(mixed[:64, 64:128], network[:64, 64:128])
    assert torch.equal(mixed[128:, 192:], network[128:, 192:])
    assert torch.equal(mixed[:64, :64], linear[:64, :64])
    assert not torch.equal(network, linear)


def test_pictures_of_one_region_say_nothing_of_regions(tiny: ChunkCodec) -> None:
    for picture in pictures([chunk.latents for chunk in encode(tiny, clip(4, 48, 64), (1, 3)).chunks]):
        assert picture.regions is None
        assert picture.mode != MIXED


@pytest.mark.usefixtures("chequered")
def test_regions_of_an_unknown_kind_are_refused(tiny: ChunkCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = encode(tiny, clip(2, 144, 208), (1, 1))
    assert coded.chunks[1].latents.anchor.mode == MIXED
    monkeypatch.setattr(picture_module, "decode_choice", lambda coder, tables, h, w: torch.full((h, w), 2))
    with pytest.raises(CorruptFile, match="a region of a kind"):
        decode_latents(tiny, coded)


MODES = {"intra": {0}, "inter": {0, PLAIN, MIXED, SKIP}, "dct intra": {0}, "dct inter": {0, 1}}


@pytest.mark.parametrize("kind", MODES)
def test_unknown_modes_are_refused(kind: str, tiny: ChunkCodec) -> None:
    """All 64: what no encoder writes must not be taken for something else. Of anchors and of pictures between."""
    codec = ChunkCodec(load_model("dct", device=CPU)) if kind.startswith("dct") else tiny
    intra, inter = encode(codec, clip(3, 32, 48), (1, 2)).chunks
    chunk, count, previous = (intra, 1, None) if kind.endswith("intra") else (inter, 2, intra.latents)

    def decode(number: int, mode: int) -> PictureLatents:
        head = bytearray(chunk.streams[0])
        head[2 * number + 1] = head[2 * number + 1] & (FLAGS & ~LEVELLED) | mode
        found = codec.decode_latents(
            (bytes(head), *chunk.streams[1:]), frame_count=count, height=32, width=48, quality=50, previous=previous
        )
        return found.pictures[number]

    for number, sent in enumerate(chunk.latents.pictures):
        assert decode(number, sent.mode).mode == sent.mode in MODES[kind]
        for mode in {mode for mode in range(128) if not mode & FLAGS} - MODES[kind]:
            with pytest.raises(CorruptFile, match=f"a picture of mode {mode}, which there is not"):
                decode(number, mode)
        for mode in MODES[kind]:
            with contextlib.suppress(CorruptFile):  # the stream is another mode's
                assert decode(number, mode).mode == mode


def weighed(codec: ChunkCodec, frames: Planes, lengths: tuple[int, ...], weights: list[Tensor | None]) -> Coded:
    """As `encode`, with what errors in the patches of each chunk count."""
    chunks, history, start = [], None, 0
    for count, counts in zip(lengths, weights, strict=True):
        part = frames[start : start + count]
        chunk = codec.begin(part, quality=50, history=history, weights=counts)
        for picture in chunk.order:
            chunk.code(picture)
        chunks.append(chunk.result())
        history, start = chunks[-1].history, start + count
    return Coded(lengths, chunks, frames, 50)


def counting(left: float, right: float) -> Tensor:
    """Weights of 64×96 samples."""
    return torch.tensor([left] * 2 + [1.0] * 2 + [right] * 2).repeat(4, 1)


def test_levels_hold_until_others_are_said(codec: ChunkCodec) -> None:
    """Of every chunk: by its first picture alone, and only where they change."""
    one, two, alike = counting(4, 0.25), counting(1, 4), torch.ones(4, 6)
    coded = weighed(codec, clip(13, 64, 96), (1, 4, 4, 2, 2), [one, one, two, alike, None])
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    expected = [[5, 0, -5], [5, 0, -5], [0, 0, 5], [0, 0, 0], [0, 0, 0]]
    said_with = (True, False, True, True, False)
    for chunk, found, levels, said in zip(coded.chunks, latents, expected, said_with, strict=True):
        for number, picture in enumerate(found.pictures):
            assert picture.levels is not None
            assert picture.levels.tolist() == [levels, levels]
            assert bool(chunk.streams[0][2 * number + 1] & LEVELLED) == (said and number == 0)
    for planes, chunk in zip(synthesise(codec, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)


def test_levels_of_nought_are_not_said_and_change_nothing(codec: ChunkCodec) -> None:
    frames = clip(6, 64, 96)
    plain, alike = (weighed(codec, frames, (1, 4, 1), [weights] * 3) for weights in (None, torch.ones(4, 6)))
    assert [chunk.streams for chunk in plain.chunks] == [chunk.streams for chunk in alike.chunks]
    assert all(picture.levels is None for chunk in alike.chunks for picture in chunk.latents.pictures)


@pytest.mark.parametrize("name", ["dct", "stp-s"])
def test_errors_go_where_they_count_less(name: str) -> None:
    codec = ChunkCodec(load_model(name, device=CPU))
    frames = clip(6, 64, 96)
    errors = []
    for weights in (counting(4, 0.25), counting(0.25, 4)):
        coded = weighed(codec, frames, (1, 4, 1), [weights] * 3)
        made = torch.cat([chunk.reconstruction.y for chunk in coded.chunks])
        square = (made - frames.y).square()
        errors.append((float(square[:, :, :32].sum()), float(square[:, :, -32:].sum())))
    assert errors[0][0] < 0.6 * errors[1][0]
    assert errors[1][1] < 0.6 * errors[0][1]


def test_a_tilted_codec_reads_what_it_wrote(tiny: ChunkCodec) -> None:
    tilted, frames = tiny.tilted(6), clip(6, 64, 96)
    assert tilted.tilted(6) is tilted
    coded = weighed(tilted, frames, (1, 4, 1), [counting(4, 1)] * 3)
    latents = decode_latents(tilted, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for planes, chunk in zip(synthesise(tilted, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)
    plain = weighed(tiny, frames, (1, 4, 1), [counting(4, 1)] * 3)
    assert [chunk.streams for chunk in plain.chunks] != [chunk.streams for chunk in coded.chunks]


def test_a_tilt_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(CorruptFile, match="a tilt of 3, which model dct does not have"):
        ChunkCodec(load_model("dct", device=CPU)).tilted(3)


def filtered_and_not(codec: ChunkCodec) -> tuple[Coded, Coded]:
    frames = clip(6, 64, 96)
    plain = codec.choosing(replace(codec.choices, filters=False))
    return encode(codec, frames, (1, 4, 1)), encode(plain, frames, (1, 4, 1))


def test_loop_filters_are_decoded_as_they_were_encoded(tiny: ChunkCodec) -> None:
    """Said, kept or left out; what the flags and the integers say is what the pixels show."""
    coded, plain = filtered_and_not(tiny)
    latents = decode_latents(tiny, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for planes, chunk in zip(synthesise(tiny, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)
    flags = [flag for chunk in coded.chunks for flag in chunk.streams[0][1::2]]
    pictures = [picture for chunk in coded.chunks for picture in chunk.latents.pictures]
    assert any(flag & FILTER_SAID for flag in flags)
    for flag, picture in zip(flags, pictures, strict=True):
        assert bool(flag & FILTERED) == picture.filtered
        assert not flag & FILTER_SAID or flag & FILTERED
    assert not any(flag & (FILTERED | FILTER_SAID) for chunk in plain.chunks for flag in chunk.streams[0][1::2])
    errors = []
    for each in (coded, plain):
        parts = each.original[:1], each.original[1:5], each.original[5:]
        made = zip(each.chunks, parts, strict=True)
        errors.append(sum(float(squared_error(chunk.reconstruction, part).sum()) for chunk, part in made))
    assert errors[0] < 0.95 * errors[1]


def test_a_filter_holds_until_another_is_said(tiny: ChunkCodec) -> None:
    """Of an anchor that of the anchor before, of others that of their guide; also past pictures that go without."""
    coded, _ = filtered_and_not(tiny)
    held = None
    for chunk in coded.chunks:
        said = chunk.streams[0][1::2]
        known = {0: held}
        for picture, flag, found in zip(coding_order(len(said)), said, chunk.latents.pictures, strict=True):
            before = known[picture.guide] if picture.depth else held
            if not flag & FILTER_SAID:
                assert (found.loop_filter is None) == (before is None)
                assert before is None or torch.equal(found.loop_filter, before)
            known[picture.position] = found.loop_filter
        held = chunk.latents.anchor.loop_filter


def test_filters_that_cannot_be_are_refused(codec: ChunkCodec) -> None:
    coded = encode(codec.choosing(replace(codec.choices, filters=False)), clip(1, 64, 96), (1,))
    (chunk,) = coded.chunks
    for flags in (FILTERED, FILTER_SAID):
        head = bytes((chunk.streams[0][0], chunk.streams[0][1] | flags))
        with pytest.raises(CorruptFile, match="a loop filter which there is not"):
            codec.decode_latents(
                (head, *chunk.streams[1:]), frame_count=1, height=64, width=96, quality=50, previous=None
            )


def test_roundings_do_not_grow_through_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures behind pictures, each filtered: computed in two ways they differ by what numbers are rounded by, and a
    little more with every picture, not by a share of what they differed by before."""
    codec = ChunkCodec(load_model("stp-s", device=CPU))
    lengths = (1,) * 17
    coded = encode(codec.choosing(replace(codec.choices, patience=0, intra_rounds=0)), clip(17, 64, 96), lengths)
    assert sum(chunk.latents.anchor.filtered for chunk in coded.chunks) > 2
    latents = decode_latents(codec, coded)
    compiled = synthesise(codec, latents)
    monkeypatch.setattr(loop_filter_module, "_is_compiled", lambda frames: False)
    for one, other in zip(compiled, synthesise(codec, latents), strict=True):
        assert float((one.y - other.y).abs().max()) < 0.02 / 255


def test_filters_are_part_of_the_hash(tiny: ChunkCodec) -> None:
    picture = filtered_and_not(tiny)[0].chunks[0].latents.anchor
    assert picture.loop_filter is not None
    found = {
        digest([ChunkLatents((replace(picture, loop_filter=other, filtered=used),))])
        for other, used in ((picture.loop_filter, True), (-picture.loop_filter, True), (picture.loop_filter, False))
    }
    assert len(found) == 3


def test_levels_are_part_of_the_hash(tiny: ChunkCodec) -> None:
    (chunk,) = weighed(tiny, clip(1, 64, 96), (1,), [counting(4, 1)]).chunks
    picture = chunk.latents.anchor
    assert picture.levels is not None
    found = {
        digest([ChunkLatents((replace(picture, levels=levels),))]) for levels in (picture.levels, -picture.levels, None)
    }
    assert len(found) == 3


def test_calls_that_are_wrong(codec: ChunkCodec) -> None:
    with pytest.raises(ValueError, match="a chunk of 2 frames"):
        codec.encode(clip(2), quality=50, history=None)
    history = codec.encode(clip(1), quality=50, history=None).history
    for count in (0, codec.chunk_frames + 1):
        with pytest.raises(ValueError, match=f"a chunk of {count} frames"):
            codec.encode(clip(9)[:count], quality=50, history=history)
    with pytest.raises(ValueError, match="80×40 are not padded"):
        codec.encode(clip(1, 40, 80), quality=50, history=None)


@pytest.mark.parametrize("count", [0, 9, 300])
def test_a_chunk_of_too_many_frames_is_refused(codec: ChunkCodec, count: int) -> None:
    """Before anything is made for them."""
    previous = damage_source(codec).chunks[0].latents
    streams = (b"\x80\x00" * count, *(b"\0",) * count)
    with pytest.raises(CorruptFile, match=f"a chunk of {count} frames where at most {codec.chunk_frames} can be"):
        codec.decode_latents(streams, frame_count=count, height=32, width=48, quality=50, previous=previous)


@pytest.mark.parametrize("streams", [1, 3, 4, 6], ids=lambda count: f"{count} streams")
def test_every_picture_has_one_stream(tiny: ChunkCodec, streams: int) -> None:
    coded = damage_source(tiny)
    whole = (*coded.chunks[1].streams, b"\0")
    with pytest.raises(CorruptFile, match=f"a chunk of {streams} streams"):
        decode_latents(tiny, replace(coded, lengths=(1, 4)), [coded.chunks[0].streams, whole[:streams]])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_default_model_codes(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own weights, on an intra frame and a chunk of four. Shown are the frames that a decoder has, though
    an encoder makes do with less for those that nothing is predicted from."""
    monkeypatch.setenv("STPCODEC_DTYPE", dtype)
    codec = ChunkCodec(load_model(None, device=CPU))
    frames = moving_planes(5, 64, 96, dx=2)
    coded = encode(codec, frames, (1, 4))
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for planes, chunk in zip(synthesise(codec, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)
    assert coded.psnr_db > 32
    assert coded.size * 8 / (5 * 64 * 96) < 0.5


def test_a_picture_may_leave_out_its_latents(tiny: ChunkCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped where errors cost nothing, never where they cost everything; a skipped picture is its prediction."""
    frames = clip(6)
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", ALWAYS)
    skipped = encode(tiny, frames, (1, 1, 4))
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", NEVER)
    coded = encode(tiny, frames, (1, 1, 4))
    modes = [picture.mode for picture in pictures([chunk.latents for chunk in skipped.chunks])]
    assert modes == [0] + [SKIP] * 5
    assert any(picture.mode != SKIP for picture in pictures([chunk.latents for chunk in coded.chunks])[1:])
    for picture in pictures([chunk.latents for chunk in skipped.chunks])[1:]:
        assert not picture.y.any()
        assert not picture.z.any()
    for segment in (skipped, coded):
        latents = decode_latents(tiny, segment)
        assert digest(latents) == digest([chunk.latents for chunk in segment.chunks])
        for chunk, planes in zip(segment.chunks, synthesise(tiny, latents), strict=True):
            assert_same(planes, chunk.reconstruction, 1e-6)


@pytest.mark.parametrize("judged", [True, False])
def test_pictures_that_nothing_is_predicted_from_are_judged_or_not(
    tiny: ChunkCodec, judged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a chunk of four, two: without judgement neither is synthesised, none has another mode, and all decodes."""
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", NEVER)
    sizes: list[int] = []
    alternatives = LearnedTransform.alternatives

    def counted(self: LearnedTransform, y: Tensor, *args: Any) -> list[tuple[Planes, int]]:
        sizes.append(y.shape[2])
        return alternatives(self, y, *args)

    monkeypatch.setattr(LearnedTransform, "alternatives", counted)
    segment = encode(tiny.choosing(replace(tiny.choices, judged=judged)), clip(6), (1, 1, 4))
    assert len(sizes) == (6 if judged else 4)
    chunk = segment.chunks[-1]
    assert judged or {picture.mode for picture in chunk.latents.pictures[2:]} <= {0, SKIP}
    latents = decode_latents(tiny, segment)
    assert digest(latents) == digest([chunk.latents for chunk in segment.chunks])
    for chunk, planes in zip(segment.chunks, synthesise(tiny, latents), strict=True):
        assert_same(planes, chunk.reconstruction, 1e-6)


def test_without_a_synthesis_latents_tell_what_is_left_out() -> None:
    """By the default model: of five other pictures no latents are left out, of one that stands still all are."""
    codec = ChunkCodec(load_model("stp-s", device=CPU))
    others = join_frames([moving_planes(1, 64, 96, seed=number) for number in range(5)])
    for frames, skipped in ((others, False), (moving_planes(5, 64, 96), True)):
        for judged in (True, False):
            segment = encode(codec.choosing(replace(codec.choices, judged=judged)), frames, (1, 4), 70)
            leaves = segment.chunks[1].latents.pictures[2:]
            assert [picture.mode == SKIP for picture in leaves] == [skipped] * 2


@pytest.mark.parametrize("count", [1, 4])
def test_of_two_syntheses_the_nearer_is_taken(tiny: ChunkCodec, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode says which, and the decoder obeys it; of pictures between two references as of anchors."""
    monkeypatch.setattr(picture_module, "SKIP_CAUTION", NEVER)
    segment = encode(tiny, clip(5), (1, *(count,) * (4 // count)))
    previous, seen = None, []
    for number, chunk in enumerate(segment.chunks):
        for place, picture in enumerate(chunk.latents.pictures if number else ()):
            wanted = segment.original[1 + (number - 1) * count + picture.first_frame :][:1]
            assert picture.mode in (0, PLAIN, SKIP)
            if picture.mode == SKIP:
                continue
            errors = {}
            for mode in (0, PLAIN):
                changed = list(chunk.latents.pictures)
                changed[place] = replace(picture, mode=mode)
                planes, _ = tiny.synthesise(ChunkLatents(tuple(changed)), history=previous)
                errors[mode] = picture_module._error(planes[picture.first_frame :][:1], wanted, None)
            assert errors[picture.mode] == pytest.approx(min(errors.values()))
            seen.append(place)
        previous = chunk.history
    assert seen
    assert count == 1 or max(seen) > 0, "also between two references"


def test_what_two_references_disagree_about_reaches_the_synthesis(tiny: ChunkCodec) -> None:
    """Two decoded frames with the same mean are the same prediction, but not the same picture."""
    coded = encode(tiny, moving_planes(3, 48, 80), (1, 2))
    middle = replace(coded.chunks[1].latents.pictures[1], mode=0)
    assert middle.field is not None
    middle = replace(middle, field=torch.zeros_like(middle.field), choice=torch.zeros_like(middle.choice))  # type: ignore[arg-type]
    base = coded.chunks[1].reconstruction[:1].map(lambda plane: plane * 0.5 + 0.25)
    results = []
    for apart in (0.0, 0.1):
        pair = (base.map(lambda plane, d=apart: plane - d), base.map(lambda plane, d=apart: plane + d))  # type: ignore[misc]
        results.append([tiny.synthesise_picture(tiny.model.inter, replace(middle, mode=m), pair) for m in (0, PLAIN)])
    assert float((results[0][0].y - results[1][0].y).abs().max()) > 1e-4
    assert_same(results[0][1], results[1][1], 1e-6)


GOLDEN_DCT = [
    (
        1, "8800",
        "2388c7c6beab74170d34dda2b538b3414ad200472f3d35c8d329bcd3a41200e1b61add15ecf0323ffafee7715b8864b40cd9"
        "544e0ac0e6054fc057b37b65a3700c755a0ed73fdb049c447d06c738f062fe0bf3e3308227c7f06d26075b2b6040fe6b0563"
        "5e78f635cb003a917ffdc8b2cc2795f0802b7a7409abc770bdae69f6de41d7b60da3c829d500d4503b",
    ),
    (
        4, "8081",
        "45b8904dcb3e3f95272bd26524996ee69073857285f316c74ef284c6091998f8253de4f697b066f51a4796096970ae589274"
        "6a0ee43dbfd9b584bc6fa41936be6fa2a21ac319d20259bf59f1ab858eb89b6af868288c151e1b5b09ce1b5ac2d35dbc7710"
        "4014ed00262106974f23b10f5670a0ac2327db6b205b2532553c43e044af5be82547b105730457ee1707be7d0511fc5698e7"
        "f3fc0961e27f5782d0712da464565ae3979bc45ff6634741cfa3e53b184bcde73f9038ba6f399998fcd4ea351d70d63f25f4"
        "4bbc5e3e9d62b26b2dad5827b4ce21ac253515e8c784faa048cec3addb03e0ff076ea1f4b372a1a38b84268458b5aa0dd197"
        "1d957444c6934d2345f77de7dededbd564671050124f364dbd9e09",
    ),
]  # fmt: skip
GOLDEN_DCT_HASH = "9bdc530aa304c05cee6ba35a31204884"


def test_a_decoded_chunk_is_not_kept_by_the_next(tiny: ChunkCodec) -> None:
    """What history needs is the last frame: of large ones, a chunk takes a hundred megabytes."""
    coded = encode(tiny, moving_planes(5, 48, 64, dx=1), (1, 4))
    history: History | None = None
    for chunk in coded.chunks:
        frames, history = tiny.synthesise(chunk.latents, history=history)
        for plane, last in ((frames.y, history.reference.y), (frames.u, history.reference.u)):
            assert torch.equal(plane[-1:], last)
            assert last.untyped_storage().nbytes() == last.numel() * last.element_size()
