"""A `SpeedReport` as Markdown and as fields."""

from __future__ import annotations

import dataclasses
from typing import Any

from stpcodec.evaluation.speed import Profile, Speed, SpeedReport
from stpcodec.evaluation.stages import REST
from stpcodec.evaluation.tables import table


def speed_text(report: SpeedReport) -> str:
    heading = (
        f"{report.clip}: {report.frames} frames of {report.width}x{report.height}, {report.threads} threads; "
        f"frames a second, medians of {report.repetitions}\n\n"
    )
    head = ["codec", "setting", "bytes", "encode", "decode to null", "decode to y4m", "MiB encode", "MiB decode"]
    rows = [
        [
            speed.codec, speed.setting, str(speed.coded_bytes),
            *(f"{speed.frames_per_second(seconds):.1f}" for seconds in _runs(speed).values()),
            *(f"{size / 2**20:.0f}" for size in (speed.encode_peak_bytes, speed.decode_peak_bytes)),
        ]
        for speed in report.speeds
    ]  # fmt: skip
    return heading + table([head, *rows]) + "".join(_profile(profile) for profile in report.profiles)


def speed_fields(report: SpeedReport, speed: Speed) -> dict[str, Any]:
    fields = dataclasses.asdict(speed)
    for name, seconds in _runs(speed).items():
        fields[f"{name}_frames_per_second"] = round(speed.frames_per_second(seconds), 3)
        fields[f"{name}_seconds"] = [round(value, 4) for value in seconds]
    more = {"source": report.clip, "width": report.width, "height": report.height, "threads": report.threads}
    return more | fields


def _runs(speed: Speed) -> dict[str, tuple[float, ...]]:
    return {
        "encode": speed.encode_seconds,
        "decode_null": speed.decode_null_seconds,
        "decode_y4m": speed.decode_y4m_seconds,
    }


def _profile(profile: Profile) -> str:
    encode, decode = ({stage.name: stage for stage in part} for part in (profile.encode, profile.decode))
    names = [name for name in {**encode, **decode} if name != REST]
    rows = [
        [name, *(f"{part[name].share:.1%}" if name in part else "" for part in (encode, decode))]
        for name in [*names, REST]
    ]
    heading = f"\n{profile.codec}, shares of time (the processor's; on a GPU, on the clock):\n\n"
    text = heading + table([["stage", "encode", "decode to y4m"], *rows])
    if profile.macs:
        counted = [[part.name, f"{part.per_pixel:,.0f}"] for part in profile.macs]
        text += f"\n{profile.codec}, multiply-accumulates per pixel:\n\n" + table([["network", "MAC/pixel"], *counted])
    return text
