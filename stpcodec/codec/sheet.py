"""A sheet of small pictures of a .stp file, from the first frames of its segments: nothing else is decoded."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.models import LoadCodec, codec_of_file, thread_limit
from stpcodec.codec.output import STANDARD_STREAM, OutputFile, check_target
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import seconds_of
from stpcodec.codec.stream import video_info
from stpcodec.container import StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, UsageError
from stpcodec.video.frames import Warn, log_warning
from stpcodec.video.still import png, small_picture

MOST_PICTURES, MOST_WIDTH = 400, 1920
_MOST_BYTES = 1 << 28  # of the sheet as RGB
_GAP = 4  # samples between pictures and around them
_BACKGROUND = 24


@dataclass(frozen=True)
class SheetReport:
    """seconds: when each picture is shown, from the first frame; in rows of `columns`. width, height: of the sheet."""

    seconds: tuple[float, ...]
    columns: int
    width: int
    height: int


def sheet(
    source: str | Path,
    target: str | Path,
    *,
    count: int = 12,
    columns: int | None = None,
    picture_width: int = 320,
    model: str | None = None,
    model_dir: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    load: LoadCodec | None = None,
    progress: ProgressCallback = ignore_progress,
    warn: Warn = log_warning,
) -> SheetReport:
    """Write up to `count` pictures, spread evenly over the file, as one PNG file.

    Fewer where the file has fewer segments. columns: None for about a square. Damaged segments are left out, with a
    warning.

    Raises:
        UsageError, InputError, OutputError, ModelError: as their names say. CorruptFile: no segment is intact. Nothing
            new stands under the target's name then.
    """
    if not 1 <= count <= MOST_PICTURES:
        raise UsageError(f"{count} pictures: must be 1 to {MOST_PICTURES}")
    if not 16 <= picture_width <= MOST_WIDTH:
        raise UsageError(f"pictures {picture_width} wide: must be 16 to {MOST_WIDTH}")
    if str(target) != STANDARD_STREAM and Path(target).suffix.lower() != ".png":
        raise UsageError(f"{target}: a sheet is a .png file; name one")
    check_target(target, source=source, overwrite=overwrite)
    with (
        StpReader(source) as stream,
        OutputFile(target, source=source, overwrite=overwrite) as output,
        thread_limit(threads),
    ):
        numbers = spread(stream, count)
        loaded = codec_of_file(
            stream.header, name=stream.path, model=model, device=device, model_dir=model_dir, load=load
        )
        codec = SegmentCodec(stream.header, loaded.codec, loaded.device, name=str(source))
        info = video_info(stream.header, path=str(source), frame_count=len(numbers), duration_seconds=None)
        pictures: list[np.ndarray] = []
        seconds: list[float] = []
        clock = time.monotonic()
        for number in numbers:
            try:
                with closing(codec.frames(stream.read_segment(number))) as frames:  # type: ignore[type-var]
                    frame = next(frames)
            except CorruptSegment as error:
                warn(str(error))
                continue
            pictures.append(small_picture(frame, info, width=picture_width))
            if len(numbers) * pictures[0].nbytes > _MOST_BYTES:
                raise UsageError(
                    f"{len(numbers)} pictures {picture_width} wide are too large a sheet; make them fewer or smaller"
                )
            seconds.append(seconds_of(stream, frame.pts))
            progress(Progress("thumb", len(pictures), len(numbers), 0, time.monotonic() - clock))
        if not pictures:
            raise CorruptFile(f"{source}: holds no intact segment; copy it again from its source")
        across = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
        page = arranged(pictures, across)
        output.file().write(png(page))
        return SheetReport(tuple(seconds), across, page.shape[1], page.shape[0])


def spread(stream: StpReader, count: int) -> list[int]:
    """Numbers of up to `count` segments: those in which the middles of equal parts of the time lie."""
    entries = stream.segments
    if len(entries) <= count:
        return list(range(len(entries)))
    first, last = entries[0].first_pts, entries[-1].last_pts
    starts = np.array([entry.first_pts - first for entry in entries])
    middles = (2 * np.arange(count) + 1) * (last - first) / (2 * count)
    return sorted({int(number) for number in np.searchsorted(starts, middles, side="right") - 1})


def arranged(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """All of one size, in rows."""
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    page = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _BACKGROUND, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = (_GAP + at * (side + _GAP) for at, side in zip(divmod(number, columns), (height, width), strict=True))
        page[y : y + height, x : x + width] = picture
    return page
