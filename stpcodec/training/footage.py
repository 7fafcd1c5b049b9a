"""A user's own footage as short clips: many places of a long video, instead of its first seconds.

Every video is read once and cut into pieces of at most PIECE_FRAMES frames, none across a scene cut. When there are
more than wanted, every second one is dropped and from then on every second one kept, and so on: what remains is spread
evenly over a video whose length nobody has to know. The last part of every video is held out for validation:

    |  0 |  1 |  2 |  3 |  4 |  5 |  6 |  7 |  8 |  9 |      a long video: the last fifth of its pieces
    |------------ learned from -----------| held out  |

    |     0      |      1  : |                               a short one: the last frames of its last piece
                           ^ held out from here
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stpcodec.errors import InputError, StpError
from stpcodec.patches.scenes import SceneCutDetector
from stpcodec.training.cache import find_media, stack_planes
from stpcodec.video.reader import VideoReader

PIECE_FRAMES = 25
MOST_PIECES = 64
"""Of all videos together: what a finetuning of minutes can make use of."""
WINDOW_HEIGHT, WINDOW_WIDTH = 384, 640
"""A piece of larger frames is a window of them, at another place for every piece."""
HELD_OUT = 0.2
LEAST_HELD_OUT = 7
"""Frames in one piece. A video of less than three times that is learned from as a whole."""
MANIFEST = "footage.json"


@dataclass(frozen=True)
class Footage:
    """Paths of pieces, in the cache's format (training/cache.py)."""

    learned: list[Path] = field(default_factory=list)
    held_out: list[Path] = field(default_factory=list)


def cut_footage(
    sources: list[Path], folder: Path, *, hold_out: bool,
    say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> Footage:  # fmt: skip
    """Pieces of videos (files and folders) in `folder`, or those cut before if they are of the same files.

    hold_out: keep the last part of every video out of `learned`. poll: called at every frame, may raise.
    Raises InputError: no video or picture, none of them readable, or too little to hold anything out.
    """
    media = find_media(sources)
    key = hashlib.sha256("|".join([str(hold_out), *map(_fingerprint, media)]).encode()).hexdigest()
    kept = _read_manifest(folder, key)
    if kept is not None:
        return kept
    remove_footage(folder)
    folder.mkdir(parents=True, exist_ok=True)
    footage = Footage()
    chosen = media[:: -(-len(media) // MOST_PIECES)]
    if len(chosen) < len(media):
        say(f"{len(chosen)} of {len(media)} files are used, spread evenly over them")
    for number, source in enumerate(chosen):
        try:
            pieces = _cut(source, folder, number, max(1, MOST_PIECES // len(chosen)), poll)
        except StpError as error:
            say(f"{source}: left out ({error})")
            continue
        if not pieces:
            say(f"{source}: left out (under 64×64)")
            continue
        learned, held_out = _split(pieces) if hold_out else (pieces, [])
        footage.learned.extend(learned)
        footage.held_out.extend(held_out)
    if not footage.learned:
        raise InputError(f"{sources[0]}: none of the {len(media)} files can be learned from; name readable videos")
    if hold_out and not footage.held_out:
        raise InputError(
            f"{sources[0]}: too short to hold a part out, no video has {3 * LEAST_HELD_OUT} frames of one scene; "
            f"name longer videos, or others for --validation"
        )
    names = {"learned": [p.name for p in footage.learned], "held_out": [p.name for p in footage.held_out]}
    (folder / MANIFEST).write_text(json.dumps({"key": key, **names}), encoding="utf-8")  # last: it vouches for all
    return footage


def remove_footage(folder: Path) -> None:
    """Deletes pieces and their motion, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for pattern in ("piece-*.npy", MANIFEST):
        for path in folder.glob(pattern):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _cut(source: Path, folder: Path, number: int, most: int, poll: Callable[[], None]) -> list[Path]:
    """Pieces of one file in order of time, at most `most` of them; none where its frames are too small."""
    kept: list[tuple[int, Path]] = []
    stride = 1
    draw = np.random.default_rng(number)
    for index, stacked in enumerate(_runs(source, draw, poll)):
        if index % stride:
            continue
        path = folder / f"piece-{number:04d}-{index:06d}.npy"
        np.save(path, stacked)
        kept.append((index, path))
        if len(kept) > most:
            stride *= 2
            for at, dropped in kept:
                if at % stride:
                    dropped.unlink()
            kept = [(at, path) for at, path in kept if at % stride == 0]
    return [path for _, path in kept]


def _runs(source: Path, draw: np.random.Generator, poll: Callable[[], None]) -> Iterator[np.ndarray]:
    """Runs of up to PIECE_FRAMES frames of one scene, uint8 ``[F, H * 3 // 2, W]``."""
    with VideoReader(source, warn=lambda message: None) as reader:
        height, width = reader.info.height // 16 * 16, reader.info.width // 16 * 16
        if height < 64 or width < 64:
            return
        shift, cuts = reader.info.bit_depth - 8, SceneCutDetector()
        run: list[np.ndarray] = []
        window = _window(height, width, draw)
        for frame in reader:
            poll()
            if (cuts.push(frame.y) or len(run) == PIECE_FRAMES) and run:
                yield np.stack(run)
                run, window = [], _window(height, width, draw)
            run.append(stack_planes(frame, window, shift))
        if run:
            yield np.stack(run)


def _window(height: int, width: int, draw: np.random.Generator) -> tuple[int, int, int, int]:
    rows, columns = min(height, WINDOW_HEIGHT), min(width, WINDOW_WIDTH)
    top, left = (int(draw.integers(room // 16 + 1)) * 16 for room in (height - rows, width - columns))
    return top, left, rows, columns


def _split(pieces: list[Path]) -> tuple[list[Path], list[Path]]:
    """(learned, held out) of one video's pieces. Where a fifth of them is less than one, a piece is cut in two."""
    lengths = [len(np.load(piece, mmap_mode="r")) for piece in pieces]
    count = int(len(pieces) * HELD_OUT)
    while 0 < count < len(pieces) - 1 and max(lengths[-count:]) < LEAST_HELD_OUT:
        count += 1
    if count:
        return pieces[:-count], pieces[-count:]
    missing = max(LEAST_HELD_OUT, round(sum(lengths) * HELD_OUT))
    for number in reversed(range(len(pieces))):
        take = max(missing, LEAST_HELD_OUT)
        keep = lengths[number] - take
        if keep < 0:
            missing -= lengths[number]
            continue
        if number == 0 and keep < 2 * LEAST_HELD_OUT:
            break
        if keep < LEAST_HELD_OUT:
            return pieces[:number], pieces[number:]
        start, end = _cut_in_two(pieces[number], take)
        return [*pieces[:number], start], [end, *pieces[number + 1 :]]
    return pieces, []


def _cut_in_two(piece: Path, held_out: int) -> tuple[Path, Path]:
    stacked, end = np.load(piece), piece.with_name(f"{piece.stem}-held.npy")
    np.save(end, stacked[-held_out:])
    np.save(piece, stacked[:-held_out])
    return piece, end


def _fingerprint(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"


def _read_manifest(folder: Path, key: str) -> Footage | None:
    try:
        fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if fields["key"] != key:
            return None
        footage = Footage(*([folder / Path(name).name for name in fields[part]] for part in ("learned", "held_out")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return footage if all(path.is_file() for path in (*footage.learned, *footage.held_out)) else None
