"""The source's other streams on their way through the .stp file, by a temporary file beside the output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stpcodec.codec.output import STANDARD_STREAM, OutputFile, output_error
from stpcodec.container import StpReader, StpWriter
from stpcodec.errors import OutputError
from stpcodec.video.frames import Warn
from stpcodec.video.sidecar import extract_sidecar, is_readable

_PIECE_BYTES = 1 << 20


def write_sidecar(writer: StpWriter, source: str | Path, output: OutputFile, *, warn: Warn) -> int:
    """Put everything but the picture of `source` into the file; the number of bytes it takes there.

    It comes before the segments: a file cut off by a crash then still has its sound, and an unwritable
    stream is found out before hours of coding.
    """
    if str(source) == STANDARD_STREAM:
        return 0  # can be read only once; the reader warns when it holds more than a picture
    scratch = output.scratch(".sidecar")
    try:
        found = extract_sidecar(source, scratch, warn=warn)
    except OutputError as error:  # the name of a temporary file tells nobody anything
        raise OutputError(str(error).replace(str(scratch), output.name)) from error
    if not found:
        return 0
    output.require_space(scratch.stat().st_size, "the sound and other streams")
    before = writer.bytes_written
    writer.write_sidecar(_pieces(scratch))
    scratch.unlink(missing_ok=True)
    return writer.bytes_written - before


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def read_sidecar(stream: StpReader, output: OutputFile) -> Path | None:
    """The sidecar as a temporary file that lives as long as `output` is open; None when there is none."""
    return _stored(stream.sidecar_pieces(), output)


def salvage_sidecar(stream: StpReader, output: OutputFile, *, warn: Warn) -> Path | None:
    """As `read_sidecar` of a damaged file: what is lost of it is zeros, or, if nothing can be read, all of it.

    Each is one warning.
    """
    damage: list[str] = []
    path = _stored(stream.salvage_sidecar(damage.append), output)
    for line in damage:
        warn(f"{stream.path}: {line}; sound and other streams may be damaged there")
    if damage and path is not None and not is_readable(path):
        warn(f"{stream.path}: nothing can be read of its sound and other streams; the picture comes without them")
        return None
    return path


def _stored(pieces: Iterator[bytes], output: OutputFile) -> Path | None:
    first = next(pieces, None)
    if first is None:
        return None
    path = output.scratch(".sidecar")
    try:
        with path.open("wb") as file:
            file.write(first)
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise output_error(output.name, error) from error
    return path
