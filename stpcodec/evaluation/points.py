"""One measured point of a rate-distortion curve, and the CSV file that points are kept in."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from stpcodec.errors import InputError
from stpcodec.evaluation.metrics import LOSSLESS_DB

Key = tuple[str, str, str, int, int]


@dataclass(frozen=True)
class Point:
    """One clip through one codec at one setting.

    clip, group: for reading (`group` is "raw", "compressed once" or empty); clip_hash: of the file's bytes.
    codec: "stp-s", "dct", "x264", ...; version: of weights or encoder, so that a cached point is the same
    thing measured. setting: our quality or their crf. frames: how many were coded.
    payload_bytes: the rate, what the picture costs with all its headers; file_bytes: the whole file with
    sound and other streams; message_bytes: see `anchors`. PSNR in dB: psnr_* is the mean over frames,
    clip_psnr_* of the summed error, *_yuv weighs 6:1:1. *_seconds: wall clock, for orientation.
    ms_ssim (of luma, 0 to 1) and vmaf (0 to 100): means over frames; None, in the file empty, where they
    were not asked for or cannot be had (see `quality`).
    """

    clip: str
    group: str
    clip_hash: str
    codec: str
    version: str
    setting: int
    frames: int
    width: int
    height: int
    payload_bytes: int
    message_bytes: int
    file_bytes: int
    psnr_y: float
    psnr_u: float
    psnr_v: float
    psnr_yuv: float
    clip_psnr_y: float
    clip_psnr_u: float
    clip_psnr_v: float
    clip_psnr_yuv: float
    encode_seconds: float
    decode_seconds: float
    problem: str = ""
    ms_ssim: float | None = None
    vmaf: float | None = None

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.payload_bytes / (self.frames * self.width * self.height)

    @property
    def ms_ssim_db(self) -> float | None:
        """-10 log10(1 - MS-SSIM): even steps of it look about even, which of MS-SSIM near 1 they do not."""
        if self.ms_ssim is None:
            return None
        return min(LOSSLESS_DB, -10 * math.log10(1 - self.ms_ssim)) if self.ms_ssim < 1 else LOSSLESS_DB

    @property
    def key(self) -> Key:
        """What was measured. A newer point of the same key replaces an older one."""
        return self.clip_hash, self.codec, self.version, self.setting, self.frames

    @property
    def curve(self) -> tuple[str, str, str]:
        """Points of one curve agree in this."""
        return self.clip_hash, self.codec, self.version


COLUMNS = tuple(field.name for field in fields(Point))
_FIRST_VERSION = COLUMNS[: COLUMNS.index("problem") + 1]
"""Tables of before MS-SSIM and VMAF: their points lack these."""
_TYPES = get_type_hints(Point)


class PointFile:
    """A CSV of points that grows by one flushed line a point, so that an interrupted run loses at most one.

    A last line that was cut off is dropped on reading. `path` need not exist yet.

    Raises InputError: the file is not such a CSV.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[Point] = []
        if path.exists():
            self.points = self._read()

    def find(self, clip_hash: str, codec: str, version: str, setting: int, frames: int) -> Point | None:
        """The newest point of this key."""
        key = clip_hash, codec, version, setting, frames
        return next((point for point in reversed(self.points) if point.key == key), None)

    def add(self, point: Point) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists() or self.path.stat().st_size == 0
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(COLUMNS)
            writer.writerow([_text(getattr(point, name)) for name in COLUMNS])
            file.flush()
            os.fsync(file.fileno())
        self.points.append(point)

    def _read(self) -> list[Point]:
        text = self.path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            self.path.write_text(text, encoding="utf-8")  # or the next line would be glued to the broken one
        rows = list(csv.reader(text.splitlines()))
        header = tuple(rows[0]) if rows else COLUMNS
        if header not in (COLUMNS, _FIRST_VERSION):
            raise InputError(f"{self.path}: is not a table of points of this version; name another file")
        missing = [""] * (len(COLUMNS) - len(header))
        points = [self._point(number, row + missing) for number, row in enumerate(rows[1:], start=2)]
        if missing:
            write_points(self.path, points)  # or lines of two lengths would stand under one header
        return points

    def _point(self, line: int, row: list[str]) -> Point:
        try:
            values = {name: _value(name, text) for name, text in zip(COLUMNS, row, strict=True)}
        except ValueError as error:
            raise InputError(f"{self.path}: line {line} is damaged ({error}); remove it") from None
        return Point(**values)


def as_stored(point: Point) -> Point:
    """The point as it would be read again, so that a resumed run comes to the very same figures."""
    return Point(**{name: _value(name, _text(getattr(point, name))) for name in COLUMNS})


def write_points(path: Path, points: Iterable[Point]) -> None:
    """A table of exactly these points; an older one is replaced at once."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    table = PointFile(unfinished)
    for point in points:
        table.add(point)
    if unfinished.exists():
        unfinished.replace(path)
    else:
        path.unlink(missing_ok=True)


def _value(name: str, text: str) -> Any:
    if _TYPES[name] == float | None:
        return float(text) if text else None
    return _TYPES[name](text)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)
