"""MS-SSIM and VMAF, frame by frame, each by the program that the field knows it by.

MS-SSIM: pytorch-msssim, with its defaults (the five scales and weights of Wang et al. 2003), of luma. The coarsest
scale is a sixteenth and its window 11 samples, so both sides must be longer than 160; smaller clips have none.
VMAF: libvmaf with the model vmaf_v0.6.1, its default, run by ffmpeg.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stpcodec.errors import UsageError, VerificationFailed
from stpcodec.evaluation.ffmpeg import INSTALL, Ffmpeg
from stpcodec.evaluation.metrics import Planes
from stpcodec.video.pixels import TARGET_BY_DEPTH

MS_SSIM_SIDE = 160
"""Both sides must be longer than this."""
VMAF_MODEL = "vmaf_v0.6.1"
_LOG = "vmaf.json"


def has_ms_ssim(width: int, height: int) -> bool:
    return min(width, height) > MS_SSIM_SIDE


def load_ms_ssim() -> Callable[..., Any]:
    """pytorch_msssim.ms_ssim.

    Raises UsageError: it is not installed.
    """
    try:
        from pytorch_msssim import ms_ssim
    except ImportError:
        raise UsageError(f"MS-SSIM needs pytorch-msssim: {INSTALL}; or leave it out with --metrics vmaf") from None
    return ms_ssim


class MsSsimMeter:
    """MS-SSIM of the luma of every frame, 0 to 1."""

    def __init__(self, bit_depth: int) -> None:
        import torch

        self.values: list[float] = []
        self._torch = torch
        self._ms_ssim = load_ms_ssim()
        self._peak = (1 << bit_depth) - 1

    def add(self, reference: Planes, decoded: Planes) -> None:
        ours, theirs = (
            self._torch.from_numpy(plane.astype(np.float32))[None, None] for plane in (decoded.y, reference.y)
        )
        with self._torch.no_grad():
            self.values.append(float(self._ms_ssim(ours, theirs, data_range=self._peak)))


class VmafMeter:
    """VMAF of every frame, 0 to 100, once `finish` was called.

    Reference and decoded frame travel through one pipe, the one above the other, and ffmpeg cuts them apart again:
    two pipes could wait for each other for ever, and files would grow with the clip. Odd sizes are padded by one
    repeated row or column, as the other codecs pad them.
    """

    def __init__(self, ffmpeg: Ffmpeg, width: int, height: int, bit_depth: int) -> None:
        self.values: list[float] = []
        width, height = width + width % 2, height + height % 2
        self._folder = tempfile.TemporaryDirectory(prefix="stpcodec-vmaf-")
        graph = (
            f"split[a][b];[a]crop={width}:{height}:0:0[reference];[b]crop={width}:{height}:0:{height}[decoded];"
            f"[decoded][reference]libvmaf=model=version={VMAF_MODEL}:n_threads=1:log_fmt=json:log_path={_LOG}"
        )
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        command = ffmpeg.command(
            "-f", "rawvideo", "-pix_fmt", TARGET_BY_DEPTH[bit_depth], "-s", f"{width}x{2 * height}", "-r", "25",
            "-i", "-", "-lavfi", graph, "-f", "null", os.devnull,
        )  # fmt: skip
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                cwd=self._folder.name,  # so that the path of the log needs no escapes inside the graph
            )
        except OSError as error:
            self._folder.cleanup()
            raise VerificationFailed(f"VMAF: {ffmpeg.path} does not start ({error.strerror})") from None

    def add(self, reference: Planes, decoded: Planes) -> None:
        """Raises VerificationFailed when ffmpeg gave up."""
        assert self._process.stdin is not None
        try:
            for upper, lower in ((reference.y, decoded.y), (reference.u, decoded.u), (reference.v, decoded.v)):
                for plane in (upper, lower):
                    if plane is reference.y or plane is decoded.y:
                        plane = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge")
                    self._process.stdin.write(np.ascontiguousarray(plane).data)
        except BrokenPipeError:
            raise self._failure() from None

    def finish(self) -> list[float]:
        """`values`, once libvmaf has seen them all.

        Raises VerificationFailed when ffmpeg failed.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            raise self._failure() from None
        log = Path(self._folder.name) / _LOG
        if self._process.wait() != 0 or not log.exists():
            raise self._failure()
        frames = json.loads(log.read_text(encoding="utf-8"))["frames"]
        self.values = [float(frame["metrics"]["vmaf"]) for frame in frames]
        return self.values

    def close(self) -> None:
        """End ffmpeg if it still runs, and remove its files."""
        if self._process.poll() is None:
            self._process.kill()
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # what was still to be written is of no use any more
        self._process.wait()
        self._complaints.close()
        self._folder.cleanup()

    def _failure(self) -> VerificationFailed:
        self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return VerificationFailed(f"VMAF: ffmpeg ended with {self._process.returncode}: {' '.join(said[-2:])}")
