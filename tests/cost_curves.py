"""Time and memory of encodes and decodes against the length of a video and the size of its frames, with slopes.

python -m tests.cost_curves CLIPS... [--lengths 300,600,1200,2400,4800] [--length-size 320x180]
                            [--sizes 320x180,640x360,1280x720,1920x1080,3840x2160] [--size-frames 33] [--log FILE]

Every clip is played forwards and backwards for its share of 300 frames, and a longer video is these 300 again and
again, so that lengths differ in nothing else and segments may be long. Each encode and decode (to y4m on standard
output, which nobody reads) is a process of its own with one job: its processor time, its most resident memory, and the
time on the clock, which means little while the machine does other things. Slopes are those of least squares on
logarithms: 1 where twice as much takes twice as long. What a video of one small frame takes, the start, is subtracted
from time and memory first, but not from the memory against length, which should not grow at all. Estimates of memory
are codec/budget.py's, for two threads.

--log: results, one JSON object a line; what is in it is not measured again, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, cycle, islice
from pathlib import Path
from statistics import median

import av

from stpcodec.codec.budget import DECODING, ENCODING
from stpcodec.codec.parallel import pictures_at_once
from stpcodec.evaluation.tables import table

BLOCK_FRAMES = 300
START = "start"


@dataclass(frozen=True)
class Cost:
    """One video both ways: processor seconds, seconds on the clock, most resident bytes."""

    series: str
    frames: int
    width: int
    height: int
    coded_bytes: int
    encode_seconds: float
    encode_clock: float
    encode_bytes: int
    decode_seconds: float
    decode_clock: float
    decode_bytes: int

    @property
    def samples(self) -> int:
        return self.width * self.height


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cost_curves")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--lengths", type=_numbers, default="300,600,1200,2400,4800", help="'' for none")
    parser.add_argument("--length-size", type=_size, default="320x180")
    sizes = "320x180,640x360,1280x720,1920x1080,3840x2160"
    parser.add_argument("--sizes", type=_sizes, default=sizes, help="'' for none")
    parser.add_argument("--size-frames", type=int, default=33)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="stp-s")
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    videos = [(START, 1, (64, 48))]
    videos += [("length", frames, options.length_size) for frames in options.lengths]
    videos += [("size", options.size_frames, size) for size in options.sizes]
    known = {_key(cost): cost for cost in _read(options.log)}
    costs = []
    for series, frames, size in videos:
        if (series, frames, size) not in known:
            print(f"{series}: {frames} frames of {size[0]}x{size[1]}", file=sys.stderr, flush=True)
            known[series, frames, size] = cost = _measured(series, frames, size, options)
            if options.log:
                with options.log.open("a", encoding="utf-8") as file:
                    print(json.dumps(asdict(cost)), file=file)
        costs.append(known[series, frames, size])
    print(report(costs), end="")


def report(costs: Sequence[Cost]) -> str:
    """Tables of both series and their slopes."""
    start = next(cost for cost in costs if cost.series == START)
    text = f"start: {_row(start)}\n"
    for series, words in (("length", "frames"), ("size", "samples of a frame")):
        found = [cost for cost in costs if cost.series == series]
        if not found:
            continue
        head = ["frames", "size", "encode s", "clock", "MiB", "estimate", "decode s", "clock", "MiB", "estimate"]
        text += f"\n{table([head, *([str(cell) for cell in _cells(cost)] for cost in found)])}"
        if len(found) < 2:
            continue
        across = [cost.frames if series == "length" else cost.samples for cost in found]
        for way in ("encode", "decode"):
            seconds = [getattr(cost, f"{way}_seconds") - getattr(start, f"{way}_seconds") for cost in found]
            base = 0 if series == "length" else getattr(start, f"{way}_bytes")
            memory = [getattr(cost, f"{way}_bytes") - base for cost in found]
            text += (
                f"{way} against {words}: time to the power {slope(across, seconds):.3f}, "
                f"memory to the power {slope(across, memory):.3f}; "
                f"{memory[-1] / memory[0]:.2f} times the memory of the first for the last\n"
            )
    return text


def slope(across: Sequence[float], values: Sequence[float]) -> float:
    """Of log(value) over log(across) by least squares; NaN where a value is none to take a logarithm of."""
    if min(values) <= 0:
        return math.nan
    xs, ys = [math.log(x) for x in across], [math.log(y) for y in values]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def write_video(target: Path, clips: Sequence[Path], frames: int, size: tuple[int, int]) -> None:
    """The clips at this size, as the module says."""
    share = -(-BLOCK_FRAMES // len(clips))
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "14", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        parts = (islice(_there_and_back(clip, size), share) for clip in clips)
        block = list(islice(chain.from_iterable(parts), min(frames, BLOCK_FRAMES)))
        for number, picture in enumerate(islice(cycle(block), frames)):
            picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, 25), 0
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def _there_and_back(clip: Path, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as video:
        pictures = [frame.reformat(*size, "yuv420p", interpolation="BICUBIC") for frame in video.decode(video=0)]
    yield from cycle(chain(pictures, pictures[-2:0:-1]))


def _measured(series: str, frames: int, size: tuple[int, int], options: argparse.Namespace) -> Cost:
    with tempfile.TemporaryDirectory() as name:
        source, coded = Path(name) / "in.mp4", Path(name) / "x.stp"
        write_video(source, options.clips, frames, size)
        common = ["-q", "--jobs", "1", "--threads", str(options.threads)]
        encode = ["encode", str(source), str(coded), "--overwrite", "--model", options.model, *common]
        found: dict[str, list[tuple[float, float, int]]] = {"encode": [], "decode": []}
        for _ in range(options.repetitions):
            found["encode"].append(_run(encode))
            found["decode"].append(_run(["decode", str(coded), "-", *common]))
        figures = {}
        for way, runs in found.items():
            for name_, values in zip(("seconds", "clock", "bytes"), zip(*runs, strict=True), strict=True):
                figures[f"{way}_{name_}"] = median(values)
        return Cost(series, frames, *size, coded.stat().st_size, **figures)  # type: ignore[arg-type]


_PROGRAM = """
import sys
from stpcodec.cli.main import main
code = main()
# Not getrusage, which begins with what the parent had.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024, file=sys.stderr)
sys.exit(code)
"""


def _run(args: list[str]) -> tuple[float, float, int]:
    """Processor seconds, seconds on the clock, most resident bytes of the program with these arguments."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()  # to its end
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"stpcodec {' '.join(args)}: {said}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, int(said.split()[-1])


def _cells(cost: Cost) -> Iterator[object]:
    yield from (cost.frames, f"{cost.width}x{cost.height}")
    for way, use in (("encode", ENCODING), ("decode", DECODING)):
        yield f"{getattr(cost, f'{way}_seconds'):.1f}"
        yield f"{getattr(cost, f'{way}_clock'):.1f}"
        yield f"{getattr(cost, f'{way}_bytes') / 2**20:.0f}"
        pictures = pictures_at_once(2) if way == "encode" else 1
        yield f"{use.bytes(cost.height, cost.width, 0, pictures=pictures) / 2**20:.0f}"


def _row(cost: Cost) -> str:
    return ", ".join(
        f"{way} {getattr(cost, f'{way}_seconds'):.1f} s, {getattr(cost, f'{way}_bytes') / 2**20:.0f} MiB"
        for way in ("encode", "decode")
    )


def _key(cost: Cost) -> tuple[str, int, tuple[int, int]]:
    return cost.series, cost.frames, (cost.width, cost.height)


def _read(log: Path | None) -> list[Cost]:
    if log is None or not log.exists():
        return []
    return [Cost(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word]


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def _sizes(text: str) -> list[tuple[int, int]]:
    return [_size(word) for word in text.split(",") if word]


if __name__ == "__main__":
    main()
