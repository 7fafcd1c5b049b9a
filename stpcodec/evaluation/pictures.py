"""A few frames of a clip, as it was and as each codec left it, for the eye: kept as planes, shown as WebP.

Frames larger than the window are cut to the middle of it, not scaled down: artefacts are shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from zipfile import BadZipFile

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from stpcodec.errors import InputError
from stpcodec.evaluation.metrics import Planes
from stpcodec.video.frames import COLOR_UNSPECIFIED, RANGE_FULL, RANGE_LIMITED, Frame, VideoInfo
from stpcodec.video.pixels import MATRIX_RGB, TARGET_BY_DEPTH, picture_from_planes, range_for_scaler

WINDOW = (640, 360)
"""Width and height of what is shown of a larger frame."""
FRAMES = 3
QUALITIES = (None, 95, 90, 80, 65, 50)
"""Of WebP; None: lossless. The best that fits into the budget is used."""
_BT601_625 = 5  # what swscale, and most players of small video, take for granted


@dataclass(frozen=True)
class Window:
    """Of a frame, in luma samples; x and y are even."""

    x: int
    y: int
    width: int
    height: int


def window_of(width: int, height: int, most: tuple[int, int] = WINDOW) -> Window:
    """The middle of a frame, `most` samples across and down, or all of it."""
    across, down = min(width, most[0]), min(height, most[1])
    return Window((width - across) // 4 * 2, (height - down) // 4 * 2, across, down)


def frames_shown(count: int) -> tuple[int, ...]:
    """Numbers of up to `FRAMES` frames, spread over a clip of `count`."""
    return tuple(sorted({(2 * n + 1) * count // (2 * FRAMES) for n in range(FRAMES)})) if count else ()


@dataclass
class Album:
    """Collects chosen frames while a clip is measured: an `Instruments.watch`. pictures: by number of frame."""

    numbers: tuple[int, ...]
    window: Window
    pictures: dict[int, Frame] = field(default_factory=dict)

    def __call__(self, number: int, decoded: Planes) -> None:
        if number in self.numbers:
            self.pictures[number] = cut(decoded, self.window)

    def sequence(self) -> tuple[Frame, ...]:
        return tuple(self.pictures[number] for number in self.numbers)


def cut(frame: Planes, window: Window) -> Frame:
    """The window of a frame, copied, so that the frame itself can go."""
    y, x, height, width = window.y, window.x, window.height, window.width
    half = np.s_[y // 2 : y // 2 + -(-height // 2), x // 2 : x // 2 + -(-width // 2)]
    return Frame(frame.y[y : y + height, x : x + width].copy(), frame.u[half].copy(), frame.v[half].copy(), pts=0)


def save_planes(path: Path, frames: Sequence[Frame]) -> None:
    """Raw planes, compressed without loss; the file appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        arrays = {f"{name}{n}": getattr(frame, name) for n, frame in enumerate(frames) for name in "yuv"}
        np.savez_compressed(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


def load_planes(path: Path) -> tuple[Frame, ...]:
    """Raises InputError: the file is not one of `save_planes`."""
    try:
        # Opened here: where the file is no archive, numpy would leave its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            count = len(arrays.files) // 3
            return tuple(Frame(arrays[f"y{n}"], arrays[f"u{n}"], arrays[f"v{n}"], pts=0) for n in range(count))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it") from None


@dataclass(frozen=True)
class Shown:
    """Pictures as they stand in the page. quality: of WebP, None: lossless. files: [codec][frame]."""

    numbers: tuple[int, ...]
    quality: int | None
    files: tuple[tuple[bytes, ...], ...]


def fit(numbers: Sequence[int], rows: Sequence[Sequence[Frame]], info: VideoInfo, *, budget_bytes: int) -> Shown:
    """Compress rows of frames (one a codec) so that together they stay within the budget.

    First WebP gets coarser, then frames are left out; with a budget of nothing, nothing is shown.
    """
    for count in range(len(numbers), 0, -1):
        kept = [(2 * n + 1) * len(numbers) // (2 * count) for n in range(count)]
        for quality in QUALITIES:
            files = _within(budget_bytes, (webp(row[n], info, quality=quality) for row in rows for n in kept))
            if files is not None:
                shown = tuple(files[at : at + count] for at in range(0, len(files), count))
                return Shown(tuple(numbers[n] for n in kept), quality, shown)
    return Shown((), None, tuple(() for _ in rows))


def _within(budget_bytes: int, files: Iterable[bytes]) -> tuple[bytes, ...] | None:
    """All files, or None as soon as they are too large together."""
    kept = []
    for file in files:
        budget_bytes -= len(file)
        if budget_bytes < 0:
            return None
        kept.append(file)
    return tuple(kept)


def webp(frame: Frame, info: VideoInfo, *, quality: int | None) -> bytes:
    """One frame as a WebP file; quality None: lossless, as RGB."""
    picture = picture_from_planes(frame.y, frame.u, frame.v, TARGET_BY_DEPTH[info.bit_depth])
    untagged = info.color_space in (MATRIX_RGB, COLOR_UNSPECIFIED)
    target = "bgra" if quality is None else "yuv420p"
    picture = picture.reformat(
        format=target,
        src_colorspace=_BT601_625 if untagged else info.color_space,
        dst_colorspace=_BT601_625,  # the only matrix of WebP
        src_color_range=range_for_scaler(info.color_range),
        dst_color_range=RANGE_FULL if target == "bgra" else RANGE_LIMITED,
    )
    return _webp(picture, {"lossless": "1"} if quality is None else {"quality": str(quality)})


def webp_of_rgb(picture: NDArray[np.uint8], *, quality: int) -> bytes:
    """A picture ``[H, W, 3]`` as a WebP file."""
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return _webp(
        rgb.reformat(format="yuv420p", dst_colorspace=_BT601_625, dst_color_range=RANGE_LIMITED),
        {"quality": str(quality)},
    )


def _webp(picture: av.VideoFrame, options: dict[str, str]) -> bytes:
    encoder = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, picture.format.name
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.options = options
    picture.pts = 0
    return b"".join(bytes(packet) for packet in _all_packets(encoder, picture))


def _all_packets(encoder: VideoCodecContext, picture: av.VideoFrame) -> Iterator[av.Packet]:
    yield from encoder.encode(picture)
    yield from encoder.encode(None)
