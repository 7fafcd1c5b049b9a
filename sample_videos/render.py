"""Render the sample clips beside this script: `python sample_videos/render.py [NAME...]`.

Needs numpy and PyAV. Same libraries, same bytes: every random number is seeded, x264 runs on one thread
without assembly, and no date or version is written into the files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import crossing
import flight
import numpy as np
import yard
from numpy.typing import NDArray
from texture import Floats

HERE = Path(__file__).resolve().parent


def planes(picture: Floats, dice: np.random.Generator) -> NDArray[np.uint8]:
    """RGB [H, W, 3] in [0, 1] -> BT.709 limited-range I420 as PyAV wants it, [H * 3 / 2, W].

    Half a code value of dither keeps skies and walls from banding.
    """
    red, blue = picture[..., 0], picture[..., 2]
    # Written out: a matrix product may sum in another order when memory is aligned otherwise.
    luma = 0.2126 * red + 0.7152 * picture[..., 1] + 0.0722 * blue
    y = 16 + 219 * luma
    small = []
    for difference, scale in ((blue - luma, 1.8556), (red - luma, 1.5748)):
        height, width = difference.shape
        small.append(128 + 224 * (difference / scale).reshape(height // 2, 2, width // 2, 2).mean((1, 3)))
    out = np.concatenate([y.ravel(), small[0].ravel(), small[1].ravel()])
    out += dice.random(out.shape, np.float32) - 0.5
    return np.clip(np.rint(out), 16, 240).astype(np.uint8).reshape(-1, picture.shape[1])


def write(
    path: Path,
    frames: Iterable[Floats],
    *,
    rate: int,
    crf: int,
    title: str,
    sound: Floats | None = None,
    sample_rate: int = 44100,
) -> None:
    """Encode to MP4 with libx264 (and AAC)."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", options=options) as out:
        out.metadata["title"] = title
        dice = np.random.default_rng(0)
        video, audio = None, None
        index = -1
        for index, picture in enumerate(frames):
            if video is None:
                # asm=0: with its assembly, x264 gave other bytes for the same frames in one run of four.
                video = out.add_stream(
                    "libx264", rate=rate, options={"crf": str(crf), "preset": "slow", "x264-params": "asm=0"}
                )
                video.height, video.width, video.pix_fmt = *picture.shape[:2], "yuv420p"
                video.time_base = Fraction(1, rate)
                context = video.codec_context
                context.thread_count = 1
                context.color_range, context.colorspace = 1, 1
                context.color_primaries, context.color_trc = 1, 1
                context.flags |= av.codec.context.Flags.bitexact
                if sound is not None:
                    audio = out.add_stream("aac", rate=sample_rate, layout="stereo", options={"b": "96k"})
                    audio.codec_context.flags |= av.codec.context.Flags.bitexact
            frame = av.VideoFrame.from_ndarray(planes(picture, dice), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(video.encode(frame))
        if video is None:
            raise ValueError(f"{path}: nothing to write")
        out.mux(video.encode())
        if audio is not None and sound is not None:
            for start in range(0, sound.shape[1], 1024):
                block = np.ascontiguousarray(sound[:, start : start + 1024])
                piece = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
                piece.sample_rate, piece.pts, piece.time_base = sample_rate, start, Fraction(1, sample_rate)
                out.mux(audio.encode(piece))
            out.mux(audio.encode())
    print(f"{path.name}: {index + 1} frames, {path.stat().st_size / 1e6:.2f} MB")


def render(name: str) -> None:
    path = HERE / f"{name}.mp4"
    if name == "flight":
        write(path, flight.frames(), rate=25, crf=18, title="Flight over hills")
    elif name == "crossing":
        write(path, crossing.frames(), rate=25, crf=16, title="Objects crossing")
    else:
        write(
            path,
            yard.frames(),
            rate=yard.RATE,
            crf=14,
            title="A yard at dusk",
            sound=yard.sound(),
            sample_rate=yard.SAMPLE_RATE,
        )


def main() -> None:
    names = ["flight", "crossing", "yard"]
    parser = argparse.ArgumentParser(description="Render the sample clips beside this script.")
    parser.add_argument(
        "clips", nargs="*", default=names, metavar="NAME", help=f"{', '.join(names)}; default: all"
    )
    for name in parser.parse_args().clips:
        if name not in names:
            parser.error(f"no clip {name!r}; there are {', '.join(names)}")
        render(name)


if __name__ == "__main__":
    main()
