"""Does this installation code and decode? A few small frames there and back, without any file of the user's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from stpcodec.codec.encoder import encode
from stpcodec.codec.verify import verify
from stpcodec.errors import VerificationFailed

HEIGHT, WIDTH, FRAMES = 64, 96, 6
_LEAST_PSNR_DB = 28.0  # at quality 60 both models are well above


def self_test(model: str | None, *, device: str = "auto") -> float:
    """Encode and decode a moving pattern; its PSNR in dB.

    Raises:
        StpError: as `encode` and `verify`, or VerificationFailed where the result is not the pattern.
    """
    with tempfile.TemporaryDirectory(prefix="stpcodec-") as folder:
        source, target = Path(folder) / "pattern.y4m", Path(folder) / "pattern.stp"
        source.write_bytes(_pattern())
        report = encode(source, target, quality=60, model=model, device=device, verify=True)
        verify(target, deep=True, model=model, device=device).raise_if_bad()
    assert report.psnr_db is not None
    psnr_db = report.psnr_db["yuv"]
    if report.frames != FRAMES or psnr_db < _LEAST_PSNR_DB:
        raise VerificationFailed(
            f"model {report.model} on {report.device}: {report.frames} of {FRAMES} frames came back, "
            f"at {psnr_db:.1f} dB; try --device cpu, and report it"
        )
    return psnr_db


def _pattern() -> bytes:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    parts = [f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 C420jpeg\n".encode()]
    for number in range(FRAMES):
        wave = np.sin((columns + 2 * number) / 7) + np.cos((rows - number) / 9)
        luma = np.rint(128 + 45 * wave).astype(np.uint8)
        chroma = luma[::2, ::2] // 4 + 96
        parts += [b"FRAME\n", luma.tobytes(), chroma.tobytes(), (255 - chroma).tobytes()]
    return b"".join(parts)
