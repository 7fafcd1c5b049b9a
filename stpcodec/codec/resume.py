"""What an interrupted encode got done, copied into its new run.

    leftover   | header | sidecar | 0 | 1 | 2 | 3 |✗      killed in segment 4
    new file   | header | sidecar | 0 | 1 | 2 | 3 | 4 …   0 to 2 copied; 3 coded again, and it must come out the same

Copying through the same writer makes the file that an uninterrupted run makes. The stream header shows other options,
the last complete segment another source or machine; a source changed in earlier frames only is not noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stpcodec.container import Segment, StpReader, StpWriter, StreamHeader
from stpcodec.errors import CorruptSegment, InputError, StpError
from stpcodec.patches.partition import Chunk
from stpcodec.video.frames import Frame, Warn


@dataclass
class Resumed:
    """How far the leftover goes. `frames` in `segments` are copied; `proof` is the segment that follows them."""

    frames: int = 0
    segments: int = 0
    proof: Segment | None = None

    def check(self, segment: Segment, source: str | Path) -> None:
        """Raises InputError if `segment`, coded again, is not what the interrupted run made of these frames."""
        proof, self.proof = self.proof, None
        if proof is not None and segment != proof:
            raise InputError(
                f"{source}: frames {proof.first_frame} to {proof.first_frame + proof.frame_count - 1} do not come out "
                f"as the interrupted encode has them, so the source or the machine has changed; encode without --resume"
            )


def copy_segments(leftover: Path | None, header: StreamHeader, writer: StpWriter, *, name: str, warn: Warn) -> Resumed:
    """Write the leftover's complete segments but the last one with `writer`, whose header was written.

    What cannot be continued is one warning, and the encode starts anew.
    """
    done = Resumed()
    if leftover is None:
        warn(f"{name}: there is no interrupted encode of it to continue; starting anew")
        return done
    try:
        with StpReader(leftover) as stream:
            if stream.header != header:
                warn(f"{name}: the interrupted encode had other options or another source; starting anew")
                return done
            for segment in _complete(stream):
                if done.proof is not None:
                    writer.write_segment(done.proof)
                    done.frames += done.proof.frame_count
                    done.segments += 1
                done.proof = segment
    except StpError:
        pass  # cut off before its first segment: nothing was done
    return done


def _complete(stream: StpReader) -> Iterator[Segment]:
    """The segments from the first one on, up to a damaged or missing one."""
    frames = 0
    for number, entry in enumerate(stream.segments):
        if entry.first_frame != frames:
            return
        try:
            yield stream.read_segment(number)
        except CorruptSegment:
            return
        frames = entry.end_frame


def skip_done(parts: Iterator[Chunk[Frame]], done: Resumed, source: str | Path) -> Iterator[Chunk[Frame]]:
    """The chunks behind the frames that are done. Those before are still read: scene cuts depend on them.

    Raises InputError where no segment begins behind them, or no frame is left.
    """
    wrong = InputError(f"{source}: has other segments than the interrupted encode; encode without --resume")
    seen = 0
    for chunk in parts:
        if seen == done.frames and not chunk.opens_segment:
            raise wrong
        seen += len(chunk.frames)
        if seen > done.frames:
            yield chunk
            break
    for chunk in parts:
        yield chunk
    if seen <= done.frames and done.proof is not None:
        raise wrong
