"""Small .stp files to test with, and hypothesis strategies for what goes into them."""

from __future__ import annotations

import io
import random
from dataclasses import replace

from hypothesis import strategies as st

from stpcodec.container import Chunk, Segment, StpReader, StpWriter, StreamHeader, limits
from stpcodec.container.layout import RECORD, Record

HEADER = StreamHeader(
    width=48, height=32, bit_depth=8, time_base=(1, 30000), model="dct", quality=50, segment_frames=128
)


def make_segment(first_frame: int, first_pts: int, frames: int = 5, seed: int = 0) -> Segment:
    """An intra chunk and one with the rest of the frames, random streams."""
    noise = random.Random(seed)
    chunks = [Chunk(1, (noise.randbytes(17), noise.randbytes(3)))]
    if frames > 1:
        chunks.append(Chunk(frames - 1, (noise.randbytes(9), b"", noise.randbytes(6))))
    pts = tuple(first_pts + 1001 * index for index in range(frames))
    return Segment(first_frame, pts, None, tuple(chunks), noise.randbytes(16))


def make_segments(count: int, frames: int = 5) -> list[Segment]:
    return [make_segment(i * frames, i * frames * 1001, frames, seed=i) for i in range(count)]


def write_file(
    segments: list[Segment],
    *,
    header: StreamHeader = HEADER,
    sidecar: bytes | None = None,
    finish: bool = True,
) -> bytes:
    """The bytes of a file with these segments and the sidecar before the last of them."""
    file = io.BytesIO()
    writer = StpWriter(file)
    writer.write_header(header)
    for segment in segments[:-1]:
        writer.write_segment(segment)
    if sidecar is not None:
        writer.write_sidecar([sidecar])
    for segment in segments[-1:]:
        writer.write_segment(segment)
    if finish:
        assert writer.finish() == len(file.getvalue())
    return file.getvalue()


def open_bytes(data: bytes) -> StpReader:
    return StpReader(io.BytesIO(data))


def split_records(data: bytes) -> list[bytes]:
    """Preamble, then every record of an undamaged file."""
    parts, position = [data[:16]], 16
    while position < len(data):
        record = Record.parse(data[position : position + RECORD.size], position)
        assert record is not None
        parts.append(data[position : record.end])
        position = record.end
    return parts


def restamp(record: bytes, **changes: int) -> bytes:
    """A record with other header fields (and then a valid header CRC again)."""
    header = Record.parse(record[: RECORD.size], 0)
    assert header is not None
    return replace(header, **changes).pack() + record[RECORD.size :]


def is_sound(data: bytes) -> bool:
    """Whether every finding of `check` is intact."""
    return all(finding.intact for finding in open_bytes(data).check())


rationals = st.tuples(st.integers(1, (1 << 31) - 1), st.integers(1, (1 << 31) - 1))
texts = st.text(st.characters(codec="utf-8"), max_size=20)
tags = st.dictionaries(texts, texts, max_size=4)
byte = st.integers(0, 255)


@st.composite
def headers(draw: st.DrawFn) -> StreamHeader:
    tile = draw(st.sampled_from([0, 1, 256, limits.MAX_SIDE]))
    return StreamHeader(
        width=draw(st.integers(1, limits.MAX_SIDE)),
        height=draw(st.integers(1, limits.MAX_SIDE)),
        bit_depth=draw(st.sampled_from([8, 10])),
        time_base=draw(rationals),
        average_rate=draw(st.none() | rationals),
        color_range=draw(byte),
        color_primaries=draw(byte),
        color_transfer=draw(byte),
        color_space=draw(byte),
        chroma_location=draw(byte),
        sample_aspect_ratio=draw(st.none() | rationals),
        rotation=draw(st.integers(-360, 360)),
        interlaced=draw(st.booleans()),
        source_pixel_format=draw(st.sampled_from(["", "yuv420p", "yuv422p10le"])),
        model=draw(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True)),
        weights_sha256=draw(st.sampled_from(["", "00" * 32, "f0" * 32])),
        quality=draw(st.integers(1, 100)),
        segment_frames=draw(st.integers(1, 256)),
        tile=tile,
        tile_overlap=draw(st.integers(0, max(tile - 1, 0))),
        tilt=draw(st.integers(0, 16)),
        metadata=draw(tags),
        stream_metadata=draw(tags),
        encoder=draw(texts),
    )


@st.composite
def segments(draw: st.DrawFn, first_frame: int = 0, after_pts: int = -limits.MAX_PTS - 1) -> Segment:
    """Any segment that may follow pts `after_pts`."""
    counts = draw(st.lists(st.integers(1, 60), min_size=1, max_size=4))
    frames = sum(counts)
    start = draw(st.integers(after_pts + 1, max(after_pts + 1, 0) + (1 << 40)))
    step = draw(st.integers(1, 1 << 33))
    jitter = min(draw(st.sampled_from([0, 1, step])), step - 1)
    noise = random.Random(draw(st.integers(0, 1 << 32)))
    pts = tuple(start + index * step + noise.randint(0, jitter) for index in range(frames))
    durations = draw(
        st.none()
        | st.just((0,) * frames)
        | st.just((step,) * frames)
        | st.lists(st.integers(0, limits.MAX_PTS), min_size=frames, max_size=frames).map(tuple)
    )
    streams = st.lists(st.binary(max_size=40), max_size=5).map(tuple)
    chunks = tuple(Chunk(count, draw(streams)) for count in counts)
    return Segment(first_frame, pts, durations, chunks, draw(st.binary(min_size=16, max_size=16)))


@st.composite
def segment_lists(draw: st.DrawFn, max_size: int = 4) -> list[Segment]:
    """Segments of one file, in order."""
    result: list[Segment] = []
    for _ in range(draw(st.integers(1, max_size))):
        frame, pts = (
            (result[-1].first_frame + result[-1].frame_count, result[-1].pts[-1])
            if result
            else (0, -limits.MAX_PTS - 1)
        )
        result.append(draw(segments(first_frame=frame, after_pts=pts)))
    return result
