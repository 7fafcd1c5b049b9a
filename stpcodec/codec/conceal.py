"""Pictures for the frames that a damaged file has lost: the nearest intact ones, one blending into the other.

time      ──┬─────┬─────┬─────┬─────┬──
frames      A     ?     ?     ?     B
shown       A   ¾A+¼B ½A+½B ¼A+¾B   B       where there is no A or no B, the other one alone
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np

from stpcodec.codec.gaps import Gap, survivors
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import Selection, seconds_of
from stpcodec.container import Segment, StpReader
from stpcodec.errors import CorruptFile
from stpcodec.video.frames import Frame, Plane, Warn


def concealed_frames(stream: StpReader, codec: SegmentCodec, chosen: Selection, *, warn: Warn) -> Iterator[Frame]:
    """The chosen frames in order, lost ones filled in; one warning for each gap that touches them.

    Intact frames are as `decoded_frames` yields them. Memory: as there, and two frames. A segment's integers are
    decoded twice, because only its end tells whether they are the right ones.

    Raises:
        CorruptFile: none of the chosen segments is intact.
    """

    def check(segment: Segment) -> None:
        for _ in codec.latents(segment):
            pass

    last: Frame | None = None
    gap: Gap | None = None
    for part in survivors(stream, chosen.segments, check=check):
        if isinstance(part, Gap):
            gap = part
            continue
        for frame in codec.frames(part):
            if gap is not None:
                yield from _filled(gap, last, frame, stream, chosen, warn)
                gap = None
            if chosen.holds(frame.pts):
                yield frame
            last = frame
    if gap is not None and last is None:
        raise CorruptFile(f"{stream.path}: no segment there is intact, so nothing can be shown instead ({gap.reason})")
    if gap is not None:
        yield from _filled(gap, last, None, stream, chosen, warn)


def _filled(
    gap: Gap, before: Frame | None, after: Frame | None, stream: StpReader, chosen: Selection, warn: Warn
) -> Iterator[Frame]:
    if gap.runs and not any(chosen.holds(pts) for pts in gap.times()):
        return
    warn(
        f"{stream.path}: frames {gap.first_frame} to {gap.end_frame - 1} ({seconds_of(stream, gap.first_pts):.3f} to "
        f"{seconds_of(stream, gap.end_pts):.3f} s) are lost, the nearest intact ones are shown instead ({gap.reason})"
    )
    for pts, next_pts in pairwise(chain(gap.times(), [gap.end_pts])):
        if chosen.holds(pts):
            yield blend(before, after, pts, duration=max(0, next_pts - pts))


def blend(before: Frame | None, after: Frame | None, pts: int, *, duration: int) -> Frame:
    """A picture for `pts` from the last frame before it and the first one after it; one of them may be None."""
    if before is None or after is None:
        only = before or after
        assert only is not None
        return Frame(y=only.y, u=only.u, v=only.v, pts=pts, duration=duration)
    weight = (pts - before.pts) / (after.pts - before.pts)

    def mix(a: Plane, b: Plane) -> Plane:
        mixed = np.rint(a.astype(np.float32) * (1 - weight) + b.astype(np.float32) * weight)
        return mixed.astype(np.uint8) if a.dtype == np.uint8 else mixed.astype(np.uint16)

    return Frame(
        y=mix(before.y, after.y), u=mix(before.u, after.u), v=mix(before.v, after.v), pts=pts, duration=duration
    )
