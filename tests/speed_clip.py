"""The clip of the README's speed: a folder's videos scaled to 640×360, one after the other, over and over.

python -m tests.speed_clip FOLDER OUT.mp4 [--frames 900]
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av

WIDTH, HEIGHT, RATE = 640, 360, 25


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.speed_clip")
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=int, default=900)
    options = parser.parse_args()
    with av.open(str(options.target), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "14", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, frame in enumerate(islice(_frames(options.folder), options.frames)):
            scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            scaled.pts, scaled.time_base, scaled.pict_type = number, Fraction(1, RATE), 0
            out.mux(stream.encode(scaled))
        out.mux(stream.encode(None))


def _frames(folder: Path):  # type: ignore[no-untyped-def]
    """Of videos of at least half the width."""
    videos = [path for path in sorted(folder.iterdir()) if path.suffix in (".mkv", ".mp4") and _wide(path)]
    if not videos:
        raise SystemExit(f"{folder}: holds no .mkv or .mp4 {WIDTH // 2} samples wide or more; name another")
    for path in cycle(videos):
        with av.open(str(path)) as source:
            yield from source.decode(video=0)


def _wide(path: Path) -> bool:
    with av.open(str(path)) as source:
        return source.streams.video[0].width >= WIDTH // 2


if __name__ == "__main__":
    main()
