"""A .stp file as a Python object: metadata, frames in order or at random, integer latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from stpcodec.container import SegmentEntry, StpReader, StreamHeader
from stpcodec.errors import CorruptFile, UsageError

if TYPE_CHECKING:  # torch and numpy are loaded with the first frame, not to read metadata
    import numpy as np

    from stpcodec.codec.segments import SegmentCodec
    from stpcodec.video.frames import Frame


@dataclass(frozen=True)
class ChunkIntegers:
    """The integers that one chunk is stored as, in one tile of the frame.

    first_frame: number of the chunk's first frame in the file. Luma samples of the padded frame:
    [y, y + height) × [x, x + width). arrays: name → integers; names and shapes are the model's.
    """

    first_frame: int
    frame_count: int
    y: int
    x: int
    height: int
    width: int
    arrays: dict[str, np.ndarray]


def open(
    path: str | Path, *, model: str | None = None, model_dir: str | Path | None = None, device: str = "auto"
) -> StpFile:
    """Open a .stp file. Use it in a `with` block, or close it.

    model: the weights file, if it lies where nobody would look. model_dir: a folder of models to look into first.

    Raises:
        InputError, CorruptFile, UnsupportedVersion: no readable .stp file.
    """
    return StpFile(path, model=model, model_dir=model_dir, device=device)


class StpFile:
    """Frames are `Frame`s: numpy planes y ``[H, W]``, u and v ``[ceil(H/2), ceil(W/2)]``, pts and duration.

    `len(file)` is the number of frames. Iterating yields them in order, decoding as it goes. Reading frames
    at rising positions decodes each segment once; going backwards starts its segment again. Not for use by
    several threads at once.
    """

    def __init__(
        self, path: str | Path, *, model: str | None = None, model_dir: str | Path | None = None, device: str = "auto"
    ) -> None:
        self._stream = StpReader(path)
        self._model = model
        self._model_dir = model_dir
        self._device = device
        self._codec: SegmentCodec | None = None
        self._cursor: tuple[int, Iterator[Frame]] | None = None  # (number of its next frame, the rest of its segment)
        self._last: tuple[int, Frame] | None = None

    def __enter__(self) -> StpFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._cursor = self._last = self._codec = None
        self._stream.close()

    @property
    def header(self) -> StreamHeader:
        """Everything the file says about its video and how it was coded."""
        return self._stream.header

    @property
    def width(self) -> int:
        return self.header.width

    @property
    def height(self) -> int:
        return self.header.height

    @property
    def bit_depth(self) -> int:
        return self.header.bit_depth

    @property
    def quality(self) -> int:
        return self.header.quality

    @property
    def model(self) -> str:
        return self.header.model

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of pts."""
        return Fraction(*self.header.time_base)

    @property
    def metadata(self) -> dict[str, str]:
        """Tags of the source."""
        return dict(self.header.metadata)

    @property
    def size_bytes(self) -> int:
        return self._stream.size

    @property
    def segments(self) -> list[SegmentEntry]:
        """Where the segments stand in the file and in time."""
        return list(self._stream.segments)

    @property
    def complete(self) -> bool:
        """False when the file was cut off or its index is damaged: then frames may be missing."""
        return self._stream.complete

    @property
    def duration_seconds(self) -> float:
        """From the first frame to the end of the last one, which is taken to last as long as the mean."""
        entries = self._stream.segments
        if not entries:
            return 0.0
        span = entries[-1].last_pts - entries[0].first_pts
        return float(span * self.time_base * Fraction(len(self), max(1, len(self) - 1)))

    def __len__(self) -> int:
        return self._stream.frame_count

    def __iter__(self) -> Iterator[Frame]:
        codec = self._segment_codec()
        for number in range(len(self._stream.segments)):
            yield from codec.frames(self._stream.read_segment(number))

    def frame_at(self, index: int) -> Frame:
        """Frame number `index`, negative ones from the end.

        Raises:
            IndexError: there is no such frame.
            CorruptFile: it is missing from a damaged file.
        """
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"frame {index}: the file has {count} frames")
        index %= count
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        position, frames = self._cursor_before(index)
        while True:
            frame = next(frames)
            position += 1
            self._cursor = position, frames
            if position > index:
                self._last = index, frame
                return frame

    def frame_at_time(self, seconds: float) -> Frame:
        """The frame shown `seconds` after the first one: the last that begins by then.

        Raises:
            UsageError: the time is negative.
        """
        if not seconds >= 0:
            raise UsageError(f"time {seconds}: must be 0 or more seconds")
        entries = self._stream.segments
        if not entries:
            raise CorruptFile(f"{self._stream.path}: holds no intact segment; copy it again from its source")
        pts = entries[0].first_pts + Fraction(str(seconds)) / self.time_base
        number = max(n for n, entry in enumerate(entries) if entry.first_pts <= pts)
        times = self._stream.read_segment(number).pts
        return self.frame_at(entries[number].first_frame + sum(time <= pts for time in times) - 1)

    def latents(self, segment_index: int) -> list[ChunkIntegers]:
        """The integer latents of one segment by chunk and tile, checked against their hash.

        Raises:
            IndexError: there is no such segment.
            CorruptSegment: it is damaged.
        """
        segment = self._stream.read_segment(segment_index)
        chunks = []
        first_frame = segment.first_frame
        for chunk, tiles in zip(segment.chunks, self._segment_codec().latents(segment), strict=True):
            for part in tiles:
                tile = part.tile
                chunks += [
                    ChunkIntegers(
                        first_frame=first_frame + picture.first_frame,
                        frame_count=picture.frame_count,
                        y=tile.y,
                        x=tile.x,
                        height=tile.height,
                        width=tile.width,
                        arrays=picture.arrays(),
                    )
                    for picture in part.latents.pictures
                ]
            first_frame += chunk.frame_count
        return chunks

    def _cursor_before(self, index: int) -> tuple[int, Iterator[Frame]]:
        """A position in the segment of frame `index`, not behind it: where reading stands, or its start."""
        number = self._stream.segment_of_frame(index)
        if number is None:
            raise CorruptFile(f"{self._stream.path}: frame {index} is missing, the file is damaged")
        first_frame = self._stream.segments[number].first_frame
        if self._cursor is not None and first_frame < self._cursor[0] <= index:
            return self._cursor
        return first_frame, self._segment_codec().frames(self._stream.read_segment(number))

    def _segment_codec(self) -> SegmentCodec:
        if self._codec is None:
            from stpcodec.codec.models import codec_of_file
            from stpcodec.codec.segments import SegmentCodec

            loaded = codec_of_file(
                self.header,
                name=self._stream.path,
                model=self._model,
                model_dir=self._model_dir,
                device=self._device,
            )
            self._codec = SegmentCodec(self.header, loaded.codec, loaded.device, name=self._stream.path)
        return self._codec
