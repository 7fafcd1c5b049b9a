"""The source's other streams on their way through the .stp file, by a temporary file beside the output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from stpcodec.codec.output import STANDARD_STREAM, OutputFile, output_error
from stpcodec.container import StpReader, StpWriter
from stpcodec.container.layout import RECORD, SIDECAR_HEAD
from stpcodec.container.limits import MAX_SIDECAR_PIECE
from stpcodec.errors import OutputError
from stpcodec.video.frames import Warn
from stpcodec.video.sidecar import extract_sidecar, is_readable
from stpcodec.video.splice import SidecarPart, cut_sidecar, join_sidecars

_PIECE_BYTES = 1 << 20


def write_sidecar(writer: StpWriter, source: str | Path, output: OutputFile, *, warn: Warn) -> int:
    """Put everything but the picture of `source` into the file; the number of bytes it takes there.

    It comes before the segments: a file cut off by a crash then still has its sound, and an unwritable
    stream is found out before hours of coding.
    """
    if str(source) == STANDARD_STREAM:
        return 0  # can be read only once; the reader warns when it holds more than a picture
    scratch = output.scratch(".sidecar")
    with _named(output, scratch):
        found = extract_sidecar(source, scratch, warn=warn)
    if not found:
        # At once: whoever is killed when the file has its name would leave it behind.
        scratch.unlink(missing_ok=True)
        return 0
    output.require_space(scratch.stat().st_size, "the sound and other streams")
    written = _write(writer, scratch)
    scratch.unlink(missing_ok=True)
    return written


def sidecar_size(source: str | Path, output: OutputFile) -> int:
    """How many bytes `write_sidecar` would take in the file."""
    scratch = output.scratch(".sidecar")
    with _named(output, scratch):
        size = scratch.stat().st_size if extract_sidecar(source, scratch, warn=lambda _: None) else 0
    scratch.unlink(missing_ok=True)
    return size + -(-size // MAX_SIDECAR_PIECE) * (RECORD.size + SIDECAR_HEAD.size)


def write_cut_sidecar(
    writer: StpWriter,
    stream: StpReader,
    output: OutputFile,
    *,
    start: Fraction | None,
    end: Fraction | None,
    warn: Warn,
) -> int:
    """Put a part of the sidecar of `stream` into another file, as `cut_sidecar`; the number of bytes it takes there."""
    whole = read_sidecar(stream, output)
    if whole is None:
        return 0
    if start is None and end is None:
        return _write(writer, whole)
    part = output.scratch(".sidecar")
    with _named(output, part):
        cut_sidecar(whole, part, start=start, end=end, name=stream.path, warn=warn)
    return _write(writer, part)


def write_joined_sidecars(
    writer: StpWriter, sources: Sequence[str | Path], starts: Sequence[int], output: OutputFile, *, warn: Warn
) -> int:
    """Put the sidecars of several files into one; the number of bytes they take there.

    starts: the pts at which the picture of each begins in the joined file.
    """
    parts = []
    for number, source in enumerate(sources):
        with StpReader(source) as stream:
            base, first_pts = Fraction(*stream.header.time_base), stream.segments[0].first_pts
            length = starts[number + 1] - starts[number] if number + 1 < len(starts) else 0  # the last has no end
            parts.append(
                SidecarPart(
                    path=read_sidecar(stream, output),
                    start=first_pts * base,
                    end=(first_pts + length) * base,
                    at=starts[number] * base,
                    name=str(source),
                )
            )
    if len(parts) == 1 and parts[0].path is not None:
        return _write(writer, parts[0].path)
    joined = output.scratch(".sidecar")
    with _named(output, joined):
        found = join_sidecars(parts, joined, warn=warn)
    return _write(writer, joined) if found else 0


def _write(writer: StpWriter, path: Path) -> int:
    before = writer.bytes_written
    writer.write_sidecar(_pieces(path))
    return writer.bytes_written - before


@contextmanager
def _named(output: OutputFile, scratch: Path) -> Iterator[None]:
    """Errors name the output: the name of a temporary file tells nobody anything."""
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace(str(scratch), output.name)) from error


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
