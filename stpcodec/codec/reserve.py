"""What a GPU has no memory left for, the processor does: the segment is coded again there, and all that follow.

Pictures are coded one at a time on a GPU, so there is no batch that could be halved first. Segments are closed, so a
file of both is sound; its bytes differ, since sums are rounded differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from stpcodec.codec.models import LoadedCodec
from stpcodec.container import Segment
from stpcodec.video.frames import Frame, Warn

if TYPE_CHECKING:  # it has a reserve
    from stpcodec.codec.segments import SegmentCodec


class Builder(Protocol):
    """As `SegmentBuilder`."""

    @property
    def coded_bytes(self) -> int: ...
    def add(self, frames: Sequence[Frame]) -> None: ...
    def close(self) -> Segment: ...


T = TypeVar("T")


class Reserve:
    """The codec on the processor. load: called when it is first needed, which is said once."""

    def __init__(self, load: Callable[[], SegmentCodec], device: torch.device, warn: Warn) -> None:
        self._load, self._device, self._warn = load, device, warn
        self.codec: SegmentCodec | None = None

    def called(self) -> SegmentCodec:
        if self.codec is None:
            self._warn(
                f"--device {self._device}: its memory ran out, the rest is done by the processor; end what else uses "
                f"the device, or ask for smaller tiles (--tile)"
            )
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            self.codec = self._load()
        return self.codec

    def builder(self, first: Callable[[], Builder], again: Callable[[SegmentCodec], Builder]) -> Builder:
        """Of a segment: on the device, or on the processor where that has been necessary before."""
        if self.codec is not None:
            return again(self.codec)
        return _SecondTry(first(), lambda: again(self.called()))

    def frames(self, segment: Segment, first: Callable[[], Iterator[Frame]]) -> Iterator[Frame]:
        """Of a decoded segment, likewise: from the frame on for which there was no room."""
        done = 0
        if self.codec is None:
            try:
                for frame in first():
                    yield frame
                    done += 1
                return
            except torch.OutOfMemoryError:
                pass  # what the error holds of the device must go first
        yield from islice(self.called().frames(segment), done, None)


class _SecondTry:
    """A builder that keeps the segment's frames, for `again`."""

    def __init__(self, builder: Builder, again: Callable[[], Builder]) -> None:
        self._builder: Builder | None = builder
        self._again: Callable[[], Builder] | None = again
        self._kept: list[Sequence[Frame]] = []

    @property
    def coded_bytes(self) -> int:
        return self._builder.coded_bytes if self._builder else 0

    def add(self, frames: Sequence[Frame]) -> None:
        if self._again:
            self._kept.append(frames)
        self._tried(lambda builder: builder.add(frames), lambda builder: None)

    def close(self) -> Segment:
        return self._tried(lambda builder: builder.close(), lambda builder: builder.close())

    def _tried(self, action: Callable[[Builder], T], after: Callable[[Builder], T]) -> T:
        """after: what is left of `action` when all frames have been added again."""
        assert self._builder is not None
        if self._again is None:
            return action(self._builder)
        try:
            return action(self._builder)
        except torch.OutOfMemoryError:
            self._builder = None  # and with it what it has on the device
        self._builder, self._again = self._again(), None
        kept, self._kept = self._kept, []
        for frames in kept:
            self._builder.add(frames)
        return after(self._builder)


def with_reserve(codec: SegmentCodec, load: Callable[[], LoadedCodec], warn: Warn) -> SegmentCodec:
    """The codec as it is where the processor does the work anyway. load: the same model on the processor."""
    if codec.device.type == "cpu":
        return codec

    def on_processor() -> SegmentCodec:
        loaded = load()
        return replace(codec, codec=loaded.codec, device=loaded.device)

    return replace(codec, reserve=Reserve(on_processor, codec.device, warn))
