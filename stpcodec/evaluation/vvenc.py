"""VVenC, a fast H.266 encoder, run by ffmpeg: FFmpeg's libraries in PyAV can decode H.266, but not encode it.

It codes 10 bits only. 8-bit samples go in times four and come out rounded to 8 bits again, by the lines below and
not by swscale, which may dither. Raw pictures go in and a raw stream comes out of one program through pipes, so
memory does not grow with the clip.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from stpcodec.errors import UsageError
from stpcodec.evaluation.ffmpeg import Ffmpeg
from stpcodec.video.frames import Frame, Plane, VideoInfo

ENCODER = "libvvenc"
# Reading on in search of facts we do not need would hold back the first packets.
_NO_PROBING = {"probesize": "32", "analyzeduration": "0"}


def packets(
    ffmpeg: Ffmpeg,
    info: VideoInfo,
    rate: Fraction,
    frames: Iterable[Frame],
    options: Sequence[tuple[str, str]],
    waiting: deque[Frame],
    seconds: dict[str, float],
) -> Generator[Packet, None, None]:
    """Coded pictures in order of coding, numbered by their pts; every frame that went in is added to `waiting`.

    Raises UsageError: ffmpeg or VVenC cannot take the clip.
    """
    size = f"{info.width + info.width % 2}x{info.height + info.height % 2}"
    settings = [word for name, value in options for word in (f"-{name}", value)]
    command = ffmpeg.command(
        "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", size, "-r", str(rate), "-i", "-",
        "-c:v", ENCODER, *settings, "-threads", "1", "-f", "vvc", "-",
    )  # fmt: skip
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints)
        feeder = _Feeder(process.stdin, frames, waiting, shift=10 - info.bit_depth)
        feeder.start()
        try:
            yield from _read(process.stdout, seconds)
            failed = process.wait() != 0
        except av.FFmpegError:  # no stream came out at all
            failed = True
        finally:
            process.kill()
            process.wait()
            feeder.join()
            process.stdout.close()  # type: ignore[union-attr]
        if feeder.error is not None:
            raise feeder.error
        if failed:
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip().splitlines()
            raise UsageError(f"anchor vvenc: {' '.join(said[-2:]) or 'ffmpeg failed'}")


def _read(pipe: IO[bytes] | None, seconds: dict[str, float]) -> Generator[Packet, None, None]:
    started = time.perf_counter()
    with av.open(pipe, "r", format="vvc", options=_NO_PROBING) as container:
        coded = (packet for packet in container.demux(video=0) if packet.size)
        for number, packet in enumerate(coded):
            packet.pts = packet.dts = number
            seconds["encode"] += time.perf_counter() - started
            yield packet
            started = time.perf_counter()
    seconds["encode"] += time.perf_counter() - started


class _Feeder(threading.Thread):
    """Writes frames to the encoder while the main thread reads from it. error: what ended it, if anything did."""

    def __init__(self, pipe: IO[bytes] | None, frames: Iterable[Frame], waiting: deque[Frame], *, shift: int) -> None:
        super().__init__(name="vvenc-feeder", daemon=True)
        assert pipe is not None
        self.error: Exception | None = None
        self._pipe, self._frames, self._waiting, self._shift = pipe, frames, waiting, shift

    def run(self) -> None:
        try:
            with self._pipe:
                for frame in self._frames:
                    self._waiting.append(frame)
                    for plane in even_planes(frame):
                        self._pipe.write(np.ascontiguousarray(plane.astype(np.uint16) << self._shift).data)
        except BrokenPipeError:
            pass  # the encoder has ended and said why, or nobody reads it any more
        except Exception as error:  # raised again where the packets are read
            self.error = error


def even_planes(frame: Frame) -> tuple[NDArray, NDArray, NDArray]:
    """Luma padded to even sides by one repeated row or column; chroma has its size already."""
    height, width = frame.y.shape
    if height % 2 == width % 2 == 0:
        return frame.y, frame.u, frame.v
    return np.pad(frame.y, ((0, height % 2), (0, width % 2)), mode="edge"), frame.u, frame.v


def eight_bits(samples: Plane) -> NDArray[np.uint8]:
    """Ten bits rounded to eight."""
    return np.minimum((samples + 2) >> 2, 255).astype(np.uint8)
