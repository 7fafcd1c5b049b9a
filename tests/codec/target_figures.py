"""How near targets are met, and what a region of interest does: the tables of docs/targets.md.

    python -m tests.codec.target_figures targets --model dct --frames 49 CLIPS...
    python -m tests.codec.target_figures regions --model stp-s --frames 17 --roi 160,64,128,128 CLIPS...
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from stpcodec.codec.encoder import EncodeReport, encode
from stpcodec.codec.goals import Goal, Kind
from stpcodec.codec.interest import Interest, Region
from stpcodec.codec.models import CodecCache
from stpcodec.codec.qualities import Qualities, tidy
from stpcodec.codec.stpfile import open as open_stp
from stpcodec.codec.targets import encode_to
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader
from tests.codec.clips import write_y4m

ASKED_QUALITY = 45
"""Targets are what this quality comes to, and 7 % more: never a whole quality."""


def frames_of(path: Path, count: int) -> list[Frame]:
    with VideoReader(path, warn=lambda _: None) as reader:
        return [frame for frame, _ in zip(reader, range(count), strict=False)]


def targets(clips: list[Path], model: str, count: int, folder: Path) -> None:
    print("| clip | frames, segments | size asked | reached | encodes | rate asked | reached | encodes |")
    print("|---|---|---|---|---|---|---|---|")
    load = CodecCache()
    for clip in clips:
        source, target = folder / "in.y4m", folder / "out.stp"
        write_y4m(source, [(f.y, f.u, f.v) for f in frames_of(clip, count)])

        def encode_at(path: Path, qualities: Qualities, measure: bool, source: Path = source) -> EncodeReport:
            return encode(
                source, path, quality=qualities, model=model, threads=1, jobs=1, overwrite=True, load=load,
                verify=measure,
            )  # fmt: skip

        plain = encode_at(target, Qualities(ASKED_QUALITY), False)
        size = round(1.07 * plain.bytes_written)
        cells = [f"{clip.stem} | {plain.frames}, {plain.segments}"]
        for goal in (Goal(Kind.SIZE, size), Goal(Kind.BITRATE, 8 * size * 25 / plain.frames)):
            done = encode_to(goal, source, target, encode_at, model=model, overwrite=True, load=load, threads=1)
            assert done.reached is not None
            cells.append(f"{goal.text(goal.value)} | {goal.deviation_text(done.reached)} | {done.encodes}")
        print(f"| {' | '.join(cells)} |", flush=True)


def luma_db(decoded: list[np.ndarray], source: list[np.ndarray]) -> float:
    values = []
    for ours, theirs in zip(decoded, source, strict=True):
        values.append(10 * math.log10(255**2 / np.mean((ours.astype(float) - theirs.astype(float)) ** 2)))
    return float(np.mean(values))


def regions(clips: list[Path], model: str, count: int, roi: str, folder: Path) -> None:
    x, y, width, height = map(int, roi.split(","))
    print("| clip | gain | quality | bytes | inside | outside |")
    print("|---|---|---|---|---|---|")
    load = CodecCache()
    for clip in clips:
        frames = frames_of(clip, count)
        source, target = folder / "in.y4m", folder / "out.stp"
        write_y4m(source, [(f.y, f.u, f.v) for f in frames])
        inside = np.zeros(frames[0].y.shape, bool)
        inside[y : y + height, x : x + width] = True

        def encode_at(path: Path, qualities: Qualities, measure: bool, source: Path = source) -> EncodeReport:
            return encode(source, path, quality=qualities, model=model, threads=1, jobs=1, overwrite=True, load=load)

        plain = encode_at(target, Qualities(50), False)
        for gain in (1.0, 4.0, 16.0):
            interest = Interest((Region(x, y, width, height, gain),)) if gain > 1 else None
            quality, size = 50.0, plain.bytes_written
            if interest is None:
                encode_at(target, Qualities(50), False)
            else:
                goal = Goal(Kind.SIZE, round(1.005 * plain.bytes_written))
                done = encode_to(
                    goal, source, target, encode_at, model=model, overwrite=True, load=load, interest=interest,
                    threads=1,
                )  # fmt: skip
                quality, size = done.quality, done.encode.bytes_written
            with open_stp(target) as file:
                decoded = [frame.y for frame in file]
            parts = [
                luma_db([d[mask] for d in decoded], [f.y[mask] for f in frames]) for mask in (inside, ~inside)
            ]
            print(
                f"| {clip.stem} | {gain:g} | {tidy(quality)} | {size} | {parts[0]:.2f} dB | {parts[1]:.2f} dB |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("targets", "regions"))
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", default="dct")
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--roi", default="160,64,128,128")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stpcodec-") as name:
        if options.what == "targets":
            targets(options.clips, options.model, options.frames, Path(name))
        else:
            regions(options.clips, options.model, options.frames, options.roi, Path(name))
