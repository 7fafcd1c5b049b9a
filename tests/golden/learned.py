"""Makes golden files of the learned default model: `python -m tests.golden.learned`, whenever its weights change.

That one command writes learned/NAME-WEIGHTS-*.stp and their hashes, for the weights that the package has now, and
removes files of weights that it no longer has: nothing can decode those any more. Commit what it did, with the weights
and their line in the CHANGELOG. Files of the same weights are never made anew to please a test: they pin what an
encoder wrote once, and every later version must decode them to the same integers. It makes only those of clips that are
new, unless told `--again`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stpcodec.codec.picture import FILTERED, FLAGS, SKIP
from stpcodec.container import StpReader
from stpcodec.model.learned import MIXED, PLAIN
from stpcodec.model.zoo import DEFAULT_MODEL, list_models
from tests.golden.clips import Clip, Golden, make, segment_sha256, worst_psnr_db

FOLDER = Path(__file__).parent / "learned"
HASHES = FOLDER / "hashes.json"
"""Weights sha256 → {"model": name, "files": {clip name: {"integers": [sha256 of each segment], "psnr_db": …}}}."""
CLIPS = (
    Clip("plain", 22, 48, 64, quality=40, segment_frames=12),
    Clip("odd-10-bit", 7, 37, 51, bit_depth=10, quality=80),
    Clip("tiles", 3, 96, 144, quality=3, segment_frames=2, tile=128),
    Clip("sound", 20, 32, 64, quality=20, segment_frames=4, sound=True),
    Clip("best", 5, 32, 32, quality=100),
    Clip("regions", 10, 64, 128, quality=40, segment_frames=8, pattern="half"),
    Clip("levels", 12, 96, 160, quality=50, segment_frames=8, pattern="half", tune="ssim"),
    Clip("filters", 16, 64, 112, quality=40, segment_frames=9, pattern="half"),
)


@dataclass(frozen=True)
class LearnedGolden(Golden):
    """psnr_db: luma of its worst frame, when it was made."""

    weights_sha256: str
    psnr_db: float

    @property
    def installed(self) -> bool:
        """Whether the package has the weights that it was made with."""
        return self.weights_sha256 in installed_weights().values()


@cache
def installed_weights() -> dict[str, str]:
    """sha256 of each of the package's weights files, by model."""
    files = {name: path for name, path in list_models().items() if path is not None}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def golden_files() -> list[LearnedGolden]:
    clips = {clip.name: clip for clip in CLIPS}
    return [
        LearnedGolden(
            clips[name], _path(entry["model"], weights, name), tuple(file["integers"]), weights, file["psnr_db"]
        )
        for weights, entry in _hashes().items()
        for name, file in entry["files"].items()
    ]


def modes(path: Path) -> dict[int, int]:
    """How many pictures of a file have each mode, and the flag of those that are filtered (FORMAT.md §10): whether a
    golden file exercises what it should."""
    found: dict[int, int] = {}
    with StpReader(path) as reader:
        for number in range(len(reader.segments)):
            for chunk in reader.read_segment(number).chunks:
                for flags in chunk.streams[0][1::2]:
                    mode = flags & ~FLAGS
                    found[mode] = found.get(mode, 0) + 1
                    if flags & FILTERED:
                        found[FILTERED] = found.get(FILTERED, 0) + 1
    return dict(sorted(found.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.learned", description=__doc__)
    parser.add_argument("--again", action="store_true", help="replace files of the same weights")
    args = parser.parse_args()
    installed, hashes = installed_weights(), _hashes()
    weights = installed[DEFAULT_MODEL]
    known = hashes[weights]["files"] if weights in hashes and not args.again else {}
    missing = [clip for clip in CLIPS if clip.name not in known]
    if not missing:
        print(f"files of {DEFAULT_MODEL}, weights {weights[:8]}, are there already; nothing was made")
        return 2
    for gone in set(hashes) - set(installed.values()):
        entry = hashes.pop(gone)
        for name in entry["files"]:
            _path(entry["model"], gone, name).unlink(missing_ok=True)
        print(f"removed: files of {entry['model']}, weights {gone[:8]}")
    FOLDER.mkdir(exist_ok=True)
    files = dict(known)
    for clip in missing:
        path = _path(DEFAULT_MODEL, weights, clip.name)
        make(clip, path, model=DEFAULT_MODEL)
        psnr_db = round(worst_psnr_db(clip, path), 2)
        files[clip.name] = {"integers": list(segment_sha256(path)), "psnr_db": psnr_db}
        print(f"{path.name}: {path.stat().st_size} bytes, worst frame {psnr_db} dB, pictures by mode {modes(path)}")
    seen = {mode for name in files for mode in modes(_path(DEFAULT_MODEL, weights, name))}
    if absent := {0, PLAIN, MIXED, SKIP, FILTERED} - seen:
        print(f"warning: no picture has mode {', '.join(map(str, sorted(absent)))}; change CLIPS until one has")
    hashes[weights] = {"model": DEFAULT_MODEL, "files": files}
    HASHES.write_text(json.dumps(hashes, indent=2) + "\n")
    return 0


def _hashes() -> dict[str, dict]:
    return json.loads(HASHES.read_text()) if HASHES.exists() else {}


def _path(model: str, weights: str, name: str) -> Path:
    return FOLDER / f"{model}-{weights[:8]}-{name}.stp"


if __name__ == "__main__":
    sys.exit(main())
