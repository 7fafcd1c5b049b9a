"""The ffmpeg program of the package imageio-ffmpeg: VMAF and VVenC, which the FFmpeg inside PyAV does not have."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from stpcodec.errors import UsageError

INSTALL = "pip install 'stpcodec[bench]'"


class NotAvailable(UsageError):
    """This installation cannot do it; the message says why and what to do."""


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg program. version: as it names itself, e.g. "n8.0". filters, encoders: what it was built with."""

    path: str
    version: str
    filters: frozenset[str]
    encoders: frozenset[str]

    def command(self, *arguments: str) -> list[str]:
        return [self.path, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]


def find_ffmpeg() -> Ffmpeg:
    """Look at the program that imageio-ffmpeg brings along (or that IMAGEIO_FFMPEG_EXE names).

    Raises NotAvailable: the package is not installed, or its program does not run.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise NotAvailable(f"the package imageio-ffmpeg is not installed: {INSTALL}") from None
    try:
        path = imageio_ffmpeg.get_ffmpeg_exe()
        version = _run(path, "-version").split()
        return Ffmpeg(
            path,
            version[2] if len(version) > 2 else "unknown",
            _second_words(_run(path, "-filters")),
            _second_words(_run(path, "-encoders")),
        )
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise NotAvailable(f"the ffmpeg program of imageio-ffmpeg does not run ({error}); install it again") from None


def with_filter(name: str) -> Ffmpeg:
    """Raises NotAvailable: no ffmpeg, or one that was built without this filter."""
    ffmpeg = find_ffmpeg()
    if name not in ffmpeg.filters:
        raise NotAvailable(f"the ffmpeg program of imageio-ffmpeg ({ffmpeg.version}) was built without {name}")
    return ffmpeg


def with_encoder(name: str) -> Ffmpeg:
    """Raises NotAvailable: no ffmpeg, or one that was built without this encoder."""
    ffmpeg = find_ffmpeg()
    if name not in ffmpeg.encoders:
        raise NotAvailable(f"the ffmpeg program of imageio-ffmpeg ({ffmpeg.version}) was built without {name}")
    return ffmpeg


def _run(path: str, question: str) -> str:
    done = subprocess.run([path, "-hide_banner", question], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def _second_words(listing: str) -> frozenset[str]:
    """`ffmpeg -filters` and `-encoders` print flags, then the name."""
    return frozenset(words[1] for words in map(str.split, listing.splitlines()) if len(words) > 1)
