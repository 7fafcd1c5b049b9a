"""`python -m tests.fuzz.evidence`: every cut of the golden files, and one segment of ten destroyed, as tables."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import stpcodec
from stpcodec.codec.conceal import concealed_frames
from stpcodec.codec.models import codec_of_file
from stpcodec.codec.segments import SegmentCodec
from stpcodec.codec.selection import select
from stpcodec.container import StpReader
from stpcodec.errors import StpError
from stpcodec.video.reader import VideoReader
from tests.codec.clips import write_y4m
from tests.codec.damage import flip_segment
from tests.fuzz.mutations import records_of
from tests.fuzz.originals import originals
from tests.fuzz.targets import TARGETS, Claim

CLIPS = Path("sample_videos")
FRAMES, SEGMENT_FRAMES, DESTROYED = 100, 10, 4


def truncations() -> None:
    """At every byte of the first 4 KiB, at every record boundary and one byte around it."""
    names = ("container reader", "info", "repair")
    print("| file | cuts | typed error | correct prefix |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.stp"
        for original in originals():
            sizes = set(range(min(4096, len(original.data))))
            sizes |= {record.offset + step for record in records_of(original.data) for step in (-1, 0, 1)}
            refused = prefixes = 0
            for size in sorted(sizes):
                path.write_bytes(original.data[:size])
                for name in names:
                    try:
                        TARGETS[name](path, original, Claim.ALL)
                        prefixes += 1
                    except StpError:
                        refused += 1
            print(f"| {original.name} | {len(sizes)} × {len(names)} | {refused} | {prefixes} |")


def concealment() -> None:
    """PSNR of luma over the filled frames, against what the intact file decodes to."""
    print("\n| clip | intact frames bit-exact | PSNR of filled frames | last frame repeated | intact file to source |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for clip in sorted(CLIPS.glob("*.mp4")):
            path = Path(folder) / "x.stp"
            with VideoReader(clip) as reader:
                source = [(frame.y, frame.u, frame.v) for frame, _ in zip(reader, range(FRAMES), strict=False)]
            cut = write_y4m(Path(folder) / "in.y4m", source)
            stpcodec.encode(cut, path, model="dct", device="cpu", segment_frames=SEGMENT_FRAMES, overwrite=True)
            with stpcodec.open(path, device="cpu") as file:
                whole = [(frame.pts, frame.y) for frame in file]
                first = file.segments[DESTROYED].first_frame
                end = file.segments[DESTROYED].end_frame
                count = len(file.segments)
            flip_segment(path, DESTROYED)
            with StpReader(path, thorough=True) as reader:
                loaded = codec_of_file(reader.header, device="cpu")
                codec = SegmentCodec(reader.header, loaded.codec, loaded.device)
                chosen = select(reader, start=None, end=None, name=str(path), conceal=True, warn=print)
                shown = [(f.pts, f.y) for f in concealed_frames(reader, codec, chosen, warn=lambda _: None)]
            intact = [i for i in range(len(whole)) if not first <= i < end]
            exact = sum(shown[i][0] == whole[i][0] and np.array_equal(shown[i][1], whole[i][1]) for i in intact)
            lost = range(first, end)
            filled = np.mean([_psnr_db(shown[i][1], whole[i][1]) for i in lost])
            frozen = np.mean([_psnr_db(whole[first - 1][1], whole[i][1]) for i in lost])
            coded = np.mean([_psnr_db(whole[i][1], source[i][0]) for i in lost])
            print(
                f"| {clip.stem}, {len(whole)} frames, {count} segments | {exact} of {len(intact)} | "
                f"{filled:.1f} dB over {len(lost)} | {frozen:.1f} dB | {coded:.1f} dB |"
            )


def _psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    truncations()
    concealment()
