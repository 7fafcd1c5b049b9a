"""From the words of a command line to a plan; what a command line gets wrong is said here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stpcodec.errors import InputError, UsageError
from stpcodec.evaluation.anchors import ANCHORS, Anchor, find_anchor
from stpcodec.evaluation.ffmpeg import Ffmpeg, NotAvailable, with_encoder, with_filter
from stpcodec.evaluation.quality import Instruments
from stpcodec.evaluation.vvenc import ENCODER as VVENC

SUFFIXES = {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m", ".ts"}
METRICS = ("ms-ssim", "vmaf")
AUTO = "auto"


def find_clips(names: Sequence[str]) -> tuple[Path, ...]:
    """Files as they are, folders as the videos directly in them, by name.

    Raises InputError: no such file, or a folder without videos.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no videos in this folder ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file; check the path")
    return tuple(found)


def names_in(text: str) -> list[str]:
    """Of a list with commas."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def qualities_in(text: str) -> tuple[int, ...]:
    """Raises UsageError: not whole numbers from 1 to 100."""
    try:
        values = tuple(sorted({int(part) for part in names_in(text)}))
    except ValueError:
        raise UsageError(f"--qualities {text}: must be whole numbers, comma separated") from None
    if not values or not all(1 <= value <= 100 for value in values):
        raise UsageError(f"--qualities {text}: must be from 1 to 100")
    return values


def anchors_in(text: str) -> tuple[tuple[Anchor, ...], list[str]]:
    """Anchors, and what the reader must know about them. `auto`: all that this installation has.

    Raises UsageError: no such anchor. (One named here that is not available fails when the sweep begins.)
    """
    if text != AUTO:
        return tuple(find_anchor(name) for name in names_in(text)), []
    try:
        with_encoder(VVENC)
    except NotAvailable as error:
        return tuple(a for a in ANCHORS.values() if a.encoder != VVENC), [f"Anchor vvenc not available: {error}."]
    return tuple(ANCHORS.values()), []


def instruments_in(text: str) -> tuple[Instruments, list[str]]:
    """Metrics besides PSNR, and a note for one that was asked for and is not available here.

    Raises UsageError: no such metric.
    """
    asked = names_in(text)
    for name in asked:
        if name not in METRICS:
            raise UsageError(f"--metrics {name}: there are {', '.join(METRICS)} (PSNR is always measured)")
    vmaf: Ffmpeg | None = None
    notes = []
    if "vmaf" in asked:
        try:
            vmaf = with_filter("libvmaf")
        except NotAvailable as error:
            notes.append(f"VMAF not available: {error}.")
    return Instruments(ms_ssim="ms-ssim" in asked, vmaf=vmaf), notes
