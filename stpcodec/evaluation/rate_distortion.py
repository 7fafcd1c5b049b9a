"""Rate and distortion of our models and of other codecs on the same frames.

python -m stpcodec.evaluation.rate_distortion CLIPS... --models stp-s,dct --anchors x264,x265 --out report/

Writes points.csv (a row per encode), summary.json and report.md. Points that are already in points.csv are
not measured again, so an interrupted run goes on where it stopped; `--anchor-cache` keeps the other codecs'
points, which only depend on the clips, for later runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stpcodec.errors import InputError, StpError, UsageError
from stpcodec.evaluation.anchors import find_anchor
from stpcodec.evaluation.subjects import StpCodec
from stpcodec.evaluation.sweep import DEFAULT_QUALITIES, Plan, report, run

SUFFIXES = {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m", ".ts"}


def find_clips(names: Sequence[str]) -> tuple[Path, ...]:
    """Files as they are, folders as the videos directly in them, by name.

    Raises InputError: no such file, or a folder without videos.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no videos in this folder ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file; check the path")
    return tuple(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m stpcodec.evaluation.rate_distortion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video files, or folders of them")
    parser.add_argument(
        "--models", default="stp-s,dct", help="our models, comma separated (%(default)s); '' for none"
    )
    parser.add_argument("--qualities", default=",".join(map(str, DEFAULT_QUALITIES)), help="(%(default)s)")
    parser.add_argument("--anchors", default="x264", help="of x264,x265,svtav1 (%(default)s); '' for none")
    parser.add_argument("--frames", type=int, help="only the first N frames of each clip")
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="folder for the results (%(default)s)"
    )
    parser.add_argument("--anchor-cache", type=Path, help="CSV of anchor points to use and to extend")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--fresh", action="store_true", help="measure our models again (after a change of code)"
    )
    parser.add_argument(
        "--no-video-check", action="store_true", help="do not decode to .mp4 to compare frame times"
    )
    options = parser.parse_args(arguments)
    try:
        plan = Plan(
            clips=find_clips(options.clips),
            subjects=tuple(StpCodec(name, device=options.device) for name in _names(options.models)),
            out=options.out,
            qualities=_qualities(options.qualities),
            anchors=tuple(find_anchor(name) for name in _names(options.anchors)),
            frames=_positive(options.frames),
            anchor_cache=options.anchor_cache,
            fresh=options.fresh,
            check_video=not options.no_video_check,
        )
        result = run(plan, progress=lambda line: print(line, file=sys.stderr, flush=True))
    except StpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    print(report(result))
    return 0


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _qualities(text: str) -> tuple[int, ...]:
    try:
        values = tuple(sorted({int(part) for part in _names(text)}))
    except ValueError:
        raise UsageError(f"--qualities {text}: must be whole numbers, comma separated") from None
    if not values or not all(1 <= value <= 100 for value in values):
        raise UsageError(f"--qualities {text}: must be from 1 to 100")
    return values


def _positive(frames: int | None) -> int | None:
    if frames is not None and frames < 1:
        raise UsageError(f"--frames {frames}: must be at least 1")
    return frames


if __name__ == "__main__":
    sys.exit(main())
