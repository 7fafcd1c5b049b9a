"""One chunk through the codec: its pictures in the order of coding. Segments, tiles and files are above.

Streams of a chunk: one that holds two bytes for every picture, then one for every picture (codec/picture.py). Where a
segment's first picture is predicted from one of the model's library (model/library.py), its number is a third byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stpcodec.codec.choices import USUAL, Choices
from stpcodec.codec.interest import levels_of
from stpcodec.codec.picture import (
    SKIP,
    DecodePlace,
    EncodedPicture,
    PictureTask,
    Tables,
    cost_bits,
    decode_picture,
    encode_picture,
    levelled,
)
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.chunk import PATCH, ChunkLatents, PictureLatents
from stpcodec.latents.gop import Picture, coding_order, predicted_past
from stpcodec.latents.levels import level_counts
from stpcodec.latents.loop_filter import filter_counts
from stpcodec.latents.motion_field import scaled, still_fields
from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.latents.regions import region_counts
from stpcodec.model.library import in_unit_range, nearest
from stpcodec.model.loop_filter import filtered
from stpcodec.model.picture_motion import PictureMotion, anchor_motion, between_motion
from stpcodec.model.planes import Planes, join_frames
from stpcodec.model.rates import (
    CAUTION_BETWEEN,
    CAUTION_LAST,
    INTRA_BONUS,
    LIBRARY_BONUS,
    depth_bonus,
    lagrange_lambda,
)
from stpcodec.model.transform import Model, Transform

LONGEST_CHUNK = 8
"""Frames of a chunk of a model with motion: anchors are at most so far apart."""


@dataclass(frozen=True)
class History:
    """What a chunk leaves to the next: its last frame as decoded (N = 1), that frame's integers, and its length."""

    reference: Planes
    anchor: PictureLatents
    frame_count: int


@dataclass(frozen=True)
class EncodedChunk:
    streams: tuple[bytes, ...]
    latents: ChunkLatents
    history: History
    reconstruction: Planes


@dataclass(frozen=True)
class ChunkCodec:
    """Codes chunks of frames whose sides are multiples of 16, in [0, 1], with `model`. tilt: the model's."""

    model: Model
    choices: Choices = USUAL
    tilt: int = 0
    tables: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        counts = self.model.motion_tables
        parts = (counts.counts, counts.blend, region_counts(), level_counts(), filter_counts())
        tables = Tables(*(TableSet(part.numpy().astype("int64")) for part in parts))
        object.__setattr__(self, "tables", tables)

    def tilted(self, tilt: int) -> ChunkCodec:
        """The same codec with its model tilted so (Model.tilted). Raises CorruptFile: the model has no tilt."""
        if tilt == self.tilt:
            return self
        if not self.model.tilts or self.tilt:
            raise CorruptFile(
                f"the header says a tilt of {tilt}, which model {self.model.name} does not have; the file is damaged, "
                f"copy it again from its source"
            )
        return replace(self, model=self.model.tilted(tilt), tilt=tilt)

    def choosing(self, choices: Choices) -> ChunkCodec:
        """The same codec with other choices of its encoder."""
        other = copy(self)
        object.__setattr__(other, "choices", choices)
        return other

    @property
    def chunk_frames(self) -> int:
        return LONGEST_CHUNK if self.model.inter.uses_motion else self.model.inter.frames

    @property
    def plans_chunks(self) -> bool:
        """Whether shorter chunks than `chunk_frames` may be better."""
        return self.model.inter.uses_motion

    def picture_count(self, frame_count: int) -> int:
        """Pictures of a chunk of so many frames."""
        return frame_count if self.model.inter.uses_motion else 1

    @property
    def alignment(self) -> int:
        return PATCH

    def encode(self, frames: Planes, *, quality: int, history: History | None) -> EncodedChunk:
        """`begin`, and all its pictures one after the other."""
        chunk = self.begin(frames, quality=quality, history=history)
        for picture in chunk.order:
            chunk.code(picture)
        return chunk.result()

    def begin(
        self, frames: Planes, *, quality: int, history: History | None, qualities: Sequence[int] | None = None,
        weights: Tensor | None = None,
    ) -> ChunkEncoding:  # fmt: skip
        """history None: an intra chunk of one frame; otherwise 1 to `chunk_frames` frames.

        quality: of the file; qualities: of the pictures in the order of coding, None where all have the file's.
        weights ``[H/16, W/16]``: what errors in a patch count, None where all count 1.
        """
        count = len(frames)
        longest = 1 if history is None else self.chunk_frames
        if not 1 <= count <= longest:
            raise ValueError(f"a chunk of {count} frames; this one holds 1 to {longest}")
        if frames.height % PATCH or frames.width % PATCH:
            raise ValueError(f"frames of {frames.width}×{frames.height} are not padded to multiples of {PATCH}")
        pictures = self.picture_count(count)
        given = tuple(qualities or [quality] * pictures)
        if len(given) != pictures:
            raise ValueError(f"{len(given)} qualities for the {pictures} pictures of a chunk of {count} frames")
        return ChunkEncoding(self, frames.to(self.model.device), quality, history, given, weights)

    @torch.inference_mode()
    def decode_latents(
        self, streams: tuple[bytes, ...], *, frame_count: int, height: int, width: int,
        quality: int, previous: ChunkLatents | None,
    ) -> ChunkLatents:  # fmt: skip
        """Integers only, no pixels. quality: the file's; previous None: an intra chunk.

        Raises CorruptFile on impossible streams.
        """
        longest = 1 if previous is None else self.chunk_frames
        if not 1 <= frame_count <= longest:
            raise CorruptFile(f"a chunk of {frame_count} frames where at most {longest} can be; the file is damaged")
        pictures = self.picture_count(frame_count)
        from_library = previous is None and len(streams) == 2 and len(streams[0]) == 3
        if len(streams) != 1 + pictures or len(streams[0]) != 2 * pictures + from_library:
            raise CorruptFile(f"a chunk of {len(streams)} streams; the file is damaged or of another version")
        transform = self.model.intra if previous is None and not from_library else self.model.inter
        size, before = (height, width), None if previous is None else _like(previous.anchor)
        held = None if previous is None else previous.anchor.levels

        def decode(number: int, place: DecodePlace) -> PictureLatents:
            head = streams[0][2 * number : 2 * number + 2]
            return decode_picture(transform, self.tables, head, streams[1 + number], size, place, asked=quality)

        if from_library:
            self._library_picture(number := streams[0][2], size)
            opening = DecodePlace(0, 1, None, still=still_fields(1, height, width), gop=coding_order(1)[0])
            return ChunkLatents((replace(decode(0, opening), library=number),))
        if previous is None:
            return ChunkLatents((decode(0, DecodePlace(0, 1, None)),))
        if not transform.uses_motion:
            still = still_fields(frame_count, height, width)
            return ChunkLatents((decode(0, DecodePlace(0, frame_count, before, still=still, held=held)),))
        done: dict[int, PictureLatents] = {}
        for number, picture in enumerate(coding_order(frame_count)):
            guide = done[picture.guide] if picture.depth else previous.anchor
            place = DecodePlace(
                picture.position - 1, 1, _like(guide),
                still=still_fields(1, height, width), gop=picture, fields=_fields(done),
                before_field=_last_field(previous.anchor),
                held=guide.levels, held_filter=guide.loop_filter,
            )  # fmt: skip
            done[picture.position] = decode(number, place)
        return ChunkLatents(tuple(done.values()))

    @torch.inference_mode()
    def synthesise(self, latents: ChunkLatents, *, history: History | None) -> tuple[Planes, History]:
        """Pixels of a chunk, in order of time, from its integers and what came before it."""
        count, library = latents.frame_count, latents.anchor.library
        if history is None or not self.model.inter.uses_motion:
            known = () if history is None else (history.reference,)
            if library is not None:
                known = (self._library_picture(library, latents.anchor.size),)
            frames = self.synthesise_picture(self.model.inter if known else self.model.intra, latents.anchor, known)
        else:
            frames = history.reference.room_for(count)
            for picture, integers in zip(coding_order(count), latents.pictures, strict=True):
                references = tuple(
                    frames[slice(place - 1, place)] if place else history.reference for place in picture.references
                )
                # Into its place at once: a chunk of large frames should not be there twice.
                frames.put(picture.position - 1, self.synthesise_picture(self.model.inter, integers, references))
        last = frames[slice(count - 1, count)]
        return frames, History(last.map(Tensor.clone) if count > 1 else last, latents.anchor, count)

    def _library_picture(self, number: int, size: tuple[int, int]) -> Planes:
        """Raises CorruptFile: there is none of this number and size."""
        pictures = self.model.library
        if number >= len(pictures) or (pictures[number].height, pictures[number].width) != size:
            raise CorruptFile(
                f"begins from picture {number} of the model's library, of {size[1]}×{size[0]}, which model "
                f"{self.model.name} does not have; the file is damaged"
            )
        return in_unit_range(pictures[number])

    def synthesise_picture(
        self, transform: Transform, latents: PictureLatents, references: tuple[Planes, ...]
    ) -> Planes:
        """Pixels of one picture from its integers and the pixels of its references."""
        frames = self._unfiltered(transform, latents, references)
        if not latents.filtered:
            return frames
        assert latents.loop_filter is not None
        return filtered(frames, latents.loop_filter)

    def _unfiltered(self, transform: Transform, latents: PictureLatents, references: tuple[Planes, ...]) -> Planes:
        device = self.model.device
        field, choice = (None if part is None else part.to(device) for part in (latents.field, latents.choice))
        regions = None if latents.regions is None else latents.regions.to(device)
        context = transform.context(references, field, choice, latents.quality, latents.mode, regions=regions)
        bare = transform.bare(context) if latents.mode == SKIP else None
        if bare is not None:
            return bare[slice(0, latents.frame_count)]
        y = latents.y[None].to(device).float() / SIXTEENTHS
        quality = levelled(latents.quality, latents.levels, *latents.y.shape[1:])
        return transform.synthesise(y, quality, context)[slice(0, latents.frame_count)]


@dataclass(frozen=True)
class ChunkEncoding:
    """A chunk being encoded, picture by picture. Pictures whose references are coded may be coded at once, in several
    threads; what comes out does not depend on it.

    asked: the file's quality; qualities: of the pictures, as `order` has them.
    """

    codec: ChunkCodec
    frames: Planes
    asked: int
    history: History | None
    qualities: tuple[int, ...]
    weights: Tensor | None = None
    coded: dict[int, EncodedPicture] = field(default_factory=dict)
    """By position."""

    @property
    def order(self) -> tuple[Picture, ...]:
        """The pictures, each behind its references; one that holds all frames where the model has no motion."""
        count = len(self.frames)
        return coding_order(count)[: self.codec.picture_count(count)]

    def ready(self, picture: Picture) -> bool:
        return all(reference in self.coded for reference in picture.references if reference)

    @torch.inference_mode()
    def code(self, picture: Picture) -> None:
        self.coded[picture.position] = self._encoded(picture)

    @property
    def anchor(self) -> EncodedPicture:
        return self.coded[len(self.frames)]

    def leaves(self) -> History:
        """To the next chunk; needs the anchor alone."""
        decoded = self.anchor.decoded
        return History(decoded[slice(len(decoded) - 1, len(decoded))], self.anchor.latents, len(self.frames))

    @torch.inference_mode()
    def result(self, *, shown: bool = True) -> EncodedChunk:
        """When all pictures are coded. shown: with its frames as they decode; otherwise with none."""
        pictures = [self.coded[picture.position] for picture in self.order]
        latents = ChunkLatents(tuple(picture.latents for picture in pictures))
        if shown:
            frames = join_frames([self._shown(picture) for picture in sorted(self.order, key=lambda p: p.position)])
        else:
            frames = self.anchor.decoded[slice(0)]
        streams = (b"".join(picture.head for picture in pictures), *(picture.stream for picture in pictures))
        return EncodedChunk(streams, latents, self.leaves(), frames)

    def _shown(self, picture: Picture) -> Planes:
        own = self.coded[picture.position]
        if self._referenced(picture):
            return own.decoded
        references = tuple(self._decoded(position) for position in picture.references)
        return self.codec.synthesise_picture(self.codec.model.inter, own.latents, references)

    def _decoded(self, position: int) -> Planes:
        if position:
            return self.coded[position].decoded
        assert self.history is not None
        return self.history.reference

    def _referenced(self, picture: Picture) -> bool:
        """Whether other pictures are predicted from it: those of this chunk, or of the next."""
        return picture.future is None or any(picture.position in other.references for other in self.order)

    def _encoded(self, picture: Picture) -> EncodedPicture:
        model, tables, choices, count = self.codec.model, self.codec.tables, self.codec.choices, len(self.frames)
        quality = self.qualities[self.order.index(picture)]
        if self.history is None:
            return self._opening(quality)
        before, held = _like(self.history.anchor), self.history.anchor.levels
        if not model.inter.uses_motion:
            still = still_fields(count, self.frames.height, self.frames.width)
            task = PictureTask(
                self.frames, (self.history.reference,), quality, self.asked, before, 0, choices.caution,
                levels=self._levels(held), held=held,
            )  # fmt: skip
            return encode_picture(model.inter, tables, task, None, still)
        position, referenced = picture.position, self._referenced(picture)
        guide = self.coded[picture.guide].latents if picture.depth else self.history.anchor
        task = PictureTask(
            self.frames[slice(position - 1, position)],
            tuple(self._decoded(reference) for reference in picture.references),
            max(1, min(100, quality + round(choices.spread * depth_bonus(count, picture.depth)))),
            self.asked,
            _like(guide),
            position - 1,
            choices.caution * self._share_of_caution(picture),
            rounds=max(choices.rounds, choices.tilted_rounds if referenced and self.codec.tilt else 0),
            precise=referenced and (choices.precise or not picture.depth),
            judged=referenced or choices.judged,
            levels=guide.levels if picture.depth else self._levels(guide.levels),
            held=guide.levels,
            filters=choices.filters,
            held_filter=guide.loop_filter,
        )
        return encode_picture(model.inter, tables, task, self._motion(task, picture, self.history), None)

    def _opening(self, quality: int) -> EncodedPicture:
        """Of a segment: an intra picture, or one predicted from a picture of the model's library if that costs less."""
        choices, tables, model = self.codec.choices, self.codec.tables, self.codec.model
        opening = max(1, min(100, quality + choices.intra_bonus))
        task = PictureTask(
            self.frames, (), opening, self.asked, None, 0, choices.caution,
            rounds=max(choices.rounds, choices.intra_rounds), levels=self._levels(None),
            filters=choices.filters and model.intra.uses_motion,
        )  # fmt: skip
        intra = encode_picture(model.intra, tables, task, None, None)
        number = nearest(self.frames, model.library)
        if number is None:
            return intra
        library, bonus = in_unit_range(model.library[number]), LIBRARY_BONUS + choices.intra_bonus - INTRA_BONUS
        quality = max(1, min(100, quality + bonus))
        other = replace(task, references=(library,), quality=quality, rounds=choices.rounds)
        known = encode_picture(model.inter, tables, other, self._motion(other, self.order[0], None), None)
        if cost_bits(intra, task) <= cost_bits(known, task):
            return intra
        return replace(known, head=known.head + bytes((number,)), latents=replace(known.latents, library=number))

    def _share_of_caution(self, picture: Picture) -> float:
        if picture.future is None:
            return 1.0
        return CAUTION_BETWEEN if self._referenced(picture) else CAUTION_LAST

    def _levels(self, held: Tensor | None) -> Tensor | None:
        """Of the chunk's first picture, which the others keep."""
        return held if self.weights is None else levels_of(self.weights, held)

    def _motion(self, task: PictureTask, picture: Picture, history: History | None) -> PictureMotion:
        # λ is bits per pixel per squared 8-bit error; the search wants squared error (of 1.0) per bit.
        lagrangian = 1 / (float(lagrange_lambda(torch.tensor(task.quality))) * 255**2)
        caution, refinements = self.codec.choices.motion_caution, self.codec.choices.refinements
        patience, tables = self.codec.choices.patience, self.codec.model.motion_tables
        if picture.future is None:
            before = hint = None if history is None else _last_field(history.anchor)
            if history is not None and before is not None:
                hint = scaled(before, picture.position, history.frame_count)
            return anchor_motion(
                task.frames, task.references[0], tables, lagrangian, before=before, hint=hint, caution=caution,
                refinements=refinements, patience=patience,
            )  # fmt: skip
        around = {position: self.coded[position].latents for position in picture.references if position}
        predicted, across = predicted_past(picture, _fields(around))
        past, future = task.references
        return between_motion(
            task.frames, past, future, picture, tables, lagrangian, predicted=predicted, across=across, caution=caution,
            refinements=refinements, patience=patience if self._referenced(picture) else max(0, patience - 1),
        )  # fmt: skip


def _like(anchor: PictureLatents) -> PictureLatents | None:
    """The anchor before, if its latents mean the same: inter latents say nothing about intra ones, nor the reverse."""
    return None if anchor.intra else anchor


def _last_field(anchor: PictureLatents) -> Tensor | None:
    return None if anchor.field is None else anchor.field[-1]


def _fields(pictures: dict[int, PictureLatents]) -> dict[int, Tensor]:
    return {position: picture.field for position, picture in pictures.items() if picture.field is not None}
