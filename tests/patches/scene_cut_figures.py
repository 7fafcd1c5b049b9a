"""Measures the scene-cut detector on joined clips: python -m tests.patches.scene_cut_figures DATA

DATA is a folder as described in DESIGN.md §8, with its index.jsonl. Clips of one size and of different sources are
joined; every join is a cut, and so are the real cuts inside clips, found by eye (`CUTS`). Prints recall and false
cuts, also with flashes, fades, noise and low contrast added. Gives the figures in stpcodec/patches/scenes.py.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from stpcodec.patches.scenes import SceneCutDetector

HELD_OUT = ("train/part-2", "train/part-4", "train/part-5", "val")  # thresholds were set on parts 0 and 1
HANDHELD = ("eval", "shaky")
CUTS = {
    ("train/part-2/30a4164a_0015.mp4", 34),
    ("eval/pdf-scrolling-screen-content.mkv", 45),
    ("eval/street-cyclist.mkv", 5),
    ("shaky/action-cam-beach-run.mkv", 11),
    ("shaky/football-training-handheld.mkv", 113),
    ("shaky/handheld-dark-car-interior.mkv", 74),
    ("shaky/handheld-dark-car-interior.mkv", 138),
    ("shaky/handheld-film-street.mkv", 27),
    ("shaky/handheld-film-street.mkv", 64),
    ("shaky/handheld-film-street.mkv", 73),
    ("shaky/handheld-film-street.mkv", 125),
}
Change = Callable[[np.ndarray, int], np.ndarray]


def flash(y: np.ndarray, frame: int) -> np.ndarray:
    return np.clip(y * 1.5 + 50, 0, 255).astype(np.uint8) if frame % 13 == 7 else y


def fade(y: np.ndarray, frame: int) -> np.ndarray:
    """In from black over 12 frames, out to white from frame 28 on."""
    gain = min(1.0, frame / 12)
    black_in = 16 + (y - 16.0) * gain
    return (black_in + (235 - black_in) * np.clip((frame - 28) / 12, 0, 1)).round().astype(np.uint8)


def noise(y: np.ndarray, frame: int) -> np.ndarray:
    return np.clip(y + np.random.default_rng(frame).normal(0, 10, y.shape), 0, 255).astype(np.uint8)


def dark(y: np.ndarray, _: int) -> np.ndarray:
    return (16 + (y - 16.0) * 0.15).round().astype(np.uint8)


def lumas(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            yield np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def joined(data: Path, folders: tuple[str, ...]) -> Iterator[list[str]]:
    """Lists of clips of one size, neighbours of different sources."""
    rows = []
    for index in (data / "index.jsonl", data / "eval/index.jsonl", data / "shaky/index.jsonl"):
        rows += [(row["file"], row["source"]) for row in map(json.loads, index.read_text().splitlines())]
    by_size = defaultdict(list)
    for name, source in sorted(set(rows)):
        if name.startswith(folders):
            by_size[next(lumas(data / name)).shape].append((name, source))
    for clips in by_size.values():
        random.Random(1).shuffle(clips)
        line: list[str] = []
        last = None
        while following := next((clip for clip in clips if clip[1] != last), None):
            clips.remove(following)
            line.append(following[0])
            last = following[1]
        yield line


def measure(data: Path, folders: tuple[str, ...], change: Change | None = None, *, say: bool = False) -> str:
    found = cuts = false = frames = 0
    seconds = 0.0
    for line in joined(data, folders):
        detector = SceneCutDetector()
        for position, name in enumerate(line):
            for number, y in enumerate(lumas(data / name)):
                y = change(y, number) if change else y
                start = time.perf_counter()
                reported = detector.push(y)
                seconds += time.perf_counter() - start
                frames += 1
                if position == number == 0:
                    continue
                real = number == 0 or (name, number) in CUTS
                cuts += real
                found += real and reported
                false += reported and not real
                if say and reported != real:
                    print(f"  {'missed' if real else 'false'}: {name} frame {number}")
    return f"{found} of {cuts} cuts, {false} false in {frames} frames, {1000 * seconds / frames:.1f} ms a frame"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print("held out:", measure(folder, HELD_OUT, say=True))
    print("hand-held and evaluation:", measure(folder, HANDHELD, say=True))
    for change in (flash, fade, noise, dark):
        print(f"{change.__name__}:", measure(folder, ("train/part-2", "val"), change))
