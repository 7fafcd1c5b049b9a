"""Clips to measure on: what a file holds, its group, and its first frames as a clip of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import xxhash

from stpcodec.errors import InputError
from stpcodec.video.frames import VideoInfo
from stpcodec.video.reader import VideoReader
from stpcodec.video.writer import VideoWriter

RAW, COMPRESSED = "raw", "compressed once"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Clip:
    """A clip and where to read it. pts: exact times of all frames in units of `info.time_base`."""

    name: str
    path: Path
    hash: str
    group: str
    info: VideoInfo
    pts: tuple[int, ...]

    @property
    def frames(self) -> int:
        return len(self.pts)

    def seconds(self) -> list[Fraction]:
        """Times of all frames from the first one."""
        return [(pts - self.pts[0]) * self.info.time_base for pts in self.pts]


def open_clip(path: Path, *, frames: int | None, folder: Path) -> Clip:
    """Look through a clip; with `frames`, and if it is longer, cut a lossless copy (FFV1) into `folder`.

    The hash is of the original's bytes either way. Only the video is copied: sound has no part in a cut clip.

    Raises InputError: not a readable video.
    """
    name, digest, group = path.name, file_hash(path), group_of(path)
    with VideoReader(path) as reader:
        info, pts = reader.info, []
        for frame in reader:
            pts.append(frame.pts)
            if frames is not None and len(pts) > frames:
                break
    if frames is not None and len(pts) > frames:
        path = _first_frames(path, frames, folder / f"{digest}-{frames}.mkv")
        with VideoReader(path) as reader:
            info, pts = reader.info, [frame.pts for frame in reader]
    return Clip(name, path, digest, group, info, tuple(pts))


def file_hash(path: Path) -> str:
    """xxh3_64 of a file's bytes, 16 hex digits.

    Raises InputError: it cannot be read.
    """
    state = xxhash.xxh3_64()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                state.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    return state.hexdigest()


def group_of(path: Path) -> str:
    """`RAW` or `COMPRESSED` by the `index.jsonl` beside the clip ("quality": "raw"), "" where there is none.

    A clip that was compressed before it was downscaled favours codecs like the one that compressed it.
    """
    try:
        lines = (path.parent / "index.jsonl").read_text(encoding="utf-8").splitlines()
        for entry in (json.loads(line) for line in lines if line.strip()):
            if Path(str(entry.get("file", ""))).name == path.name:
                return RAW if entry.get("quality") == "raw" else COMPRESSED
    except (OSError, ValueError, AttributeError):
        return ""  # an index is a convenience, not a condition
    return ""


def _first_frames(path: Path, count: int, target: Path) -> Path:
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (
        VideoReader(path, warn=_ignore) as reader,
        VideoWriter(target, reader.info, vcodec="ffv1", warn=_ignore) as writer,
    ):
        for number, frame in enumerate(reader):
            if number == count:
                break
            writer.write(frame)
    return target


def _ignore(message: str) -> None:
    """Losses of a conversion were named when the clip was first read."""
