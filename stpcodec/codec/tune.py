"""What an encode is to be best in at a given size: `--tune`. Without torch, for command lines."""

from __future__ import annotations

from stpcodec.errors import UsageError

PSNR, SSIM = TUNES = ("psnr", "ssim")
"""The usual one first. SSIM: activity.py, and the tilt of models that have one; others (`dct`) get activity alone."""


SSIM_TILT = 6
"""Eighths of what MS-SSIM asks for (Model.tilted). Measured: docs/ablations.md."""


def check_tune(tune: str) -> None:
    """Raises UsageError when there is none of this name."""
    if tune not in TUNES:
        raise UsageError(f"tune {tune!r}: must be {' or '.join(TUNES)}")
