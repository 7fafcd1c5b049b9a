"""What the page of `stpcodec compare` shows, collected frame by frame: pictures within a budget, and figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stpcodec.codec.inspection import InspectedFrame
from stpcodec.errors import UsageError
from stpcodec.evaluation.metrics import PsnrMeter
from stpcodec.evaluation.pictures import webp_of_rgb
from stpcodec.video.frames import Frame, VideoInfo
from stpcodec.video.still import small_picture

QUALITIES = (95, 90, 80, 65, 50, 30)
"""Of WebP; it starts with the first and only goes down, so that pictures do not pulse."""
_LEVELS_PER_OCTAVE = 16


class Film:
    """Pairs of frames as pictures that together stay within a budget.

    pairs: (original, decoded) files. qualities: of each pair. width, height: of a picture, upright.

    count: how many pairs will come, at most.
    """

    def __init__(self, info: VideoInfo, picture_width: int, budget_bytes: int, count: int) -> None:
        self._info, self._picture_width = info, picture_width
        self._budget_bytes, self._count = budget_bytes, count
        self._used = 0
        self._step = 0
        self.pairs: list[tuple[bytes, bytes]] = []
        self.qualities: list[int] = []
        self.width = self.height = 0

    def add(self, original: Frame, decoded: Frame) -> None:
        """Raises UsageError: the budget is used up, even with the lowest quality."""
        small = [small_picture(frame, self._info, width=self._picture_width) for frame in (original, decoded)]
        self.height, self.width, _ = small[0].shape
        due = self._budget_bytes * (len(self.pairs) + 1) / max(self._count, len(self.pairs) + 1)
        while True:
            quality = QUALITIES[self._step]
            pair = (webp_of_rgb(small[0], quality=quality), webp_of_rgb(small[1], quality=quality))
            used = self._used + len(pair[0]) + len(pair[1])
            if used <= due or self._step == len(QUALITIES) - 1:
                break
            self._step += 1
        if used > self._budget_bytes:
            raise UsageError(
                f"{self._count} pairs of pictures of {self.width}x{self.height} do not fit into "
                f"{self._budget_bytes / 1e6:g} MB; show fewer --seconds, a smaller --width or allow more --page-mb"
            )
        self._used = used
        self.pairs.append(pair)
        self.qualities.append(quality)


@dataclass
class Strip:
    """What the page shows. most: frames that may come. seconds: from the first frame of the file. placed_bits: the part
    of `bits` that the patches share. heat: uint8 `heat_levels` of the patches of every frame."""

    most: int
    meter: PsnrMeter
    film: Film
    first_frame: int = -1
    seconds: list[float] = field(default_factory=list)
    bits: list[float] = field(default_factory=list)
    placed_bits: float = 0.0
    heat: list[np.ndarray] = field(default_factory=list)

    def add(self, original: Frame, decoded: InspectedFrame, seconds: float) -> None:
        self.meter.add(original, decoded.frame)
        self.film.add(original, decoded.frame)
        if not self.bits:
            self.first_frame = decoded.number
        self.seconds.append(seconds)
        self.bits.append(decoded.bits)
        self.placed_bits += float(decoded.patches.sum())
        self.heat.append(heat_levels(decoded.patches))


def heat_levels(bits: np.ndarray) -> np.ndarray:
    """Bits of patches as uint8: 16·log2(1 + bits), so that a level is 4.4 %."""
    return np.rint(_LEVELS_PER_OCTAVE * np.log2(1 + bits)).clip(0, 255).astype(np.uint8)
