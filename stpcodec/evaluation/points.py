"""One measured point of a rate-distortion curve, and the CSV file that points are kept in."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from stpcodec.errors import InputError

Key = tuple[str, str, int, int]


@dataclass(frozen=True)
class Point:
    """One clip through one codec at one setting.

    clip, group: for reading (`group` is "raw", "compressed once" or empty); clip_hash: of the file's bytes.
    codec: "stp-s", "dct", "x264", ...; version: of weights or encoder, so that a cached point is the same
    thing measured. setting: our quality or their crf. frames: how many were coded.
    payload_bytes: the rate, what the picture costs with all its headers; file_bytes: the whole file with
    sound and other streams; message_bytes: see `anchors`. PSNR in dB: psnr_* is the mean over frames,
    clip_psnr_* of the summed error, *_yuv weighs 6:1:1. *_seconds: wall clock, for orientation.
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

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.payload_bytes / (self.frames * self.width * self.height)

    @property
    def curve(self) -> tuple[str, str, str]:
        """Points of one curve agree in this."""
        return self.clip_hash, self.codec, self.version


COLUMNS = tuple(field.name for field in fields(Point))
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
        for point in reversed(self.points):
            if point.curve == (clip_hash, codec, version) and (point.setting, point.frames) == (
                setting,
                frames,
            ):
                return point
        return None

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
        if rows and tuple(rows[0]) != COLUMNS:
            raise InputError(f"{self.path}: is not a table of points of this version; name another file")
        return [self._point(number, row) for number, row in enumerate(rows[1:], start=2)]

    def _point(self, line: int, row: list[str]) -> Point:
        try:
            values = {name: _TYPES[name](text) for name, text in zip(COLUMNS, row, strict=True)}
        except ValueError as error:
            raise InputError(f"{self.path}: line {line} is damaged ({error}); remove it") from None
        return Point(**values)


def write_points(path: Path, points: Iterable[Point]) -> None:
    """A table of exactly these points."""
    path.unlink(missing_ok=True)
    table = PointFile(path)
    for point in points:
        table.add(point)


def _text(value: object) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)
