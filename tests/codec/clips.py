"""Small videos made on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def pictures(
    count: int, *, height: int = 48, width: int = 64, bit_depth: int = 8, cut_at: int | None = None
) -> list[Triple]:
    """A textured plane moving one sample a frame; from frame `cut_at` on another scene."""
    scenes = [_texture(height, width + count, seed) for seed in (1, 2)]
    half = ((height + 1) // 2, (width + 1) // 2)
    found = []
    for index in range(count):
        second = cut_at is not None and index >= cut_at
        luma = scenes[second][:, index : index + width]
        chroma = np.full(half, 0.7 if second else 0.4) + 0.1 * np.sin(np.arange(half[1]) / 4 + index / 3)
        triple = [np.rint(plane * ((1 << bit_depth) - 1)) for plane in (luma, chroma, 1 - chroma)]
        kind = np.uint8 if bit_depth == 8 else np.uint16
        found.append((triple[0].astype(kind), triple[1].astype(kind), triple[2].astype(kind)))
    return found


def _texture(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth waves of random directions, in [0.1, 0.9]."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in random.uniform(-0.5, 0.5, (6, 3)) * (1, 1, 6)]
    return 0.5 + 0.4 * np.clip(sum(waves) / 3, -1, 1)


def y4m(frames: list[Triple], *, rate: Fraction = Fraction(25)) -> bytes:
    """The frames as a raw y4m file."""
    height, width = frames[0][0].shape
    deep = frames[0][0].dtype == np.uint16
    kind = "C420p10 XYSCSS=420P10" if deep else "C420jpeg"
    parts = [f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 {kind}\n".encode()]
    for frame in frames:
        parts.append(b"FRAME\n")
        parts += [plane.astype("<u2").tobytes() if deep else plane.tobytes() for plane in frame]
    return b"".join(parts)


def write_y4m(path: Path, frames: list[Triple], *, rate: Fraction = Fraction(25)) -> Path:
    path.write_bytes(y4m(frames, rate=rate))
    return path


def write_video(
    path: Path,
    frames: list[Triple],
    *,
    codec: str = "ffv1",
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    sound: bool = False,
) -> Path:
    """The frames in a container by suffix. times: pts in `time_base`; by default 40 ms apart."""
    times = times or [40 * index for index in range(len(frames))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        height, width = frames[0][0].shape
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if frames[0][0].dtype == np.uint8 else "yuv420p10le"
        stream.time_base = stream.codec_context.time_base = time_base
        tone = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        for pts, triple in zip(times, frames, strict=True):
            picture = _picture(triple, stream.pix_fmt)
            picture.pts, picture.time_base = pts, time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if tone is not None:
            _add_tone(container, tone, seconds=float(times[-1] * time_base) + 0.04)
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        _add_tone(container, container.add_stream("pcm_s16le", rate=8000, layout="mono"), seconds=1.0)
    return path


def _add_tone(container: av.container.OutputContainer, stream: av.AudioStream, *, seconds: float) -> None:
    """In packets of 20 ms, so that it can be cut."""
    wave = (8000 * np.sin(np.arange(round(8000 * seconds)) / 9)).astype(np.int16)
    for start in range(0, len(wave), 160):
        samples = av.AudioFrame.from_ndarray(wave[None, start : start + 160], format="s16", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = 8000, start, Fraction(1, 8000)
        container.mux(stream.encode(samples))
    container.mux(stream.encode(None))


def _picture(triple: Triple, pixel_format: str) -> av.VideoFrame:
    height, width = triple[0].shape
    picture = av.VideoFrame(width, height, pixel_format)
    for plane, samples in zip(picture.planes, triple, strict=True):
        row_bytes = samples.shape[1] * samples.itemsize
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, :row_bytes] = samples.view(np.uint8).reshape(samples.shape[0], row_bytes)
        plane.update(rows.tobytes())
    return picture
