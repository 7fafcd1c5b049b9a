"""A segment: closed run of chunks, from frames to bytes and back."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
import xxhash
from torch import Tensor

from stpcodec.codec.choices import QUICK, Choices
from stpcodec.codec.chunk import ChunkCodec, EncodedChunk, History
from stpcodec.codec.effort import SearchedSegment, decibels
from stpcodec.codec.ending import ending_discount
from stpcodec.codec.first_lengths import JOININGS, TRIED_SAMPLES, tried_joining
from stpcodec.codec.lengths import coded_lengths
from stpcodec.codec.lookahead import Chain
from stpcodec.codec.opening import opening_bonus
from stpcodec.codec.parallel import Inline, picture_pool
from stpcodec.codec.planning import Planner
from stpcodec.codec.prefetch import prefetched
from stpcodec.codec.qualities import USUAL_EFFORT, Qualities
from stpcodec.codec.reserve import Builder, Reserve
from stpcodec.codec.samples import to_planes, to_samples
from stpcodec.codec.tiling import TiledCodec, TileLatents
from stpcodec.container import Chunk, Segment, StreamHeader
from stpcodec.errors import CorruptFile, CorruptSegment, UsageError
from stpcodec.model.planes import Planes
from stpcodec.model.rates import INTRA_BONUS
from stpcodec.patches.padding import padded_size
from stpcodec.video.frames import Frame

LOOKAHEAD_FRAMES = 16
"""Frames on their way through the encoder at most, when `SegmentBuilder.add` returns: two of the longest chunks. Those
that were added last wait beside them."""


@dataclass(frozen=True)
class SegmentCodec:
    """Codes segments of the stream that `header` describes. Holds no state between segments.

    qualities: to encode with; None: all chunks have the header's. reserve: for where the device's memory runs out.
    name: the file's, for errors of decoding it.
    """

    header: StreamHeader
    codec: ChunkCodec
    device: torch.device
    qualities: Qualities | None = None
    reserve: Reserve | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Raises CorruptFile: the header says a tilt that the model does not have."""
        if self.header.tilt:
            with self._named():
                object.__setattr__(self, "codec", self.codec.tilted(self.header.tilt))

    @property
    def tiled(self) -> TiledCodec:
        """Raises CorruptFile if the header's tiles cannot cover its frames."""
        header = self.header
        height, width = padded_size(header.height, header.width, self.codec.alignment)
        with self._named():
            return TiledCodec(
                self.codec,
                height=height,
                width=width,
                tile=header.tile,
                overlap=header.tile_overlap,
                quality=header.quality,
            )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What contradicts itself in the header, with the file it is in."""
        try:
            yield
        except CorruptFile as error:
            raise CorruptFile(self._titled(str(error))) from error

    def _where(self, segment: Segment) -> str:
        return self._titled(f"segment at frame {segment.first_frame}")

    def _titled(self, text: str) -> str:
        return f"{self.name}: {text}" if self.name else text

    def quality_of(self, first_frame: int, picture: int) -> int:
        """Of picture number `picture`, in the order of coding, of the segment that begins at `first_frame`."""
        return self.header.quality if self.qualities is None else self.qualities.of_picture(first_frame, picture)

    def open(self, first_frame: int, pool: Executor | None = None) -> Builder:
        """pool: codes the segment's pictures; None codes them in the caller's thread."""
        if self.reserve is None:
            return self._open(first_frame, pool)
        return self.reserve.builder(lambda: self._open(first_frame, pool), lambda other: other.open(first_frame, pool))

    def _open(self, first_frame: int, pool: Executor | None) -> SegmentBuilder | SearchedSegment:
        coding = pool or Inline()
        if self.qualities is None or self.qualities.effort == USUAL_EFFORT:
            return SegmentBuilder(self, first_frame, coding)
        if self.qualities.effort < USUAL_EFFORT:
            return SegmentBuilder(replace(self, codec=self.codec.choosing(QUICK)), first_frame, coding)
        if not self.codec.plans_chunks:
            raise UsageError(
                f"effort {self.qualities.effort}: the encoder of model {self.header.model} has nothing to choose; "
                f"leave it out"
            )

        def build(choices: Choices, raised: int) -> SegmentBuilder:
            owner = replace(self, codec=self.codec.choosing(choices))
            return SegmentBuilder(owner, first_frame, coding, raised=raised, measured=True)

        value = self.qualities.of_segment(first_frame)

        def lengths(parts: Sequence[Sequence[Frame]]) -> tuple[int, ...]:
            return coded_lengths(self.codec, (self.planes(part) for part in parts), round(value))

        # Tiles share their lengths, and each would have its own.
        found = None if self.header.tile else lengths
        return SearchedSegment(build, found, quality=value, effort=self.qualities.effort)

    def planes(self, frames: Sequence[Frame]) -> Planes:
        """As the codec takes them, padded, on the device."""
        depth, multiple = self.header.bit_depth, self.codec.alignment
        return to_planes(frames, bit_depth=depth, multiple=multiple, device=self.device)

    def pool(self, cores: int = 1, pictures: int | None = None) -> AbstractContextManager[Executor]:
        """`picture_pool`, to open segments with. Tiles are there since memory is short: one after the other."""
        return picture_pool(self.device, cores, 1 if self.header.tile else pictures)

    def latents(self, segment: Segment) -> Iterator[list[TileLatents]]:
        """The integers of every chunk, per tile; no pixels. Checks their hash after the last chunk.

        Raises:
            CorruptSegment: a chunk does not decode, or the hash is not the one stored.
        """
        tiled, hasher = self.tiled, xxhash.xxh3_128()
        previous: list[TileLatents] | None = None
        for index, chunk in enumerate(segment.chunks):
            self._check_length(segment, index, chunk)
            try:
                previous = tiled.decode_latents(chunk.streams, frame_count=chunk.frame_count, previous=previous)
            except CorruptFile as error:
                raise CorruptSegment(f"{self._where(segment)}, chunk {index}: {error}") from error
            for part in previous:
                part.latents.hash_into(hasher)
            yield previous
        if hasher.digest() != segment.latents_hash:
            raise CorruptSegment(
                f"{self._where(segment)}: its latents hash is {hasher.hexdigest()}, the file says "
                f"{segment.latents_hash.hex()}; the file is damaged or this machine decodes wrongly"
            )

    def _check_length(self, segment: Segment, index: int, chunk: Chunk) -> None:
        longest = self.codec.chunk_frames if index else 1
        if not 1 <= chunk.frame_count <= longest:
            raise CorruptSegment(
                f"{self._where(segment)}, chunk {index}: {chunk.frame_count} frames where at most {longest} can be"
            )

    def frames(self, segment: Segment) -> Iterator[Frame]:
        """The decoded frames with their times. Memory: a few chunks.

        Latents need no pixels, so they are decoded ahead, beside the synthesis.

        Raises:
            CorruptSegment: as `latents`; after the last frame if only the hash is wrong.
        """
        if self.reserve is None:
            return self._frames(segment)
        return self.reserve.frames(segment, lambda: self._frames(segment))

    def _frames(self, segment: Segment) -> Iterator[Frame]:
        tiled, header = self.tiled, self.header
        histories: list[History] | None = None
        index = 0
        with prefetched(self.latents(segment), depth=1) as ahead:
            for latents in ahead:
                planes, histories = tiled.synthesise(latents, histories)
                samples = to_samples(planes, height=header.height, width=header.width, bit_depth=header.bit_depth)
                del planes  # else they would be there until the next chunk's are
                for y, u, v in samples:
                    duration = segment.durations[index] if segment.durations else 0
                    yield Frame(y=y, u=u, v=v, pts=segment.pts[index], duration=duration)
                    index += 1


@dataclass
class _Coming:
    """A chunk being encoded, of so many tiles that are `missing` yet: those on their way, in order, and the streams of
    those before. originals, decoded: of tiles that are measured."""

    length: int
    missing: int
    originals: list[Planes]
    tiles: deque[Future[EncodedChunk]] = field(default_factory=deque)
    streams: list[bytes] = field(default_factory=list)
    decoded: list[Planes] = field(default_factory=list)


class SegmentBuilder:
    """One segment being encoded, chunk by chunk. Memory: its coded bytes, LOOKAHEAD_FRAMES frames,
    and those of the last `add` as they were read.

    raised: by how much its quality differs from what `owner` says. measured: whether to find `psnr_db`.
    """

    def __init__(
        self, owner: SegmentCodec, first_frame: int, pool: Executor, *, raised: int = 0, measured: bool = False
    ) -> None:
        self._owner, self._raised, self._measured = owner, raised, measured
        self._decibels: list[float] = []
        self._pool, self._first_frame = pool, first_frame
        self._tiled = owner.tiled
        self._chains: list[Chain] = []
        self._waiting: Sequence[Frame] | None = None
        self._opening: Future[EncodedChunk] | None = None
        self._tries = False
        self._hasher = xxhash.xxh3_128()
        self._ahead: deque[_Coming] = deque()
        self._chunks: list[Chunk] = []
        self._pts: list[int] = []
        self._durations: list[int] = []
        self._planner: Planner | None = None
        self._given = deque(owner.codec.choices.lengths) if owner.codec.plans_chunks else deque()
        self._begun = 0

    @property
    def coded_bytes(self) -> int:
        return sum(len(stream) for chunk in self._chunks for stream in chunk.streams)

    def add(self, frames: Sequence[Frame]) -> None:
        """Code a single frame when it is the first, at most the codec's `chunk_frames` later; as one chunk, or as
        several where the codec leaves that to the planner. Frames wait for those that are added next. Returns when few
        enough frames are on their way; errors of coding come with a later frame, or with `close`."""
        self._begin_waiting(frames)
        self._pts += [frame.pts for frame in frames]
        self._durations += [frame.duration for frame in frames]
        self._collect(LOOKAHEAD_FRAMES)

    def _begin_waiting(self, following: Sequence[Frame] | None) -> None:
        """following: waits from now on; None where the segment ends. How well the frames that have waited are coded
        depends on it: the first ones on how much of them comes back, the last ones on being the last."""
        waiting, self._waiting = self._waiting, following
        if waiting is None:
            return
        planes = self._owner.planes(waiting)
        if not self._chains:
            self._chains = self._tiled.chains(self._pool, self._choices(planes, following), shown=self._measured)
        self._begin(waiting, planes, last=following is None)

    def _choices(self, first: Planes, following: Sequence[Frame] | None) -> Choices | None:
        """Of the whole segment; None: the codec's."""
        owner = self._owner
        if following is None or not owner.codec.plans_chunks:
            return None
        later = owner.planes(following[-1:])
        less = INTRA_BONUS - opening_bonus(first.y[-1], later.y[-1], self._quality_of(0))
        return replace(owner.codec.choices, intra_bonus=owner.codec.choices.intra_bonus - less)

    def _quality_of(self, picture: int) -> int:
        return max(1, min(100, self._owner.quality_of(self._first_frame, picture) + self._raised))

    def _begin(self, frames: Sequence[Frame], planes: Planes, *, last: bool) -> None:
        owner, start = self._owner, 0
        for length in self._lengths(planes):
            windows = self._tiled.windows(planes[slice(start, start + length)])
            part = list(windows) if self._measured else []
            pictures = range(self._begun, self._begun + owner.codec.picture_count(length))
            qualities = [self._quality_of(picture) for picture in pictures]
            stop = start + length
            if last and self._begun and owner.codec.plans_chunks:
                qualities[0] = max(1, qualities[0] - ending_discount(len(frames) - stop))
            places: Sequence[Tensor | None] = [None] * len(self._chains)
            weights = self._weights(frames[start:stop], planes[slice(stop - 1, stop)])
            if weights is not None:
                places = self._tiled.patches(weights)
            coming = _Coming(length, len(self._chains), part)
            self._ahead.append(coming)
            for chain, window, place in zip(self._chains, part or windows, places, strict=True):
                coming.tiles.append(chain.add(window, qualities, place))
                if self._tries:
                    self._opening, self._tries = coming.tiles[-1], False
                self._collect(sys.maxsize)  # the integers of all tiles of a large frame are hundreds of megabytes
            self._begun = pictures.stop
            start = stop

    def _lengths(self, planes: Planes) -> list[int]:
        if not self._owner.codec.plans_chunks:
            return [len(planes)]
        if self._given:
            taken: list[int] = []
            while sum(taken) < len(planes):
                taken.append(self._given.popleft())
            return taken
        choices = self._owner.codec.choices
        if self._planner is None:
            self._planner = Planner(planes.y[-1], choices.joining)
            # Tiles share their lengths, and each would have its own.
            small = len(self._chains) == 1 and planes.height * planes.width <= TRIED_SAMPLES
            self._tries = small and choices.tries and choices.joining == 1
            return [len(planes)]
        opening, self._opening = self._opening, None
        if opening is None or len(planes) < self._owner.codec.chunk_frames:
            return self._planner.plan(planes.y)
        plans = self._planner.plans(planes.y, JOININGS)
        self._planner.joining = tried_joining(
            self._owner.codec, plans, planes, opening.result().history, self._quality_of(1), self._pool
        )
        return plans[JOININGS.index(self._planner.joining)]

    def _weights(self, frames: Sequence[Frame], last: Planes) -> Tensor | None:
        """What errors in each patch of a chunk count ``[H/16, W/16]``; None where all count alike in the whole file.

        last: the chunk's last frame.
        """
        interest = self._owner.qualities.interest if self._owner.qualities else None
        if interest is None:
            return None
        time_base = Fraction(*self._owner.header.time_base)
        return interest.weights([float(frame.pts * time_base) for frame in frames], last.y[0])

    def _collect(self, most: int) -> None:
        """Waits until at most so many frames are on their way."""
        while self._ahead:
            first, too_many = self._ahead[0], sum(coming.length for coming in self._ahead) > most
            if not first.tiles or not (too_many or first.tiles[0].done()):
                return
            part = first.tiles.popleft().result()
            part.latents.hash_into(self._hasher)
            first.streams += part.streams
            if first.originals:
                first.decoded.append(part.reconstruction)
            first.missing -= 1
            if not first.missing:
                self._ahead.popleft()
                if first.originals:
                    self._decibels += decibels(first.originals, first.decoded)
                self._chunks.append(Chunk(frame_count=first.length, streams=tuple(first.streams)))

    @property
    def psnr_db(self) -> float:
        """6:1:1, mean over frames, of the padded frames; of a measured segment that is closed."""
        return sum(self._decibels) / len(self._decibels)

    def close(self) -> Segment:
        self._begin_waiting(None)
        self._collect(0)
        return Segment(
            first_frame=self._first_frame,
            pts=tuple(self._pts),
            durations=tuple(self._durations) if any(self._durations) else None,
            chunks=tuple(self._chunks),
            latents_hash=self._hasher.digest(),
        )


class SegmentStream:
    """Chunks in, segments out: each is handed to `write` when it is complete.

    frames, segments: begun so far. pending_bytes: coded, but not handed on yet.
    """

    def __init__(self, codec: SegmentCodec, write: Callable[[Segment], object], pool: Executor | None = None) -> None:
        self._codec, self._write, self._pool = codec, write, pool
        self._open: Builder | None = None
        self.frames = 0
        self.segments = 0

    def add(self, frames: Sequence[Frame], *, opens_segment: bool) -> None:
        if opens_segment or self._open is None:
            self.finish()
            self._open = self._codec.open(self.frames, self._pool)
            self.segments += 1
        self._open.add(frames)
        self.frames += len(frames)

    def finish(self) -> None:
        """Hand on the last segment. Does nothing when there is none."""
        if self._open is not None:
            self._write(self._open.close())
            self._open = None

    @property
    def pending_bytes(self) -> int:
        return self._open.coded_bytes if self._open is not None else 0
