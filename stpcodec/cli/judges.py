"""MS-SSIM and VMAF as `bench` measures them, in the form in which an encode asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from stpcodec.errors import UsageError, VerificationFailed

if TYPE_CHECKING:  # the codec loads torch
    from stpcodec.codec.comparison import Judge, MakeJudge
    from stpcodec.container import StreamHeader
    from stpcodec.evaluation.perceptual import MsSsimMeter, VmafMeter
    from stpcodec.video.frames import Frame

_INSTALL = "install the extra: pip install 'stpcodec[bench]'"


def judge_of(kind: str) -> MakeJudge | None:
    """Of a goal of this kind; None where the codec measures it itself.

    Raises UsageError: what it needs is not installed.
    """
    match kind:
        case "ssim":
            return _ms_ssim_judge()
        case "vmaf":
            return _vmaf_judge()
    return None


def _ms_ssim_judge() -> MakeJudge:
    try:
        import pytorch_msssim  # noqa: F401 - asked for now rather than after the first encode
    except ImportError:
        raise UsageError(f"--target-ssim: MS-SSIM needs pytorch-msssim; {_INSTALL}") from None
    from stpcodec.evaluation.perceptual import MS_SSIM_SIDE, MsSsimMeter, has_ms_ssim

    def make(header: StreamHeader) -> Judge:
        if not has_ms_ssim(header.width, header.height):
            raise UsageError(
                f"--target-ssim: MS-SSIM needs sides longer than {MS_SSIM_SIDE} samples, the video has "
                f"{header.width}x{header.height}; use --target-psnr or --target-vmaf"
            )
        return _MsSsim(MsSsimMeter(header.bit_depth))

    return make


def _vmaf_judge() -> MakeJudge:
    from stpcodec.evaluation.ffmpeg import NotAvailable, with_filter
    from stpcodec.evaluation.perceptual import VmafMeter

    try:
        ffmpeg = with_filter("libvmaf")
    except NotAvailable as error:
        raise UsageError(f"--target-vmaf: {error}; {_INSTALL}") from error

    def make(header: StreamHeader) -> Judge:
        return _Vmaf(VmafMeter(ffmpeg, header.width, header.height, header.bit_depth))

    return make


@dataclass(frozen=True)
class _MsSsim:
    meter: MsSsimMeter

    def add(self, source: Frame, decoded: Frame, /) -> None:
        self.meter.add(source, decoded)

    def result(self) -> float:
        return _mean(self.meter.values)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class _Vmaf:
    meter: VmafMeter

    def add(self, source: Frame, decoded: Frame, /) -> None:
        self.meter.add(source, decoded)

    def result(self) -> float:
        return _mean(self.meter.finish())

    def close(self) -> None:
        self.meter.close()


def _mean(values: list[float]) -> float:
    if not values:
        raise VerificationFailed("no frame to measure: the decoded video is empty")
    return fmean(values)
