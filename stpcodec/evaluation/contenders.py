"""Codecs whose speed is compared: each encodes a video file to a coded one, and decodes that to nothing or to y4m."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import av
from av.codec.context import ThreadType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from stpcodec.errors import UsageError
from stpcodec.evaluation.anchors import DEFAULT_RATE, Anchor, configure
from stpcodec.video.frames import Frame
from stpcodec.video.pixels import PlaneReader
from stpcodec.video.reader import VideoReader
from stpcodec.video.scheduling import usual_scheduling
from stpcodec.video.writer import Y4M, VideoWriter

if TYPE_CHECKING:  # other codecs' processes do without torch
    from stpcodec.codec.models import LoadCodec


class Contender(Protocol):
    """setting: the quality, or what the other codec calls it. suffix: of the coded file."""

    @property
    def name(self) -> str: ...
    @property
    def setting(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    def encode(self, source: Path, coded: Path) -> None: ...
    def decode(self, coded: Path, target: Path | None) -> None:
        """target: a .y4m file, or None: every frame is decoded and let go."""
        ...


@dataclass
class Ours:
    """One of our models, by the conductors that everyone else calls. The model is loaded once.

    threads: of all jobs together. jobs: of more than one, each is a process of its own with its share of the threads,
    begun anew for every video as the program does.
    """

    model: str
    quality: int
    device: str
    threads: int
    effort: int = 1
    jobs: int = 1
    suffix: str = ".stp"
    _load: LoadCodec | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return Path(self.model).stem

    @property
    def setting(self) -> str:
        effort = f", effort {self.effort}" if self.effort != 1 else ""
        return f"quality {self.quality}{effort}" + (f", {self.jobs} jobs" if self.jobs != 1 else "")

    @property
    def _each(self) -> int:
        return max(1, self.threads // self.jobs)

    def encode(self, source: Path, coded: Path) -> None:
        from stpcodec.codec.encoder import encode

        encode(
            source, coded, quality=self.quality, effort=self.effort, model=self.model, device=self.device,
            threads=self._each, jobs=self.jobs, overwrite=True, load=self._loader(), warn=_ignore,
        )  # fmt: skip

    def decode(self, coded: Path, target: Path | None) -> None:
        if target is None:
            self._decode_to_nothing(coded)
            return
        from stpcodec.codec.decoder import decode

        decode(
            coded, target, model=self.model, device=self.device, threads=self._each, jobs=self.jobs, overwrite=True,
            load=self._loader(), warn=_ignore,
        )  # fmt: skip

    def _decode_to_nothing(self, coded: Path) -> None:
        """As `decode`, up to its frames."""
        from stpcodec.codec.crew import hired
        from stpcodec.codec.decoder import frames_ahead, video_of
        from stpcodec.codec.jobs import planned
        from stpcodec.codec.models import codec_of_file
        from stpcodec.codec.segments import SegmentCodec
        from stpcodec.codec.selection import select
        from stpcodec.codec.worker import Setup
        from stpcodec.container import StpReader

        with StpReader(coded) as stream:
            header, name = stream.header, str(coded)
            chosen = select(stream, start=None, end=None, name=name, conceal=False, warn=_ignore)
            loaded = codec_of_file(header, model=self.model, device=self.device, load=self._loader())
            codec = SegmentCodec(header, loaded.codec, loaded.device)
            with (
                planned(self.jobs, self._each, device=self.device, video=video_of(stream, chosen)) as plan,
                hired(plan, Setup(header, self.model, None, plan.threads, plan.cores, name=name), _ignore) as crew,
                frames_ahead(stream, codec, crew, chosen) as frames,
            ):
                _let_go(frames)

    def synchroniser(self) -> Callable[[], object] | None:
        """Waits until the device has done all that it was given; None where it does everything at once.

        Raises ModelError: there is no such device.
        """
        import torch

        from stpcodec.model.zoo import resolve_device

        device = resolve_device(self.device)
        match device.type:
            case "cuda":
                return partial(torch.cuda.synchronize, device)
            case "mps":
                return torch.mps.synchronize
        return None

    def _loader(self) -> LoadCodec:
        if self._load is None:
            from stpcodec.codec.allocator import keep_freed_memory
            from stpcodec.codec.models import CodecCache

            keep_freed_memory()  # as the program does
            self._load = CodecCache()
        return self._load


@dataclass(frozen=True)
class Other:
    """A codec of FFmpeg through PyAV, with the preset of `stpcodec bench`, into a .mkv file."""

    anchor: Anchor
    crf: int
    threads: int
    suffix: str = ".mkv"

    @property
    def name(self) -> str:
        return self.anchor.name

    @property
    def setting(self) -> str:
        return f"{self.anchor.knob} {self.crf}"

    def encode(self, source: Path, coded: Path) -> None:
        """Pictures go from FFmpeg's decoder to the encoder as they are."""
        with VideoReader(source, warn=_ignore) as reader:
            info = reader.info
        with av.open(str(source)) as video, av.open(str(coded), "w", format="matroska") as out:
            try:
                stream = cast(VideoStream, out.add_stream(self.anchor.encoder, rate=info.average_rate or DEFAULT_RATE))
            except (ValueError, av.FFmpegError):
                raise UsageError(f"anchor {self.name}: this PyAV has no {self.anchor.encoder}") from None
            context = stream.codec_context
            configure(context, self.anchor, info, self.crf, threads=self.threads)
            _use_threads(video.streams.video[0].codec_context, self.threads)
            with usual_scheduling():
                out.start_encoding()
            for number, picture in enumerate(video.decode(video=0)):
                picture = picture.reformat(context.width, context.height, context.pix_fmt)
                picture.pts, picture.time_base, picture.pict_type = number, context.time_base, PictureType.NONE
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))

    def decode(self, coded: Path, target: Path | None) -> None:
        with av.open(str(coded)) as video:
            _use_threads(video.streams.video[0].codec_context, self.threads)
            if target is None:
                _let_go(video.decode(video=0))
                return
            with VideoReader(coded, warn=_ignore) as reader:
                info = reader.info
            planes = None
            with VideoWriter(target, info, format_name=Y4M, warn=_ignore) as writer:
                for number, picture in enumerate(video.decode(video=0)):
                    planes = planes or PlaneReader(picture)
                    writer.write(Frame(*planes.planes(picture), pts=number))


def _use_threads(context: VideoCodecContext, threads: int) -> None:
    context.thread_type, context.thread_count = ThreadType.AUTO, threads


def _let_go(frames: Iterable[object]) -> None:
    for _ in frames:
        pass


def _ignore(message: str) -> None:
    """What the formats cannot keep has no part in speed."""
