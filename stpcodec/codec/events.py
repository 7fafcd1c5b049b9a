"""Typed events of long work. The library emits them, the command line draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step of an encode, decode or verify.

    phase: "scan", "encode", "decode", "verify", "thumb" or "compare".
    frames_total: None where unknown (a stream); for sources that do not count their frames, an estimate.
    bytes_written: coded so far, 0 where nothing is written; fixed_bytes: of them those that do not grow with
    the frames (sound and other streams).
    """

    phase: str
    frames_done: int
    frames_total: int | None
    bytes_written: int
    elapsed_seconds: float
    fixed_bytes: int = 0

    @property
    def frames_per_second(self) -> float:
        return self.frames_done / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def predicted_bytes(self) -> int | None:
        """Size of the complete output if the rest costs what the frames so far did."""
        if not self.frames_total or not self.frames_done or not self.bytes_written:
            return None
        growing = self.bytes_written - self.fixed_bytes
        return self.fixed_bytes + round(growing * max(1.0, self.frames_total / self.frames_done))

    @property
    def eta_seconds(self) -> float | None:
        if not self.frames_total or not self.frames_done:
            return None
        return max(0, self.frames_total - self.frames_done) * self.elapsed_seconds / self.frames_done


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The default: nobody watches."""
