"""A damaged .stp file in, a sound one out: every intact segment, the sidecar, a new index.

    StpReader ─► intact segments, renumbered ─► StpWriter ─► repaired.stp
        ├──────► sidecar, zeros for what is lost ──┘
        └──────► what is damaged (bytes), what is lost (frames, times)

Nothing is decoded and no model is needed: intact is what agrees with its checksums.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stpcodec.codec.events import Progress, ProgressCallback, ignore_progress
from stpcodec.codec.gaps import Gap, survivors
from stpcodec.codec.output import OutputFile, check_target
from stpcodec.codec.selection import seconds_of
from stpcodec.container import StpReader, StpWriter
from stpcodec.errors import CorruptFile, UsageError


@dataclass(frozen=True)
class Loss:
    """Something damaged or lost. Bytes [offset, offset + length) of the damaged file; None: no bytes, but frames.

    Times in seconds from the first segment that is known (lost frames before it have negative ones); None where
    no frames are concerned.
    """

    message: str
    offset: int | None = None
    length: int = 0
    first_frame: int | None = None
    end_frame: int | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class RepairReport:
    """What was kept and what was not. frames_lost: of those whose number is known.

    cut_off: the damaged file has no index, so that more may have followed its last segment.
    """

    segments: int
    frames: int
    frames_lost: int
    cut_off: bool
    bytes_written: int
    losses: tuple[Loss, ...]


def repair(
    source: str | Path,
    target: str | Path,
    *,
    overwrite: bool = False,
    progress: ProgressCallback = ignore_progress,
    on_loss: Callable[[Loss], None] = lambda loss: None,
) -> RepairReport:
    """Write what is intact of a damaged .stp file as a new one; `source` is only read.

    Frames are numbered anew without gaps and keep their exact times. Lost pieces of the sidecar become zeros, so
    that the rest stays at its place. on_loss gets every loss when it is found, first the damaged bytes, then the
    lost frames.

    Raises:
        UsageError, InputError, OutputError: as their names say; then nothing new stands under the target's name.
        CorruptFile: it has no intact stream header or no intact segment, so there is nothing to keep.
    """
    losses: list[Loss] = []

    def note(loss: Loss) -> None:
        losses.append(loss)
        on_loss(loss)

    check_target(target, source=source, overwrite=overwrite)
    with (
        StpReader(source, thorough=True) as stream,
        OutputFile(target, source=source, overwrite=overwrite) as output,
    ):
        output.require_space(stream.size, "the repaired file")
        for finding in stream.check():
            if not finding.intact:
                where = f"bytes {finding.offset} to {finding.offset + finding.length}"
                note(Loss(f"{where}: {finding.kind}: {finding.message}", finding.offset, finding.length))
            elif finding.kind == "other":
                where = f"bytes {finding.offset} to {finding.offset + finding.length}"
                note(Loss(f"{where}: a record unknown to this program is not kept", finding.offset, finding.length))
        writer = StpWriter(output.file())
        writer.write_header(stream.header)
        writer.write_sidecar(stream.salvage_sidecar(lambda message: note(Loss(message))))
        segments = frames = 0
        clock = time.monotonic()
        for part in survivors(stream):
            if isinstance(part, Gap):
                note(_lost_frames(part, stream))
                continue
            try:
                writer.write_segment(replace(part, first_frame=frames))
            except UsageError as error:  # a reader accepts tables larger than a writer would make
                note(Loss(f"lost: frames {part.first_frame} on, {part.frame_count}: cannot be written again: {error}"))
                continue
            segments, frames = segments + 1, frames + part.frame_count
            progress(Progress("repair", frames, stream.frame_count, 0, time.monotonic() - clock))
        if not segments:
            raise CorruptFile(f"{source}: holds no intact segment, nothing can be repaired; copy it from its source")
        if stream.index_rebuilt:
            end = seconds_of(stream, stream.segments[-1].last_pts)
            note(Loss(f"what may have followed {end:.3f} s is lost: no index says where the file ended"))
        bytes_written = writer.finish()
        return RepairReport(
            segments=segments,
            frames=frames,
            frames_lost=stream.frame_count - frames,
            cut_off=stream.index_rebuilt,
            bytes_written=bytes_written,
            losses=tuple(losses),
        )


def _lost_frames(gap: Gap, stream: StpReader) -> Loss:
    start, end = seconds_of(stream, gap.first_pts), seconds_of(stream, gap.end_pts)
    return Loss(
        f"lost: frames {gap.first_frame} to {gap.end_frame - 1}, {start:.3f} s to {end:.3f} s, "
        f"bytes {gap.offset} to {gap.end_offset}",
        gap.offset,
        gap.end_offset - gap.offset,
        gap.first_frame,
        gap.end_frame,
        start,
        end,
    )
