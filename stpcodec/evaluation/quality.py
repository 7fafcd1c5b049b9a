"""Everything that is measured on one decoded clip, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean
from types import TracebackType

from stpcodec.errors import VerificationFailed
from stpcodec.evaluation.ffmpeg import Ffmpeg
from stpcodec.evaluation.metrics import Planes, Psnr, PsnrMeter, compare_all
from stpcodec.evaluation.perceptual import MsSsimMeter, VmafMeter, has_ms_ssim
from stpcodec.video.frames import VideoInfo

Watch = Callable[[int, Planes], None]
"""Called with the number of a frame and what was decoded."""


@dataclass(frozen=True)
class Instruments:
    """What to measure besides PSNR. vmaf: the ffmpeg program that has libvmaf. watch: sees the decoded frames."""

    ms_ssim: bool = False
    vmaf: Ffmpeg | None = None
    watch: Watch | None = None


PSNR_ONLY = Instruments()


@dataclass(frozen=True)
class Quality:
    """Figures of a clip and of every frame of it. frame_psnr: 6:1:1, in dB; None: not measured."""

    psnr: Psnr
    frame_psnr: tuple[float, ...]
    frame_ms_ssim: tuple[float, ...] | None = None
    frame_vmaf: tuple[float, ...] | None = None

    @property
    def ms_ssim(self) -> float | None:
        return fmean(self.frame_ms_ssim) if self.frame_ms_ssim else None

    @property
    def vmaf(self) -> float | None:
        return fmean(self.frame_vmaf) if self.frame_vmaf else None


@dataclass
class QualityMeter:
    """Feed it pairs of frames inside a `with` block, then ask for the `result`."""

    info: VideoInfo
    instruments: Instruments = PSNR_ONLY
    _psnr: PsnrMeter = field(init=False)
    _ms_ssim: MsSsimMeter | None = field(init=False, default=None)
    _vmaf: VmafMeter | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        width, height, depth = self.info.width, self.info.height, self.info.bit_depth
        self._psnr = PsnrMeter(depth)
        if self.instruments.ms_ssim and has_ms_ssim(width, height):
            self._ms_ssim = MsSsimMeter(depth)
        if self.instruments.vmaf is not None:
            self._vmaf = VmafMeter(self.instruments.vmaf, width, height, depth)

    def __enter__(self) -> QualityMeter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._vmaf is not None:
            self._vmaf.close()

    def add(self, reference: Planes, decoded: Planes, /) -> None:
        """Raises VerificationFailed when the two frames are not of one size."""
        self._psnr.add(reference, decoded)
        for meter in (self._ms_ssim, self._vmaf):
            if meter is not None:
                meter.add(reference, decoded)
        if self.instruments.watch is not None:
            self.instruments.watch(len(self._psnr.luma_db) - 1, decoded)

    def result(self) -> Quality:
        """Raises VerificationFailed when no frame was added, or libvmaf did not see them all."""
        psnr = self._psnr.result()
        vmaf = self._vmaf.finish() if self._vmaf is not None else None
        if vmaf is not None and len(vmaf) != psnr.frames:
            raise VerificationFailed(f"VMAF: libvmaf saw {len(vmaf)} of {psnr.frames} frames")
        return Quality(
            psnr,
            tuple(self._psnr.yuv_db),
            tuple(self._ms_ssim.values) if self._ms_ssim is not None else None,
            tuple(vmaf) if vmaf is not None else None,
        )


def measure_quality(
    reference: Iterable[Planes], decoded: Iterable[Planes], info: VideoInfo, instruments: Instruments
) -> Quality:
    """Raises as `metrics.compare_all`."""
    with QualityMeter(info, instruments) as meter:
        compare_all(reference, decoded, meter)
        return meter.result()
