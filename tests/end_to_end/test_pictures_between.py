"""Files of a learned model, whose frames are not coded in the order of time: what comes out is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xxhash

import stpcodec
from stpcodec.codec import encoder, picture
from stpcodec.codec.planning import Planner
from stpcodec.container import StpReader
from stpcodec.latents.gop import coding_order
from stpcodec.video.reader import VideoReader
from tests.codec.clips import Triple, pictures, write_video

HEIGHT, WIDTH = 64, 96
PLACES = [(y, x) for y in range(0, HEIGHT, 16) for x in range(0, WIDTH, 16)]
BITS = [PLACES[bit::8] for bit in range(5)]
"""Blocks that say in black and white which frame it is: neighbours of moving textures are too much alike. Each bit has
three: there are places of which a random prior says that nothing comes, and there nothing is sent."""


def marked(count: int, cut_at: int | None = None, *, height: int = HEIGHT, width: int = WIDTH) -> list[Triple]:
    """Moving pictures, another scene from `cut_at` on, no two of them alike."""
    frames = pictures(count, height=height, width=width, cut_at=cut_at)
    for number, (luma, _, _) in enumerate(frames):
        for bit, blocks in enumerate(BITS):
            for y, x in blocks:
                luma[y : y + 16, x : x + 16] = 220 if number >> bit & 1 else 35
    return frames


def number_of(luma: np.ndarray, sources: list[Triple]) -> int:
    """Which of the frames this is, decoded: the nearest."""
    return int(np.argmin([np.square(luma.astype(float) - source[0]).sum() for source in sources]))


def times(count: int) -> list[int]:
    """Uneven, and not from zero."""
    return [500 + 40 * number + (9 if number % 3 else 0) for number in range(count)]


@pytest.fixture
def greedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks as long as they can be: most pictures between two references, whatever the planner would say."""
    monkeypatch.setattr(Planner, "plan", lambda self, luma: [len(luma)])


class Scenes:
    """A detector that knows where the cut is: the marks are not what the real one was made for."""

    def __init__(self, cut_at: int | None) -> None:
        self.cut_at, self.seen = cut_at, 0

    def push(self, luma: np.ndarray) -> bool:
        self.seen += 1
        return self.seen - 1 == self.cut_at


def make(folder: Path, weights: Path, count: int, cut_at: int | None = None, **options: object) -> Path:
    source = write_video(folder / "in.mkv", marked(count, cut_at), times=times(count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "SceneCutDetector", lambda: Scenes(cut_at))
        # Bits of a random prior are dear: it would rather leave a mark out.
        patch.setattr(picture, "SKIP_CAUTION", 1e9)
        stpcodec.encode(source, folder / "x.stp", model=str(weights), device="cpu", quality=92, **options)  # type: ignore[arg-type]
    return folder / "x.stp"


def assert_in_order(path: Path, count: int, cut_at: int | None) -> None:
    sources = marked(count, cut_at)
    with VideoReader(path) as reader:
        frames = [(frame.pts, number_of(frame.y, sources)) for frame in reader]
    assert [number for _, number in frames] == list(range(count))
    started = frames[0][0]
    assert [pts - started for pts, _ in frames] == [time - times(1)[0] for time in times(count)]


CLIPS = [
    (1, None, 128), (2, None, 128), (3, 1, 128), (4, 2, 128), (5, None, 128), (6, 5, 128), (7, None, 128),
    (8, 3, 128), (9, None, 128), (10, None, 7), (11, 10, 128), (12, 6, 4), (14, None, 128), (17, 9, 128),
    (20, 13, 11),
]  # fmt: skip
"""Frames, the first of another scene, longest segment."""


@pytest.mark.usefixtures("greedy")
@pytest.mark.parametrize(("count", "cut_at", "segment_frames"), CLIPS)
def test_frames_and_times_come_back_in_order(
    tmp_path: Path, tiny_weights: Path, count: int, cut_at: int | None, segment_frames: int
) -> None:
    stp = make(tmp_path, tiny_weights, count, cut_at, segment_frames=segment_frames)
    report = stpcodec.decode(stp, tmp_path / "out.mkv", vcodec="ffv1", model=str(tiny_weights), device="cpu")
    assert report.frames == count
    assert_in_order(tmp_path / "out.mkv", count, cut_at)
    with StpReader(stp) as reader:
        segments = [reader.read_segment(number) for number in range(len(reader.segments))]
    starts = [segment.first_frame for segment in segments]
    if cut_at is not None:
        assert cut_at in starts, "a scene begins a segment"
    lengths = [chunk.frame_count for segment in segments for chunk in segment.chunks]
    assert sum(lengths) == count
    longest = max(stop - start for start, stop in pairwise([*starts, count]))
    assert max(lengths) == (1 if longest == 1 else min(8, longest - 1))
    for segment in segments:
        for number, chunk in enumerate(segment.chunks):
            assert len(chunk.streams) == 1 + (chunk.frame_count if number else 1)


def test_the_planner_may_decide(tmp_path: Path, tiny_weights: Path) -> None:
    """Whatever chunks it makes, of motion and a cut at once."""
    stp = make(tmp_path, tiny_weights, 20, 13)
    stpcodec.decode(stp, tmp_path / "out.mkv", vcodec="ffv1", model=str(tiny_weights), device="cpu")
    assert_in_order(tmp_path / "out.mkv", 20, 13)
    assert stpcodec.verify(stp, deep=True, model=str(tiny_weights), device="cpu").intact


@pytest.mark.usefixtures("greedy")
def test_latents_are_those_of_every_picture(tmp_path: Path, tiny_weights: Path) -> None:
    """One entry per picture in the order of coding, with the number of its frame; together what was hashed."""
    stp = make(tmp_path, tiny_weights, 16, segment_frames=12)
    with stpcodec.open(stp, model=str(tiny_weights), device="cpu") as file, StpReader(stp) as reader:
        for number, entry in enumerate(file.segments):
            found = file.latents(number)
            assert [part.frame_count for part in found] == [1] * entry.frame_count
            wanted, modes, start = [], [], entry.first_frame
            for index, chunk in enumerate(reader.read_segment(number).chunks):
                order = coding_order(chunk.frame_count)
                wanted += [(start + picture.position - 1, picture, index) for picture in order]
                modes += list(chunk.streams[0][1::2])
                start += chunk.frame_count
            assert [part.first_frame for part in found] == [first for first, _, _ in wanted]
            frames = range(entry.first_frame, entry.first_frame + entry.frame_count)
            assert sorted(part.first_frame for part in found) == list(frames)
            for part, (_, picture, index), mode in zip(found, wanted, modes, strict=True):
                assert (part.y, part.x, part.height, part.width) == (0, 0, HEIGHT, WIDTH)
                names = {"y", "z"} | ({"motion"} if index else set()) | ({"blend"} if picture.future else set())
                names |= {"regions"} if index and mode & 0x47 == 2 else set()
                assert set(part.arrays) == names | ({"filter"} if mode & 0x10 else set())
                if index:
                    assert len(part.arrays["motion"]) == len(picture.references)
                if picture.future:
                    assert part.arrays["blend"].shape == (HEIGHT // 16, WIDTH // 16)


@pytest.mark.usefixtures("greedy")
def test_the_latents_hash_can_be_checked_from_outside(tmp_path: Path, tiny_weights: Path) -> None:
    """FORMAT.md §17, with the integers that Python gives and the bytes of the heads."""
    stp = make(tmp_path, tiny_weights, 7)
    with stpcodec.open(stp, model=str(tiny_weights), device="cpu") as file, StpReader(stp) as reader:
        segment, found = reader.read_segment(0), file.latents(0)
        heads = [c.streams[0][at : at + 2] for c in segment.chunks for at in range(0, len(c.streams[0]), 2)]
        hasher = xxhash.xxh3_128()
        for part, (offset, mode) in zip(found, heads, strict=True):
            for name in ("y", "z", "motion", "blend", "regions", "levels", "filter"):
                if name in part.arrays:
                    array = part.arrays[name]
                    quality = reader.header.quality + offset - 128
                    hasher.update(f"{name}{array.shape}q{quality}m{mode & 0x47}n1".encode())
                    hasher.update(array.astype("<i4").tobytes())
        assert hasher.digest() == segment.latents_hash


@pytest.mark.usefixtures("greedy")
def test_frames_at_random_are_those_in_order(tmp_path: Path, tiny_weights: Path) -> None:
    stp = make(tmp_path, tiny_weights, 12, 6)
    with stpcodec.open(stp, model=str(tiny_weights), device="cpu") as file:
        in_order = list(file)
        assert [number_of(frame.y, marked(12, 6)) for frame in in_order] == list(range(12))
        for number in (11, 0, 5, 6, 3, 9, 10, 1):
            frame = file.frame_at(number)
            assert frame.pts == in_order[number].pts
            np.testing.assert_array_equal(frame.y, in_order[number].y)


@pytest.mark.usefixtures("greedy")
def test_tiles_come_back_in_order(tmp_path: Path, tiny_weights: Path) -> None:
    source = write_video(tmp_path / "in.mkv", marked(6, height=160, width=144), times=times(6))
    stp = tmp_path / "x.stp"
    stpcodec.encode(source, stp, model=str(tiny_weights), device="cpu", quality=85, tile=128)
    with stpcodec.open(stp, model=str(tiny_weights), device="cpu") as file:
        sources = marked(6, height=160, width=144)
        assert [number_of(frame.y, sources) for frame in file] == list(range(6))
        found = file.latents(0)
    assert len({(part.y, part.x) for part in found}) == 4
    assert sorted(part.first_frame for part in found) == sorted(4 * list(range(6)))


@pytest.mark.usefixtures("greedy")
def test_a_part_of_a_chunk_can_be_decoded(tmp_path: Path, tiny_weights: Path) -> None:
    """From the middle of a chunk to the middle of another, cut at frames that are coded neither first nor last."""
    stp = make(tmp_path, tiny_weights, 17)
    stpcodec.decode(
        stp, tmp_path / "out.mkv", vcodec="ffv1", model=str(tiny_weights), device="cpu", start=0.24, end=0.5
    )  # fmt: skip
    with VideoReader(tmp_path / "out.mkv") as reader:
        found = [number_of(frame.y, marked(17)) for frame in reader]
    inside = [number for number, time in enumerate(times(17)) if 0.24 <= (time - times(1)[0]) / 1000 < 0.5]
    assert found == inside
    assert found[0] not in (0, 1)
