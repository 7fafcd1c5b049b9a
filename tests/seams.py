"""Whether tiles show: luma PSNR where tiles overlap and elsewhere, against the same frames coded whole.

python -m tests.seams CLIPS... [--size 1920x1080] [--frames 17] [--tile 512] [--quality 50]

Clips are scaled to the size first. Not all places are equally hard to code, so what tells is by how much tiles change
the PSNR where they overlap, and by how much elsewhere; also in the worst of the strips of 8 samples that lie equally
far from a tile's edge. The edge step is by how much tiles change the mean difference between the samples on both sides
of a tile's edge, where a seam would be a line.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from stpcodec import decode, encode
from stpcodec.codec.tiling import OVERLAP, choose_tile
from stpcodec.patches.padding import padded_size
from stpcodec.patches.tiles import Tile, plan_tiles
from stpcodec.video.reader import VideoReader

MULTIPLE = 16
STRIP = 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.seams")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--quality", type=int, default=50)
    parser.add_argument("--model")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print(
        "| clip | tile | bytes | overlap, share | whole there | tiled there | change there | worst 8 samples of it "
        "| change elsewhere | edge step |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for clip in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            print(row(clip, Path(folder), (width, height), options), flush=True)


def row(clip: Path, folder: Path, size: tuple[int, int], options: argparse.Namespace) -> str:
    """A line of the table, of one clip."""
    width, height = size
    source = scaled(clip, folder / "in.y4m", size, options.frames)
    files, sizes = {}, {}
    for name, tile in (("whole", 0), ("tiled", options.tile)):
        encode(source, folder / "x.stp", quality=options.quality, model=options.model, tile=tile, overwrite=True)
        decode(folder / "x.stp", folder / f"{name}.y4m", model=options.model)
        files[name], sizes[name] = folder / f"{name}.y4m", (folder / "x.stp").stat().st_size
    tiles = planned(height, width, options.tile)
    there = overlaps(tiles, height, width)
    errors = {name: squared_error(source, path) for name, path in files.items()}

    def changed(mask: np.ndarray) -> float:
        return psnr(errors["tiled"], mask) - psnr(errors["whole"], mask)

    away = distance(tiles, height, width)
    strips = [there & (away >= start) & (away < start + STRIP) for start in range(0, OVERLAP // 2, STRIP)]
    worst = min(changed(strip) for strip in strips)
    step = edge_step(files["tiled"], tiles) / edge_step(files["whole"], tiles) - 1
    cells = [
        clip.stem, str(options.tile), f"{sizes['tiled'] / sizes['whole'] - 1:+.1%}", f"{there.mean():.1%}",
        *(f"{psnr(errors[name], there):.2f} dB" for name in files),
        *(f"{change:+.3f} dB" for change in (changed(there), worst, changed(~there))), f"{step:+.2%}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def scaled(clip: Path, target: Path, size: tuple[int, int], frames: int) -> Path:
    with av.open(str(clip)) as video, av.open(str(target), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("wrapped_avframe", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(islice(video.decode(video=0), frames)):
            picture = frame.reformat(*size, "yuv420p", interpolation="BICUBIC")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return target


def planned(height: int, width: int, tile: int) -> list[Tile]:
    """The tiles that an encoder makes of it."""
    size, overlap = choose_tile(height, width, tile, MULTIPLE)
    if not size:
        raise SystemExit(f"frames of {width}x{height} are one tile of {tile}; use a smaller one")
    assert overlap == OVERLAP
    return plan_tiles(*padded_size(height, width, MULTIPLE), tile=size, overlap=overlap, multiple=MULTIPLE)


def overlaps(tiles: list[Tile], height: int, width: int) -> np.ndarray:
    """``[height, width]`` bool: where several tiles reach."""
    count = np.zeros((height, width), int)
    for tile in tiles:
        count[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    return count > 1


def distance(tiles: list[Tile], height: int, width: int) -> np.ndarray:
    """``[height, width]``: samples to the nearest edge of a tile, whatever the direction."""

    def along(length: int, edges: set[int]) -> np.ndarray:
        inner = np.array(sorted(edge for edge in edges if 0 < edge < length) or [4 * length])
        return np.abs(np.arange(length)[:, None] + 0.5 - inner).min(1)

    rows = along(height, {edge for tile in tiles for edge in (tile.y, tile.y + tile.height)})
    columns = along(width, {edge for tile in tiles for edge in (tile.x, tile.x + tile.width)})
    return np.minimum(rows[:, None], columns)


def lumas(path: Path) -> Iterator[np.ndarray]:
    with VideoReader(path, warn=lambda _: None) as reader:
        for frame in reader:
            yield frame.y.astype(np.float64)


def squared_error(original: Path, decoded: Path) -> np.ndarray:
    """Mean over frames, ``[height, width]``."""
    found = [(a - b) ** 2 for a, b in zip(lumas(original), lumas(decoded), strict=True)]
    return np.mean(found, 0)


def psnr(error: np.ndarray, mask: np.ndarray) -> float:
    return 10 * math.log10(255**2 / error[mask].mean())


def edge_step(path: Path, tiles: list[Tile]) -> float:
    """Mean difference between the samples on both sides of the edges of tiles."""
    rows = sorted({edge for tile in tiles for edge in (tile.y, tile.y + tile.height)})
    columns = sorted({edge for tile in tiles for edge in (tile.x, tile.x + tile.width)})
    steps = []
    for y in lumas(path):
        steps += [np.abs(y[edge] - y[edge - 1]).mean() for edge in rows if 0 < edge < y.shape[0]]
        steps += [np.abs(y[:, edge] - y[:, edge - 1]).mean() for edge in columns if 0 < edge < y.shape[1]]
    return float(np.mean(steps))


if __name__ == "__main__":
    main()
