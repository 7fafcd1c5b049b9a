"""What an encode can be asked to come to, and how far a value is from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from stpcodec.errors import UsageError


class Kind(StrEnum):
    SIZE = "size"  # bytes of the file
    BITRATE = "bitrate"  # bits a second without sound and other streams
    PSNR = "psnr"  # dB, 6:1:1, mean over frames
    SSIM = "ssim"  # MS-SSIM of luma, 0 to 1, mean over frames
    VMAF = "vmaf"  # 0 to 100, mean over frames


@dataclass(frozen=True)
class _Traits:
    """slope: of the scaled value, a step of quality, before two points are known. tolerance: as `Goal.deviation`.
    form: in messages. most: values are below it."""

    slope: float
    tolerance: float
    form: str
    most: float = math.inf


_TRAITS = {
    Kind.SIZE: _Traits(0.035, 0.02, "{:.0f} bytes"),
    Kind.BITRATE: _Traits(0.035, 0.02, "{:.0f} bit/s"),
    Kind.PSNR: _Traits(0.13, 0.08, "{:.2f} dB"),
    Kind.SSIM: _Traits(0.12, 0.001, "MS-SSIM {:.4f}", most=1.0),
    Kind.VMAF: _Traits(0.6, 0.25, "VMAF {:.2f}", most=100.0),
}


@dataclass(frozen=True)
class Goal:
    kind: Kind
    value: float

    def __post_init__(self) -> None:
        most = _TRAITS[self.kind].most
        if not (math.isfinite(self.value) and 0 < self.value < most):
            limit = "" if math.isinf(most) else f" and below {most:g}"
            raise UsageError(f"target {self.kind} {self.value}: must be above 0{limit}")

    @property
    def is_bytes(self) -> bool:
        return self.kind in (Kind.SIZE, Kind.BITRATE)

    @property
    def slope(self) -> float:
        return _TRAITS[self.kind].slope

    @property
    def tolerance(self) -> float:
        return _TRAITS[self.kind].tolerance

    @property
    def aim(self) -> float:
        """Where a search goes, on the scale of `scaled`: a little on the right side, for a value is never quite hit."""
        margin = {Kind.SIZE: -0.008, Kind.PSNR: 0.02, Kind.SSIM: 0.03, Kind.VMAF: 0.1}.get(self.kind, 0.0)
        return self.scaled(self.value) + margin

    def scaled(self, value: float) -> float:
        """`value` on the scale on which quality is nearly a straight line."""
        if self.kind is Kind.SSIM:
            return -10 * math.log10(max(1e-6, 1 - value))
        return math.log(value) if self.is_bytes else value

    def meets(self, value: float) -> bool:
        """Whether `value` is on the right side of the goal. Of bit rates, either side is within the tolerance."""
        match self.kind:
            case Kind.SIZE:
                return value <= self.value
            case Kind.BITRATE:
                return abs(self.deviation(value)) <= self.tolerance
        return value >= self.value

    def is_near(self, value: float) -> bool:
        """Good enough to stop."""
        return self.meets(value) and abs(self.deviation(value)) <= self.tolerance

    def deviation(self, value: float) -> float:
        """Of bytes as a share of the goal, of others as they are."""
        return value / self.value - 1 if self.is_bytes else value - self.value

    def text(self, value: float) -> str:
        if self.kind is Kind.BITRATE:
            return f"{value / 1000:.1f} kbit/s"
        return _TRAITS[self.kind].form.format(value)

    def deviation_text(self, value: float) -> str:
        deviation = self.deviation(value)
        match self.kind:
            case Kind.PSNR:
                return f"{deviation:+.2f} dB"
            case Kind.SSIM:
                return f"{deviation:+.4f}"
            case Kind.VMAF:
                return f"{deviation:+.2f}"
        return f"{100 * deviation:+.1f} %"
