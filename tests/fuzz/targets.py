"""What a mutated file is given to, and what each must hold to: a typed error, or the truth.

Every target returns what came out in one word, raises StpError for a refusal it is allowed, and Lie where something
changed that was not reported. Anything else that it raises is a crash.
"""

from __future__ import annotations

import enum
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from stpcodec.cli.info import describe, table
from stpcodec.codec.conceal import concealed_frames
from stpcodec.codec.decoder import decode
from stpcodec.codec.models import codec_of_file
from stpcodec.codec.repair import repair
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import select
from stpcodec.codec.stpfile import StpFile
from stpcodec.container import Segment, StpReader
from stpcodec.errors import CorruptFile, CorruptSegment, StpError
from tests.fuzz.originals import Original

LARGEST_DECODED = 1 << 20
"""Pixels. What a forged header asks for within the format's limits is allowed to take its memory and time."""


class Claim(enum.IntEnum):
    """What must hold of a mutated file that was not refused."""

    NOTHING = 0  # its checks were forged to say something else
    PIXELS = 1  # every frame that is decoded is one of the original's
    ALL = 2  # what is read is the original's, what is missing is reported


class Lie(Exception):
    """A frame changed, or is missing, and nothing said so."""


def container(path: Path, original: Original, claim: Claim) -> str:
    """Open, survey, verify, read every segment; every frame is read as it was or reported."""
    with StpReader(path) as reader:
        if reader.has_sidecar:
            _drain(reader)
    with StpReader(path) as reader:
        findings = list(reader.check())
        kept = [segment for n in range(len(reader.segments)) if (segment := _read(reader, n))]
        if claim < Claim.ALL:
            return "read"
        for segment in kept:
            if segment != original.segment_at(segment.first_frame):
                raise Lie(f"segment at frame {segment.first_frame} is not what was written")
        total = len(original.times)
        reported = set()
        for finding in findings:
            if not finding.intact and finding.first_frame is not None:
                reported |= set(range(finding.first_frame, total if finding.end_frame is None else finding.end_frame))
        read = {frame for s in kept for frame in range(s.first_frame, s.first_frame + s.frame_count)}
        if missing := set(range(total)) - read - reported:
            raise Lie(f"frames {sorted(missing)} are missing and not reported")
        sound = all(finding.intact for finding in findings)
        if sound and path.read_bytes() != original.data:
            raise Lie("a changed file is called sound")
        return "sound" if sound else "damage reported"


def _drain(reader: StpReader) -> None:
    try:
        for _ in reader.sidecar_pieces():
            pass
    except CorruptFile:
        pass


def _read(reader: StpReader, number: int) -> Segment | None:
    try:
        return reader.read_segment(number)
    except CorruptSegment:
        return None


def entropy(path: Path, original: Original, claim: Claim) -> str:
    """The integers of every segment that can be read are those that were written, or a typed error."""
    with StpReader(path) as reader:
        codec = _codec(reader)
        refused = 0
        for number in range(len(reader.segments)):
            segment = _read(reader, number)
            if segment is None:
                continue
            written = original.segment_at(segment.first_frame)
            same = written is not None and segment.latents_hash == written.latents_hash
            try:
                for _ in codec.latents(segment):  # checks the hash
                    pass
            except CorruptFile:
                refused += 1
                if claim == Claim.ALL:
                    raise Lie(f"segment at frame {segment.first_frame} is intact and does not decode") from None
                continue
            if claim >= Claim.PIXELS and not same:
                raise Lie(f"segment at frame {segment.first_frame} decodes to other integers")
        return "refused" if refused else "decoded"


def whole_decode(path: Path, original: Original, claim: Claim) -> str:
    """`decode`: nothing, or every frame; up to the last complete segment only with a warning."""
    with StpReader(path) as reader:
        _codec(reader)
    warnings: list[str] = []
    target = path.with_name("out.y4m")
    target.unlink(missing_ok=True)
    try:
        report = decode(path, target, device="cpu", warn=warnings.append)
    except StpError:
        if target.exists():
            raise Lie("an error, and a file under the output's name") from None
        raise
    if claim < Claim.PIXELS:
        return "decoded"
    shown = _y4m_pictures(target.read_bytes(), original)
    if report.frames != len(shown) or not _same(shown, original.pictures[: len(shown)]):
        raise Lie("decoded frames differ from the original's")
    if len(shown) < len(original.pictures) and not any("cut off" in line for line in warnings):
        raise Lie(f"{len(shown)} of {len(original.pictures)} frames without a warning")
    return "decoded" if len(shown) == len(original.pictures) else "decoded up to the cut"


def concealed_decode(path: Path, original: Original, claim: Claim) -> str:
    """`decode --conceal`: every frame not named in a warning is the original's."""
    warnings: list[str] = []
    with StpReader(path, thorough=True) as reader:
        codec = _codec(reader)
        chosen = select(reader, start=None, end=None, name=str(path), conceal=True, warn=warnings.append)
        if reader.frame_count > 4096:
            return "too long to decode here"
        shown = list(concealed_frames(reader, codec, chosen, warn=warnings.append))
    if any(later.pts <= earlier.pts for earlier, later in pairwise(shown)):
        raise Lie("times do not rise")
    if claim < Claim.ALL:
        return "decoded"
    filled = 0
    by_time = dict(zip(original.times, original.pictures, strict=True))
    for frame in shown:
        picture = by_time.get(frame.pts)
        if picture is None or not _same([(frame.y, frame.u, frame.v)], [picture]):
            filled += 1
    missing = len(original.pictures) - len(shown)
    if (filled or missing > 0) and not warnings:
        raise Lie(f"{filled} frames filled and {missing} missing without a warning")
    kept = sum(segment.frame_count for segment in _intact(path, original))
    if len(shown) - filled < kept:
        raise Lie(f"{len(shown) - filled} frames are exact, {kept} are in intact segments")
    if original.has_sound:  # what is left of the sidecar goes through FFmpeg
        decode(path, path.with_name("out.mkv"), device="cpu", vcodec="ffv1", conceal=True, overwrite=True, warn=str)
    return "concealed" if filled else "decoded"


def information(path: Path, original: Original, claim: Claim) -> str:
    with StpFile(path) as file:
        table(str(path), describe(file))
        return "complete" if file.complete else "incomplete"


def repairing(path: Path, original: Original, claim: Claim) -> str:
    """`repair`: a sound file of intact segments only, the input untouched."""
    before, target = path.read_bytes(), path.with_name("repaired.stp")
    target.unlink(missing_ok=True)
    try:
        report = repair(path, target)
    except StpError:
        if target.exists():
            raise Lie("an error, and a file under the output's name") from None
        raise
    if path.read_bytes() != before:
        raise Lie("the damaged file was changed")
    with StpReader(target) as reader:
        if not reader.complete or not all(finding.intact for finding in reader.check()):
            raise Lie("the repaired file is not sound")
        kept = [reader.read_segment(number) for number in range(len(reader.segments))]
    if claim < Claim.ALL:
        return "repaired"
    written = {segment.pts: segment for segment in original.segments}
    for segment in kept:
        if segment.pts not in written or segment.chunks != written[segment.pts].chunks:
            raise Lie(f"a repaired segment at {segment.pts[0]} is not what was written")
    frames = sum(segment.frame_count for segment in kept)
    if frames < len(original.times) and not report.losses:
        raise Lie("frames are lost and not reported")
    if frames < sum(segment.frame_count for segment in _intact(path, original)):
        raise Lie("an intact segment was not kept")
    return "repaired"


TARGETS = {
    "container reader": container,
    "entropy decoder": entropy,
    "whole decode": whole_decode,
    "decode --conceal": concealed_decode,
    "info": information,
    "repair": repairing,
}


def _codec(reader: StpReader) -> SegmentCodec:
    header = reader.header
    if header.width * header.height > LARGEST_DECODED:
        raise CorruptFile("not decoded here: forged to be large")
    loaded = codec_of_file(header, device="cpu")
    return SegmentCodec(header, loaded.codec, torch.device("cpu"))


def _intact(path: Path, original: Original) -> list[Segment]:
    """The original's segments that stand byte for byte in the damaged file where a thorough reader finds them."""
    with StpReader(path, thorough=True) as reader:
        kept = [segment for n in range(len(reader.segments)) if (segment := _read(reader, n))]
    return [segment for segment in kept if segment in original.segments]


def _y4m_pictures(data: bytes, original: Original) -> list[tuple[np.ndarray, ...]]:
    file = io.BytesIO(data)
    file.readline()
    pictures = []
    while file.readline():
        planes = []
        for plane in original.pictures[0]:
            kind = "<u2" if plane.dtype == np.uint16 else np.uint8
            planes.append(np.frombuffer(file.read(plane.nbytes), kind).reshape(plane.shape))
        pictures.append(tuple(planes))
    return pictures


def _same(a: object, b: object) -> bool:
    pairs = list(zip(a, b, strict=False))  # type: ignore[call-overload]
    return all(np.array_equal(x, y) for first, second in pairs for x, y in zip(first, second, strict=True))
