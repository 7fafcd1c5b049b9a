"""One chunk through the codec: motion, transform, prior, entropy coder. Segments, tiles and files are above.

Streams of a chunk: two bytes ``[128 + its quality - the file's, mode | 0x80 when all motion is zero]``, then one
range-coded stream of motion residuals, z and y in this order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stpcodec.codec.latent_coder import decode_latents, encode_latents
from stpcodec.codec.motion_coder import decode_motion, encode_motion
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.chunk import ChunkLatents, to_integers
from stpcodec.latents.motion_field import Hierarchy, join_field
from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.model.motion_search import search
from stpcodec.model.planes import Planes
from stpcodec.model.rates import lagrange_lambda, squared_error
from stpcodec.model.transform import Model, Transform

PATCH = 16
STILL = 0x80
SKIP = 0x40
"""A mode of inter chunks: no latents at all, the frames are the prediction as it is."""
SKIP_CAUTION = 2.0
"""Errors count this much more than the Lagrangian says where a chunk could be skipped: a reference is at stake.
Chosen like CAUTION; not measured."""
OFFSET_ZERO = 128
MOTION_CAUTION = 1.8
"""Bits of motion count this much more than those of latents: what a better prediction gains, latents would have
gained in part. Measured: docs/ablations.md."""
INTRA_BONUS = 12
"""The intra frame is the reference of all that follows: it is coded this much above the quality asked for."""


@dataclass(frozen=True)
class History:
    """What a chunk leaves to the next: its last frame as decoded (N = 1), and its integer latents."""

    reference: Planes
    latents: ChunkLatents


@dataclass(frozen=True)
class EncodedChunk:
    streams: tuple[bytes, ...]
    latents: ChunkLatents
    history: History
    reconstruction: Planes


@dataclass(frozen=True)
class _Motion:
    """Residuals of a chunk's fields, and what `encode_motion` needs beside them."""

    base: list[Tensor]
    middle: list[Tensor]
    before: Tensor | None
    height: int
    width: int


@dataclass(frozen=True)
class ChunkCodec:
    """Codes chunks of frames whose sides are multiples of 16, in [0, 1], with `model`."""

    model: Model
    motion_tables: TableSet = field(init=False, repr=False)

    def __post_init__(self) -> None:
        counts = self.model.motion_tables.counts.numpy().astype("int64")
        object.__setattr__(self, "motion_tables", TableSet(counts))

    @property
    def chunk_frames(self) -> int:
        return self.model.chunk_frames

    @property
    def alignment(self) -> int:
        return PATCH

    @torch.inference_mode()
    def encode(self, frames: Planes, *, quality: int, history: History | None) -> EncodedChunk:
        """history None codes an intra chunk of one frame; otherwise 1 to `chunk_frames` frames."""
        count = len(frames)
        frames = frames.to(self.model.device)
        transform = self._transform(history)
        if count < 1 or count > transform.frames:
            raise ValueError(f"a chunk of {count} frames; this one holds 1 to {transform.frames}")
        if frames.height % PATCH or frames.width % PATCH:
            raise ValueError(f"frames of {frames.width}×{frames.height} are not padded to multiples of {PATCH}")
        asked = quality
        reference = None if history is None else history.reference
        field: Tensor | None = None
        motion: _Motion | None = None
        if history is None:
            quality = min(100, quality + INTRA_BONUS)
        else:
            field, motion = self._motion(transform, frames, history, quality)
        still = STILL if field is not None and motion is None else 0
        coder = self._coder(motion)
        mode = transform.choose_mode(frames, reference)
        frames = _extend(frames, transform.frames)
        context = transform.context(reference, self._spread(field, transform.frames), quality, mode)
        y, z = transform.analyse(frames, quality, context)
        before = _like(None if history is None else history.latents)
        y_hat = encode_latents(
            coder, transform, y, z, None if before is None else before.y[None].float(), quality,
            previous_z=None if before is None else before.z,
        )  # fmt: skip
        stream = coder.finish()
        decoded, mode, plain = _closest(transform, y_hat / SIXTEENTHS, quality, context, mode, frames)
        if plain is not None:
            bare = transform.synthesise(torch.zeros_like(y_hat), quality, plain)
            short = self._coder(motion).finish()
            lost = (_error(bare, frames) - _error(decoded, frames)) * frames.y.numel()
            if SKIP_CAUTION * float(lagrange_lambda(torch.tensor(quality))) * lost < 8 * (len(stream) - len(short)):
                decoded, mode, stream = bare, SKIP, short
                y_hat, z = torch.zeros_like(y_hat), torch.zeros_like(z)
        decoded = decoded[slice(0, count)]
        latents = ChunkLatents(to_integers(y_hat[0]), to_integers(z[0]), field, count, quality, mode)
        streams = (bytes((quality - asked + OFFSET_ZERO, mode | still)), stream)
        return EncodedChunk(streams, latents, History(decoded[slice(count - 1, count)], latents), decoded)

    @torch.inference_mode()
    def decode_latents(
        self, streams: tuple[bytes, ...], *, frame_count: int, height: int, width: int,
        quality: int, previous: ChunkLatents | None,
    ) -> ChunkLatents:  # fmt: skip
        """Integers only, no pixels. quality: the file's; previous None: an intra chunk.

        Raises CorruptFile on impossible streams.
        """
        transform = self.model.intra if previous is None else self.model.inter
        if len(streams) != 2 or len(streams[0]) != 2:
            raise CorruptFile(f"a chunk of {len(streams)} streams; the file is damaged or of another version")
        offset, flags = streams[0][0] - OFFSET_ZERO, streams[0][1]
        quality += offset
        if not 1 <= quality <= 100 or not 1 <= frame_count <= transform.frames:
            raise CorruptFile(f"a chunk of quality {quality} and {frame_count} frames; the file is damaged")
        coder = SymbolDecoder(streams[1])
        motion = None
        if previous is not None:
            hierarchy = Hierarchy.of(height, width)
            motion = torch.zeros(frame_count, 2, hierarchy.rows, hierarchy.columns, dtype=torch.int32)
            if not flags & STILL:
                field = _last_field(previous)
                motion = decode_motion(coder, self.motion_tables, frame_count, height, width, field)
        before, mode = _like(previous), flags & ~STILL
        size = (height // PATCH, width // PATCH)
        if mode == SKIP and previous is not None and transform.uses_motion:
            y, z = torch.zeros(1, transform.latents, *size), torch.zeros(1, *transform.hyper_shape(*size))
            return ChunkLatents(to_integers(y[0]), to_integers(z[0]), motion, frame_count, quality, mode)
        y, z = decode_latents(
            coder, transform, size, None if before is None else before.y[None].float(), quality, self.model.device,
            previous_z=None if before is None else before.z,
        )  # fmt: skip
        return ChunkLatents(to_integers(y[0]), to_integers(z[0]), motion, frame_count, quality, mode)

    @torch.inference_mode()
    def synthesise(self, latents: ChunkLatents, *, history: History | None) -> tuple[Planes, History]:
        """Pixels of a chunk from its integers and what came before it."""
        transform = self._transform(history)
        reference = None if history is None else history.reference
        fields = self._spread(latents.field, transform.frames)
        context = transform.context(reference, fields, latents.quality, latents.mode)
        y = latents.y[None].to(self.model.device).float() / SIXTEENTHS
        decoded = transform.synthesise(y, latents.quality, context)[slice(0, latents.frame_count)]
        return decoded, History(decoded[slice(latents.frame_count - 1, latents.frame_count)], latents)

    def _transform(self, history: History | None) -> Transform:
        return self.model.intra if history is None else self.model.inter

    def _motion(
        self, transform: Transform, frames: Planes, history: History, quality: int
    ) -> tuple[Tensor, _Motion | None]:
        """Searches the chunk's motion: the field on the CPU, and what is to be coded of it (None: it stands still)."""
        hierarchy = Hierarchy.of(frames.height, frames.width)
        still = torch.zeros(len(frames), 2, hierarchy.rows, hierarchy.columns, dtype=torch.int32)
        if not transform.uses_motion:
            return still, None
        # λ is bits per pixel per squared 8-bit error; the search wants squared error (of 1.0) per bit.
        lagrangian = MOTION_CAUTION / (float(lagrange_lambda(torch.tensor(quality))) * 255**2)
        bits = self.model.motion_tables.bits().to(self.model.device)
        before = _last_field(history.latents)
        base, middle = search(
            frames.y, history.reference.y[0], cost_bits=bits, lagrangian=lagrangian, before=before
        )  # fmt: skip
        moved = join_field([level.cpu() for level in base], [level.cpu() for level in middle])
        if not moved.any():
            return still, None
        return moved, _Motion(base, middle, before, frames.height, frames.width)

    def _coder(self, motion: _Motion | None) -> SymbolEncoder:
        """A new coder with the motion coded already."""
        coder = SymbolEncoder()
        if motion is not None:
            encode_motion(
                coder, motion.base, motion.middle, self.motion_tables, motion.height, motion.width, motion.before
            )  # fmt: skip
        return coder

    def _spread(self, motion: Tensor | None, frames: int) -> Tensor | None:
        """A short chunk's missing frames move like its last one."""
        if motion is None:
            return None
        motion = motion.to(self.model.device)
        return torch.cat((motion, motion[-1:].expand(frames - motion.shape[0], -1, -1, -1)))


def _like(latents: ChunkLatents | None) -> ChunkLatents | None:
    """The chunk before, if its latents mean the same: inter latents say nothing about intra ones, nor the reverse."""
    return None if latents is None or latents.intra else latents


def _closest(
    transform: Transform, y: Tensor, quality: int, context: Any, mode: int, frames: Planes
) -> tuple[Planes, int, Any]:
    """Of the transform's syntheses of y the one nearest to the frames, its mode, and the plainer context if any."""
    decoded = transform.synthesise(y, quality, context)
    other_context, other_mode = transform.plainer(context, mode)
    if other_mode == mode:
        return decoded, mode, None
    other = transform.synthesise(y, quality, other_context)
    if _error(other, frames) < _error(decoded, frames):
        return other, other_mode, other_context
    return decoded, mode, other_context


def _error(decoded: Planes, frames: Planes) -> float:
    """Mean over frames of the error that training weighs, 8-bit samples squared."""
    return float(squared_error(decoded, frames).mean())


def _last_field(latents: ChunkLatents) -> Tensor | None:
    return None if latents.field is None else latents.field[-1]


def _extend(frames: Planes, count: int) -> Planes:
    """Repeats the last frame up to a full chunk: the cheapest thing to code."""
    missing = count - len(frames)
    if not missing:
        return frames
    return frames.map(lambda plane: torch.cat((plane, plane[-1:].expand(missing, -1, -1))))
