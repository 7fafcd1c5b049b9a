"""What `encode` is asked to come to instead of a quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from stpcodec.cli.quantities import parse_rate, parse_size
from stpcodec.errors import UsageError

if TYPE_CHECKING:  # loads torch
    from stpcodec.codec.targets import Goal


@dataclass(frozen=True)
class Aim:
    """kind: "psnr", "size" or "bitrate"; value: in dB, bytes, bits a second."""

    kind: str
    value: float

    def goal(self) -> Goal:
        from stpcodec.codec.targets import Goal, Kind

        return Goal(Kind(self.kind), self.value)


def one_aim(
    context: typer.Context, *, psnr_db: float | None, size: str | None, bitrate: str | None
) -> Aim | None:
    """The one aim of a command line, or None. Raises UsageError for several, and beside --quality."""
    given = {"target_psnr": psnr_db, "target_size": size, "bitrate": bitrate, "quality": True}
    chosen = [name for name, value in given.items() if value is not None]
    commanded = [name for name in chosen if _is_commanded(context, name)]
    if len(commanded) > 1 or (not commanded and len(chosen) > 2):
        names = " and ".join(f"--{name.replace('_', '-')}" for name in commanded or chosen[:-1])
        raise UsageError(f"{names}: only one of them can be had at a time")
    if commanded:  # defaults from a file or the environment give way
        psnr_db = psnr_db if commanded == ["target_psnr"] else None
        size = size if commanded == ["target_size"] else None
        bitrate = bitrate if commanded == ["bitrate"] else None
    if psnr_db is not None:
        if not 0 < psnr_db < 100:
            raise UsageError(f"--target-psnr {psnr_db}: must be above 0 and below 100 dB")
        return Aim("psnr", psnr_db)
    if size is not None:
        return Aim("size", parse_size(size))
    return None if bitrate is None else Aim("bitrate", parse_rate(bitrate))


def _is_commanded(context: typer.Context, parameter: str) -> bool:
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"
