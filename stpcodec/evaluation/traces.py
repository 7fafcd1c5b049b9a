"""A clip's figures frame by frame, and where its bytes go: one JSON line a point, beside the table of points."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stpcodec.errors import InputError
from stpcodec.evaluation.points import Key
from stpcodec.evaluation.quality import Quality

Span = tuple[int, int]
"""(frames, bytes): what a run of frames in order of display costs together. Other codecs code frames one by one,
ours a chunk at a time."""


@dataclass(frozen=True)
class Trace:
    """psnr: 6:1:1 in dB of every frame. spans: cover all frames; their bytes may be less than the payload, which
    also holds headers."""

    psnr: tuple[float, ...]
    spans: tuple[Span, ...]
    ms_ssim: tuple[float, ...] | None = None
    vmaf: tuple[float, ...] | None = None


def trace_of(quality: Quality, spans: Sequence[Span]) -> Trace:
    """With as many digits as are worth keeping."""
    return Trace(
        _rounded(quality.frame_psnr, 4),
        tuple(spans),
        _rounded(quality.frame_ms_ssim, 6) if quality.frame_ms_ssim is not None else None,
        _rounded(quality.frame_vmaf, 4) if quality.frame_vmaf is not None else None,
    )


def traces_beside(points: Path) -> Path:
    """Where the traces of a table of points are kept: `points.csv` → `points.frames.jsonl`."""
    return points.with_suffix(".frames.jsonl")


class TraceFile:
    """Traces by the key of their point, the newest of a key counts. A line that was cut off is dropped.

    Raises InputError: the file is not such a one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._traces: dict[Key, Trace] = {}
        if path.exists():
            self._read()

    def find(self, key: Key) -> Trace | None:
        return self._traces.get(key)

    def add(self, key: Key, trace: Trace) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"key": key, **asdict(trace)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._traces[key] = trace

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            self.path.write_text(text, encoding="utf-8")  # or the next line would be glued to the broken one
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                entry = json.loads(line)
                clip, codec, version, setting, frames = entry["key"]
                self._traces[str(clip), str(codec), str(version), int(setting), int(frames)] = Trace(
                    tuple(entry["psnr"]),
                    tuple((int(count), int(size)) for count, size in entry["spans"]),
                    _tuple(entry["ms_ssim"]),
                    _tuple(entry["vmaf"]),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.path}: line {number} is damaged ({error}); remove it") from None


def _rounded(values: Sequence[float], digits: int) -> tuple[float, ...]:
    return tuple(round(value, digits) for value in values)


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return tuple(values) if values is not None else None
