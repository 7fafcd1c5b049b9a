"""The chunk codec on real bytes, with the fixed model and a very small learned one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.codec import chunk as chunk_module
from stpcodec.codec.chunk import INTRA_BONUS, ChunkCodec, EncodedChunk, History
from stpcodec.errors import CorruptFile
from stpcodec.latents.chunk import ChunkLatents
from stpcodec.model.learned import PLAIN
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from stpcodec.training.export import export_weights
from tests.tiny_model import TINY, moving_planes, psnr_db, tiny_network, tiny_tables, write_tiny_weights

CPU = torch.device("cpu")


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


def clip(count: int, height: int = 48, width: int = 80) -> Planes:
    """Moves, and holds still for its last chunk."""
    moving = moving_planes(max(1, count - 3), height, width, dy=1, dx=2)
    still = moving[torch.tensor([len(moving) - 1] * (count - len(moving)), dtype=torch.long)]
    return Planes(*(torch.cat((getattr(moving, n), getattr(still, n))) for n in ("y", "u", "v")))


def assert_same(one: Planes, other: Planes, tolerance: float = 0.0) -> None:
    for name in ("y", "u", "v"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=tolerance, rtol=0)


@pytest.mark.parametrize("lengths", [(1,), (1, 1), (1, 2), (1, 3), (1, 4), (1, 4, 4), (1, 4, 2, 4, 1), (1, 1, 1, 3)])
def test_segments_of_any_length_round_trip(codec: ChunkCodec, lengths: tuple[int, ...]) -> None:
    coded = encode(codec, clip(sum(lengths)), lengths)
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for number, (found, sent) in enumerate(zip(latents, [chunk.latents for chunk in coded.chunks], strict=True)):
        assert set(found.arrays()) == set(sent.arrays())
        for name, array in found.arrays().items():
            assert (array == sent.arrays()[name]).all(), (number, name)
        assert (found.frame_count, found.intra) == (lengths[number], number == 0)
    for planes, chunk, count in zip(synthesise(codec, latents), coded.chunks, lengths, strict=True):
        assert len(planes) == len(chunk.reconstruction) == count
        assert_same(planes, chunk.reconstruction)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 112), (64, 16), (80, 48)])
def test_frames_of_any_aligned_size(codec: ChunkCodec, height: int, width: int) -> None:
    coded = encode(codec, clip(5, height, width), (1, 4))
    latents = decode_latents(codec, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    assert latents[1].y.shape[1:] == (height // 16, width // 16)
    for planes, chunk in zip(synthesise(codec, latents), coded.chunks, strict=True):
        assert (planes.height, planes.width) == (height, width)
        assert_same(planes, chunk.reconstruction)


def test_history_is_the_last_frame_as_decoded(codec: ChunkCodec) -> None:
    coded = encode(codec, clip(6), (1, 3, 2))
    for chunk in coded.chunks:
        assert_same(chunk.history.reference, chunk.reconstruction[len(chunk.reconstruction) - 1 :])
        assert len(chunk.history.reference) == 1
        assert chunk.history.latents is chunk.latents


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
    assert (first.latents.quality, second.latents.quality) == (50 + INTRA_BONUS, 50)
    assert encode(codec, clip(1), (1,), quality=100).chunks[0].latents.quality == 100


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> ChunkCodec:
    """A learned model whose chunks are one frame each."""
    config = replace(TINY, name="tiny-one", inter=replace(TINY.inter, frames=1))
    folder = tmp_path_factory.mktemp("single")
    path = export_weights(tiny_network(config=config), tiny_tables(config), initial_tables(), folder)
    return ChunkCodec(load_model(path, device=CPU))


def test_chunks_of_one_frame_round_trip(single: ChunkCodec) -> None:
    """Frames that move, stand and move again: every field is coded by the one before it, also by none."""
    assert single.chunk_frames == 1
    moving, held = moving_planes(4, 48, 80, dx=3), [0, 1, 2, 3, 3, 3, 2, 1]
    frames = moving.map(lambda plane: plane[torch.tensor(held)])
    coded = encode(single, frames, (1,) * len(held))
    latents = decode_latents(single, coded)
    assert digest(latents) == digest([chunk.latents for chunk in coded.chunks])
    for found, sent in zip(latents[1:], coded.chunks[1:], strict=True):
        assert found.field is not None
        assert sent.latents.field is not None
        assert torch.equal(found.field, sent.latents.field)
        assert len(found.field) == 1
    moved = [bool(chunk.field is not None and chunk.field.any()) for chunk in latents]
    assert moved[1:4] == [True] * 3
    assert moved[6:] == [True] * 2
    for planes, chunk in zip(synthesise(single, latents), coded.chunks, strict=True):
        assert_same(planes, chunk.reconstruction)


@pytest.mark.parametrize("name", ["tiny", "single"])
def test_a_chunks_motion_needs_the_one_before(name: str, request: pytest.FixtureRequest) -> None:
    """Read behind another chunk, the same bytes are another field or none at all."""
    codec: ChunkCodec = request.getfixturevalue(name)
    count = codec.chunk_frames
    coded = encode(codec, moving_planes(1 + 2 * count, 48, 80, dx=3), (1, count, count))
    intra, first, second = (chunk.latents for chunk in coded.chunks)
    assert first.field is not None
    assert first.field[-1].any()
    assert second.field is not None
    assert second.field.any()
    still = replace(first, field=torch.zeros_like(first.field))
    for previous in (intra, still):
        with contextlib.suppress(CorruptFile):
            found = codec.decode_latents(
                coded.chunks[2].streams, frame_count=count, height=48, width=80, quality=50, previous=previous
            )
            assert found.field is not None
            assert not torch.equal(found.field, second.field)


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
    assert second.latents.mode == 1
    assert len(second.streams[1]) < 0.4 * len(first.streams[1])
    moving = encode(dct, moving_planes(5, 64, 96, dx=3), (1, 4)).chunks[1]
    assert len(second.streams[1]) < 0.2 * len(moving.streams[1])


def test_motion_is_found_coded_and_used(tiny: ChunkCodec) -> None:
    """The decoded field is the one that was searched, and still frames have the flag instead of a field."""
    moving = encode(tiny, moving_planes(5, 48, 80, dx=3), (1, 4)).chunks[1]
    assert moving.latents.field is not None
    assert moving.latents.field.any()
    assert not moving.streams[0][1] & 0x80
    first = tiny.encode(moving_planes(1, 48, 80, dx=0), quality=50, history=None)
    frozen = first.reconstruction.map(lambda plane: plane.expand(4, -1, -1))
    still = tiny.encode(frozen, quality=50, history=first.history)
    assert still.latents.field is not None
    assert not still.latents.field.any()
    assert still.streams[0][1] & 0x80


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
        coded = encode(writer, clip(9), (1, 4, 4))
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


@pytest.mark.parametrize("which", [0, 1])
@given(data=st.data())
def test_damaged_streams_are_refused_or_decode_to_other_latents(
    codec: ChunkCodec, which: int, data: st.DataObject
) -> None:
    """Nothing but CorruptFile may come out, and what decodes must still be synthesised without a crash."""
    coded = damage_source(codec)
    streams = [list(chunk.streams) for chunk in coded.chunks]
    stream = bytearray(streams[which][1])
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    stream = stream[: data.draw(st.sampled_from([len(stream), len(stream) // 2]))]
    streams[which][1] = bytes(stream)
    try:
        latents = decode_latents(codec, coded, [tuple(chunk) for chunk in streams])
    except CorruptFile:
        return
    synthesise(codec, latents)


_CODED: dict[int, Coded] = {}


def damage_source(codec: ChunkCodec) -> Coded:
    if id(codec) not in _CODED:
        _CODED[id(codec)] = encode(codec, clip(5), (1, 4))
    return _CODED[id(codec)]


def test_every_cut_is_refused(codec: ChunkCodec) -> None:
    coded = damage_source(codec)
    for which in (0, 1):
        streams = [chunk.streams for chunk in coded.chunks]
        head, body = streams[which]
        for cut in [0, 1, 2, 5, len(body) // 2, len(body) - 1]:
            streams[which] = (head, body[:cut])
            with pytest.raises(CorruptFile):
                decode_latents(codec, coded, streams)


@given(noise=st.binary(max_size=300), head=st.binary(min_size=0, max_size=4))
def test_noise_instead_of_streams(codec: ChunkCodec, noise: bytes, head: bytes) -> None:
    for previous in (None, damage_source(codec).chunks[0].latents):
        with contextlib.suppress(CorruptFile):
            found = codec.decode_latents(
                (head, noise), frame_count=1, height=48, width=80, quality=50, previous=previous
            )
            assert found.y.shape[1:] == (3, 5)


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


def test_calls_that_are_wrong(codec: ChunkCodec) -> None:
    with pytest.raises(ValueError, match="a chunk of 2 frames"):
        codec.encode(clip(2), quality=50, history=None)
    history = codec.encode(clip(1), quality=50, history=None).history
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"a chunk of {count} frames"):
            codec.encode(clip(5)[:count], quality=50, history=history)
    with pytest.raises(ValueError, match="80×40 are not padded"):
        codec.encode(clip(1, 40, 80), quality=50, history=None)


def test_the_default_model_codes() -> None:
    """The package's own weights, on an intra frame and as many chunks as four frames are."""
    codec = ChunkCodec(load_model(None, device=CPU))
    frames = moving_planes(5, 64, 96, dx=2)
    coded = encode(codec, frames, (1, *(min(codec.chunk_frames, 4 - at) for at in range(0, 4, codec.chunk_frames))))
    assert digest(decode_latents(codec, coded)) == digest([chunk.latents for chunk in coded.chunks])
    assert coded.psnr_db > 32
    assert coded.size * 8 / (5 * 64 * 96) < 0.5


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


def test_a_chunk_may_leave_out_its_latents(single: ChunkCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped where errors cost nothing, never where they cost everything; a skipped chunk is its prediction."""
    frames = clip(6)
    monkeypatch.setattr(chunk_module, "SKIP_CAUTION", 0.0)
    skipped = encode(single, frames, (1,) * 6)
    assert [chunk.latents.mode for chunk in skipped.chunks] == [0] + [chunk_module.SKIP] * 5
    monkeypatch.setattr(chunk_module, "SKIP_CAUTION", 1e9)
    coded = encode(single, frames, (1,) * 6)
    assert any(chunk.latents.mode != chunk_module.SKIP for chunk in coded.chunks[1:])
    for chunk in skipped.chunks[1:]:
        assert not chunk.latents.y.any()
        assert not chunk.latents.z.any()
    for segment in (skipped, coded):
        latents = decode_latents(single, segment)
        assert digest(latents) == digest([chunk.latents for chunk in segment.chunks])
        for chunk, planes in zip(segment.chunks, synthesise(single, latents), strict=True):
            assert_same(planes, chunk.reconstruction, 1e-6)


def test_of_two_syntheses_the_nearer_is_taken(single: ChunkCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode says which, and the decoder obeys it."""
    monkeypatch.setattr(chunk_module, "SKIP_CAUTION", 1e9)
    segment = encode(single, clip(6), (1,) * 6)
    assert any(chunk.latents.mode != chunk_module.SKIP for chunk in segment.chunks[1:])
    previous = None
    for number, chunk in enumerate(segment.chunks):
        if number:
            wanted = segment.original[number : number + 1]
            errors = {}
            for mode in (0, PLAIN):
                planes, _ = single.synthesise(replace(chunk.latents, mode=mode), history=previous)
                errors[mode] = chunk_module._error(planes, wanted)
            assert chunk.latents.mode in (0, PLAIN, chunk_module.SKIP)
            if chunk.latents.mode != chunk_module.SKIP:
                assert errors[chunk.latents.mode] == min(errors.values())
        previous = chunk.history
