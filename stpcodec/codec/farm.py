"""What the encoder asks of whoever codes segments for it: here, in processes beside it, or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from stpcodec.codec.worker import Setup
from stpcodec.container import Segment
from stpcodec.video.frames import Frame


class Segments(Protocol):
    """Chunks in, segments out in order: as `SegmentStream`."""

    frames: int
    segments: int

    @property
    def pending_bytes(self) -> int: ...
    def add(self, frames: Sequence[Frame], *, opens_segment: bool) -> None: ...
    def finish(self) -> None: ...


class Farm(Protocol):
    """Codes segments of several videos at once, elsewhere."""

    def segments(
        self, setup: Setup, write: Callable[[Segment], object], tick: Callable[[], None]
    ) -> AbstractContextManager[Segments]:
        """`write` and `tick` are called in the caller's thread."""
        ...
