"""Rate and PSNR of our models and of other codecs on the same frames: `stpcodec bench` in its quick form.

python -m stpcodec.evaluation.rate_distortion CLIPS... --models stp-s,dct --anchors x264,x265 --out report/

Writes points.csv (a row per encode), summary.json and report.md, and no page. Points that are already in points.csv are
not measured again, so an interrupted run goes on where it stopped; `--anchor-cache` keeps the other codecs'
points, which only depend on the clips, for later runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stpcodec.errors import StpError, UsageError
from stpcodec.evaluation.anchors import find_anchor
from stpcodec.evaluation.plan import DEFAULT_QUALITIES, Plan
from stpcodec.evaluation.report import report
from stpcodec.evaluation.request import find_clips, names_in, qualities_in
from stpcodec.evaluation.subjects import StpCodec
from stpcodec.evaluation.sweep import run


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m stpcodec.evaluation.rate_distortion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video files, or folders of them")
    parser.add_argument("--models", default="stp-s,dct", help="our models, comma separated (%(default)s); '' for none")
    parser.add_argument("--qualities", default=",".join(map(str, DEFAULT_QUALITIES)), help="(%(default)s)")
    parser.add_argument("--anchors", default="x264", help="of x264,x265,svtav1,vvenc (%(default)s); '' for none")
    parser.add_argument("--frames", type=int, help="only the first N frames of each clip")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for the results (%(default)s)")
    parser.add_argument("--anchor-cache", type=Path, help="CSV of anchor points to use and to extend")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--fresh", action="store_true", help="measure our models again (after a change of code)")
    parser.add_argument("--no-video-check", action="store_true", help="do not decode to .mp4 to compare frame times")
    options = parser.parse_args(arguments)
    try:
        plan = Plan(
            clips=find_clips(options.clips),
            subjects=tuple(StpCodec(name, device=options.device) for name in names_in(options.models)),
            out=options.out,
            qualities=qualities_in(options.qualities),
            anchors=tuple(find_anchor(name) for name in names_in(options.anchors)),
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


def _positive(frames: int | None) -> int | None:
    if frames is not None and frames < 1:
        raise UsageError(f"--frames {frames}: must be at least 1")
    return frames


if __name__ == "__main__":
    sys.exit(main())
