"""What `encode` and `quality-search` are asked to come to instead of a quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from stpcodec.cli.quantities import parse_rate, parse_region, parse_size
from stpcodec.codec.tune import PSNR, check_tune
from stpcodec.errors import UsageError

if TYPE_CHECKING:  # loads torch
    from stpcodec.codec.goals import Goal
    from stpcodec.codec.interest import Interest

TargetPsnr = Annotated[
    float | None,
    typer.Option("--target-psnr", metavar="DB", help="Instead of --quality: the lowest for this PSNR (6:1:1)."),
]
TargetSsim = Annotated[
    float | None,
    typer.Option("--target-ssim", metavar="0..1", help="The lowest for this MS-SSIM of luma; needs the extra bench."),
]
TargetVmaf = Annotated[
    float | None,
    typer.Option("--target-vmaf", metavar="0..100", help="The lowest for this VMAF; needs the extra bench."),
]
TargetSize = Annotated[
    str | None,
    typer.Option("--target-size", metavar="SIZE", help="Instead of --quality: the highest that fits into 25MB."),
]
Bitrate = Annotated[
    str | None,
    typer.Option("--bitrate", metavar="RATE", help="Instead of --quality: nearest to 800k, without the sound."),
]
MaxBitrate = Annotated[
    str | None,
    typer.Option("--max-bitrate", metavar="RATE", help="No second above 2M: its segments get less quality."),
]
Roi = Annotated[
    list[str] | None,
    typer.Option(
        "--roi", metavar="X,Y,W,H[,GAIN][@START-END]", show_default=False,
        help="More bits for this region, less elsewhere; may be given several times. Gain 4 if not said.",
    ),
]  # fmt: skip

Tune = Annotated[
    str,
    typer.Option(
        "--tune", metavar="psnr|ssim",
        help="ssim: finer where a picture is even, coarser where it is busy; better by MS-SSIM, worse by PSNR.",
    ),
]  # fmt: skip

_TARGETS = ("target_psnr", "target_ssim", "target_vmaf", "target_size", "bitrate")
"""Parameters of every verb that asks `one_aim`."""


@dataclass(frozen=True)
class Aim:
    """kind: of `Goal`; value: in dB, bytes, bits a second, as MS-SSIM or VMAF count."""

    kind: str
    value: float

    def goal(self) -> Goal:
        from stpcodec.codec.goals import Goal, Kind

        return Goal(Kind(self.kind), self.value)


def interest_of(roi: Sequence[str], tune: str) -> Interest | None:
    """What --roi and --tune say, None where all counts alike. Loads torch for it. Raises UsageError, for bad spelling
    before that."""
    places = [parse_region(text) for text in roi]
    check_tune(tune)
    if not places and tune == PSNR:
        return None
    from stpcodec.codec.interest import GAIN, Interest, Region

    regions = tuple(Region(*place, GAIN if gain is None else gain, start, end) for place, gain, start, end in places)
    return Interest(regions, tune)


def one_aim(context: typer.Context) -> Aim | None:
    """The one aim of a command line, or None. Raises UsageError for several, and beside --quality."""
    given = {name: context.params[name] for name in _TARGETS}
    chosen = [name for name, value in given.items() if value is not None]
    commanded = [name for name in (*chosen, "quality") if _is_commanded(context, name)]
    if len(commanded) > 1 or (not commanded and len(chosen) > 1):
        names = " and ".join(f"--{name.replace('_', '-')}" for name in commanded or chosen)
        raise UsageError(f"{names}: only one of them can be had at a time")
    if commanded:  # defaults from a file or the environment give way
        chosen = [name for name in chosen if name in commanded]
    if not chosen:
        return None
    (name,) = chosen
    value = given[name]
    if name in ("target_size", "bitrate"):
        assert isinstance(value, str)
        return Aim("size", parse_size(value)) if name == "target_size" else Aim("bitrate", parse_rate(value))
    assert isinstance(value, float | int)
    most, unit = {"target_psnr": (100, " dB"), "target_ssim": (1, ""), "target_vmaf": (100, "")}[name]
    if not 0 < value < most:
        raise UsageError(f"--{name.replace('_', '-')} {value}: must be above 0 and below {most}{unit}")
    return Aim(name.removeprefix("target_"), value)


def _is_commanded(context: typer.Context, parameter: str) -> bool:
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"
