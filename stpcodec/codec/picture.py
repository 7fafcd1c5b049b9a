"""One coded picture: motion, transform, prior, entropy coder. Chunks, segments, tiles and files are above.

Its bytes: two ``[128 + its quality - the file's, mode | 0x80 when nothing is said of its motion | 0x20 when levels
are | 0x10 when it is filtered | 0x08 when its filter is said]``, and one range-coded stream of motion residuals,
levels, z, y, regions and loop filter in this order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.codec.filter_choice import choose_filter
from stpcodec.codec.filter_coder import decode_filter, encode_filter
from stpcodec.codec.latent_coder import decode_latents, encode_latents
from stpcodec.codec.level_coder import decode_levels, encode_levels
from stpcodec.codec.motion_coder import decode_choice, decode_field, encode_choice, encode_field, in_range
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.errors import CorruptFile
from stpcodec.latents.chunk import PATCH, PictureLatents, to_integers
from stpcodec.latents.gop import Picture, predicted_future, predicted_past
from stpcodec.latents.levels import patch_qualities
from stpcodec.latents.motion_field import ANCHOR, FUTURE, PAST
from stpcodec.latents.quantise import SIXTEENTHS
from stpcodec.latents.regions import LINEAR, REGION, network_share, region_shape
from stpcodec.model.loop_filter import filtered
from stpcodec.model.loop_filter_fit import fit
from stpcodec.model.picture_motion import PictureMotion
from stpcodec.model.planes import Planes
from stpcodec.model.quality import Quality
from stpcodec.model.rates import CAUTION, lagrange_lambda, squared_error, squared_error_map
from stpcodec.model.transform import Transform

ABSENT = 0x80
SKIP = 0x40
"""A mode of inter pictures: no latents at all, the frames are the prediction as it is."""
SKIP_CAUTION = 1.2
"""Errors count this much more than the Lagrangian says where a picture could be skipped: a reference is at stake.
Measured: docs/ablations.md."""
TOLD = 1.3
"""How much less error a synthesis leaves than latents tell: what its network adds. Measured: docs/ablations.md."""
LEVELLED = 0x20
"""A flag of any picture: its levels are coded with it. Without, those before hold."""
FILTERED, FILTER_SAID = 0x10, 0x08
"""Flags of any picture: it went through a loop filter, and that one is coded with it. Without the second, it is the one
that holds."""
FLAGS = ABSENT | LEVELLED | FILTERED | FILTER_SAID
OFFSET_ZERO = 128
REFINE_STEP, REFINE_SLOWER = 0.7, 0.4
"""Of the way to where the error would be least, which moves as neighbours do; in later rounds less of it. Measured:
docs/ablations.md."""
REGION_BITS = 1.0
"""What a region's flag is thought to cost."""


@dataclass(frozen=True)
class Tables:
    """Of motion residuals, of choices, of regions, of levels and of loop filters."""

    motion: TableSet
    blend: TableSet
    regions: TableSet
    levels: TableSet
    filters: TableSet


@dataclass(frozen=True)
class EncodedPicture:
    head: bytes
    stream: bytes
    latents: PictureLatents
    decoded: Planes


@dataclass(frozen=True)
class PictureTask:
    """What there is to code: frames, what they are predicted from, and where they lie in their chunk.

    quality: of this picture; asked: of the file. before: the picture whose latents the prior looks at, None if none.
    caution: of the quantiser (rates.CAUTION). rounds: of better latents (model/refine.py). precise: whether
    `decoded` is what decoders have; otherwise it may be a little different. judged: whether it is synthesised to choose
    how it is coded, and may go through a loop filter; otherwise `decoded` is empty. levels: int32 (latents/levels.py),
    None: all 0; held: those that hold where it says none. held_filter: likewise; filters: whether there are any.
    """

    frames: Planes
    references: tuple[Planes, ...]
    quality: int
    asked: int
    before: PictureLatents | None
    first_frame: int
    caution: float = CAUTION
    rounds: int = 0
    precise: bool = True
    judged: bool = True
    levels: Tensor | None = None
    held: Tensor | None = None
    filters: bool = False
    held_filter: Tensor | None = None

    @property
    def patch_qualities(self) -> Quality:
        return levelled(self.quality, self.levels, self.frames.height // PATCH, self.frames.width // PATCH)

    @property
    def says_levels(self) -> bool:
        if self.levels is None or self.held is None:
            return self.levels is not self.held
        return not torch.equal(self.levels, self.held)

    @property
    def weights(self) -> Tensor | None:
        """What errors in each patch count beside those of the picture's quality, ``[H/16, W/16]``; None: all 1."""
        found = self.patch_qualities
        if isinstance(found, int):
            return None
        base = float(lagrange_lambda(torch.tensor(self.quality)))
        return (lagrange_lambda(found) / base).to(self.frames.y.device)


def encode_picture(
    transform: Transform, tables: Tables, task: PictureTask, motion: PictureMotion | None, still: Tensor | None
) -> EncodedPicture:
    """motion: of a model that uses it; still: the field of an inter picture of one that does not."""
    frames, quality, levels, weights = task.frames, task.patch_qualities, task.levels, task.weights
    count = len(frames)
    coder = _coder(tables, motion, task)
    absent = ABSENT if task.references and (motion is None or motion.absent) else 0
    mode = transform.choose_mode(frames, task.references[0] if task.references else None)
    frames = _extended(frames, transform.frames)
    field, choice = (still, None) if motion is None else (motion.fields, motion.choice)
    warped = None if motion is None else motion.warped
    context = transform.context(
        task.references, field, choice, task.quality, mode, warped=warped, precise=task.precise
    )
    y, z = transform.analyse(frames, quality, context)
    if task.rounds:
        y, z = _refined(transform, task, y, z, field, choice)
    before = task.before
    y_hat = encode_latents(
        coder, transform, y[0], z[0], None if before is None else before.y, quality,
        previous_z=None if before is None else before.z, caution=task.caution,
    )  # fmt: skip
    worth = float(lagrange_lambda(torch.tensor(task.quality)))
    steps = y_hat[None].to(y.device) / SIXTEENTHS
    decoded, regions = frames[slice(0)], None
    if task.judged:
        decoded, mode, regions = _closest(
            transform.alternatives(steps, quality, context, mode), transform.mixed_mode, frames, worth, weights
        )
    if regions is not None:
        encode_choice(coder, regions, tables.regions)
    bare, stream = transform.bare(context), coder.finish()
    if bare is not None:
        if task.judged:
            lost = _error(bare, frames, weights) - _error(decoded, frames, weights)
        else:
            lost = TOLD * _told_bits(y, steps, transform.error_weights(quality)) / worth
        most = 8 * len(stream) / (SKIP_CAUTION * worth)
        # Coding the motion again takes time: only where the whole stream would be worth the loss.
        if lost < most:
            short = _coder(tables, motion, task)
            if lost < most * (1 - len(short.finish()) / len(stream)):
                decoded, mode, regions, coder = bare, SKIP, None, short
                y_hat, z = torch.zeros_like(y_hat), torch.zeros_like(z)
    decoded = decoded[slice(0, count)]
    loop_filter, said = _loop_filter(tables, task, decoded, worth)
    if loop_filter is not None:
        decoded = filtered(decoded, loop_filter)
        if said:
            encode_filter(coder, loop_filter, tables.filters, before=task.held_filter)
    latents = PictureLatents(
        y_hat, to_integers(z[0]), None if field is None else to_integers(field),
        None if choice is None else to_integers(choice), task.first_frame, count, task.quality, mode, regions,
        levels, loop_filter=task.held_filter if loop_filter is None else loop_filter, filtered=loop_filter is not None,
    )  # fmt: skip
    flags = mode | absent | (LEVELLED if task.says_levels else 0)
    flags |= (FILTERED if loop_filter is not None else 0) | (FILTER_SAID if said else 0)
    head = bytes((task.quality - task.asked + OFFSET_ZERO, flags))
    return EncodedPicture(head, coder.finish(), latents, decoded)


def _loop_filter(tables: Tables, task: PictureTask, decoded: Planes, worth: float) -> tuple[Tensor | None, bool]:
    """The one that the picture goes through, and whether it has to be sent."""
    if not (task.filters and task.judged):
        return None, False
    return choose_filter(fit(decoded, task.frames, task.weights), task.held_filter, worth, tables.filters)


def _told_bits(y: Tensor, steps: Tensor, error_weights: Tensor) -> float:
    """How much less error decoded latents (`steps`) leave than none would, in bits, as far as latents tell: by what the
    analysis asked for (y), each ``[1, C, h, w]``."""
    closer = (y.square() - (y - steps).square())[0]
    by_channel = error_weights[:, None, None] if error_weights.dim() == 1 else error_weights
    return float((closer * by_channel).sum(dtype=torch.float64))


def cost_bits(picture: EncodedPicture, task: PictureTask) -> float:
    """What a picture of the task's frames costs, with the error that is left at what the task says it is worth."""
    worth = float(lagrange_lambda(torch.tensor(task.quality)))
    return 8 * len(picture.stream) + worth * _error(picture.decoded, task.frames, task.weights)


def _refined(
    transform: Transform, task: PictureTask, y: Tensor, z: Tensor, field: Tensor | None, choice: Tensor | None
) -> tuple[Tensor, Tensor]:
    """y and z, moved `rounds` times towards what the synthesis of the quantised latents would need."""
    quality = task.patch_qualities
    refiner = transform.refiner(task.frames, task.references, field, choice, quality)
    if refiner is None:
        return y, z
    before = task.before
    for number in range(task.rounds):
        decoded = encode_latents(
            None, transform, y[0], z[0], None if before is None else before.y, quality,
            previous_z=None if before is None else before.z, caution=task.caution,
        )  # fmt: skip
        wanted = refiner.wanted(decoded[None].to(y.device) / SIXTEENTHS)
        y = torch.lerp(y.float(), wanted, REFINE_STEP / (1 + REFINE_SLOWER * number))
        z = transform.hyper(y)
    return y, z


def decode_picture(
    transform: Transform, tables: Tables, head: bytes, stream: bytes, size: tuple[int, int], place: DecodePlace, *,
    asked: int,
) -> PictureLatents:  # fmt: skip
    """Integers only, no pixels. size: of the padded frame. Raises CorruptFile on impossible streams."""
    quality, flags = asked + head[0] - OFFSET_ZERO, head[1]
    if not 1 <= quality <= 100:
        raise CorruptFile(f"a picture of quality {quality}; the file is damaged")
    mode = flags & ~FLAGS
    skipped = mode == SKIP and place.gop is not None
    if not skipped and mode not in transform.modes:
        raise CorruptFile(f"a picture of mode {mode}, which there is not here; the file is damaged")
    said = flags & (FILTERED | FILTER_SAID)
    known = said == FILTERED | FILTER_SAID or (said == FILTERED and place.held_filter is not None)
    if said and not (transform.uses_motion and known):
        raise CorruptFile("a picture that goes through a loop filter which there is not; the file is damaged")
    coder = SymbolDecoder(stream)
    field, choice = place.read_motion(coder, tables, size, absent=bool(flags & ABSENT))
    levels = decode_levels(coder, tables.levels, *size, before=place.held) if flags & LEVELLED else place.held
    before = place.before
    grid = (size[0] // PATCH, size[1] // PATCH)
    if skipped:
        shapes = (transform.latents, *grid), transform.hyper_shape(*grid)
        y, z = (torch.zeros(shape, dtype=torch.int32) for shape in shapes)
    else:
        y, z = decode_latents(
            coder, transform, grid, None if before is None else before.y,
            levelled(quality, levels, *grid),
            previous_z=None if before is None else before.z,
        )  # fmt: skip
    regions = _read_regions(coder, tables, size) if mode == transform.mixed_mode else None
    loop_filter = place.held_filter
    if flags & FILTER_SAID:
        loop_filter = decode_filter(coder, tables.filters, before=loop_filter)
    return PictureLatents(
        y, z, field, choice, place.first_frame, place.frame_count, quality, mode, regions, levels,
        loop_filter=loop_filter, filtered=bool(flags & FILTERED),
    )  # fmt: skip


def _read_regions(coder: SymbolDecoder, tables: Tables, size: tuple[int, int]) -> Tensor:
    regions = decode_choice(coder, tables.regions, *region_shape(*size))
    if bool((regions > LINEAR).any()):
        raise CorruptFile("a region of a kind that does not exist; the file is damaged")
    return regions


@dataclass(frozen=True)
class DecodePlace:
    """Where a picture lies, as far as its integers depend on it.

    still: the field of an inter picture of a model without motion. gop: its references in the chunk; None when it has
    none or no motion. fields: of the pictures coded before, by position; before_field: of the anchor before. held: the
    levels that hold where the picture says none; held_filter: likewise.
    """

    first_frame: int
    frame_count: int
    before: PictureLatents | None
    still: Tensor | None = None
    gop: Picture | None = None
    fields: dict[int, Tensor] | None = None
    before_field: Tensor | None = None
    held: Tensor | None = None
    held_filter: Tensor | None = None

    def read_motion(
        self, coder: SymbolDecoder, tables: Tables, size: tuple[int, int], *, absent: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """(fields, choice) of the picture."""
        if self.gop is None:
            return self.still, None

        def residual(like: Tensor | None, kind: int) -> Tensor | int:
            return 0 if absent else decode_field(coder, tables.motion, *size, like=like, kind=kind)

        if self.gop.future is None:
            assert self.still is not None
            return self.still + residual(self.before_field, ANCHOR), None
        assert self.fields is not None
        predicted, across = predicted_past(self.gop, self.fields)
        past = in_range(predicted + residual(across, PAST))
        future = in_range(predicted_future(self.gop, past) + residual(past - predicted, FUTURE))
        grid = (size[0] // PATCH, size[1] // PATCH)
        choice = torch.zeros(grid, dtype=torch.int32) if absent else decode_choice(coder, tables.blend, *grid)
        return torch.stack((past, future)), choice


def levelled(quality: int, levels: Tensor | None, rows: int, columns: int) -> Quality:
    """Of a picture's patches."""
    return quality if levels is None else patch_qualities(levels, quality, rows, columns)


def _extended(frames: Planes, count: int) -> Planes:
    """Repeats the last frame up to a full chunk: the cheapest thing to code."""
    missing = count - len(frames)
    if not missing:
        return frames
    return frames.map(lambda plane: torch.cat((plane, plane[-1:].expand(missing, -1, -1))))


def _coder(tables: Tables, motion: PictureMotion | None, task: PictureTask) -> SymbolEncoder:
    """A new coder with the motion and the levels coded already."""
    coder = SymbolEncoder()
    if motion is not None and not motion.absent:
        height, width = task.frames.height, task.frames.width
        for residuals, like, kind in motion.parts():
            encode_field(coder, residuals, tables.motion, height, width, like=like, kind=kind)
        if motion.choice is not None:
            encode_choice(coder, motion.choice, tables.blend)
    if task.says_levels:
        assert task.levels is not None
        encode_levels(coder, task.levels, tables.levels, before=task.held)
    return coder


def _closest(
    alternatives: list[tuple[Planes, int]], mixed: int | None, frames: Planes, worth: float, weights: Tensor | None
) -> tuple[Planes, int, Tensor | None]:
    """The synthesis nearest to the frames, its mode, and its regions if it differs between them.

    mixed: the mode of one that does, if there is any. worth: bits for a squared error; weights: PictureTask.weights.
    """
    if len(alternatives) == 1:
        return *alternatives[0], None
    (decoded, mode), (other, plain_mode) = alternatives
    error, other_error = (_region_errors(part, frames, weights) for part in (decoded, other))
    regions = (other_error < error).int()
    cheapest = min(float(error.sum()), float(other_error.sum()))
    gain = cheapest - float(torch.minimum(error, other_error).sum())
    if mixed is not None and gain * worth > REGION_BITS * regions.numel():
        where = network_share(regions, frames.height // 8, frames.width // 8) > 0
        return _where(where, decoded, other), mixed, to_integers(regions)
    if float(other_error.sum()) == cheapest:
        return other, plain_mode, None
    return decoded, mode, None


def _where(first: Tensor, one: Planes, other: Planes) -> Planes:
    """first bool ``[H/8, W/8]``: where samples are those of `one`."""

    def pick(name: str, side: int) -> Tensor:
        mask = first.repeat_interleave(side, 0).repeat_interleave(side, 1)
        return torch.where(mask, getattr(one, name), getattr(other, name))

    return Planes(pick("y", 8), pick("u", 4), pick("v", 4))


def _region_errors(decoded: Planes, frames: Planes, weights: Tensor | None) -> Tensor:
    """``[⌈H/64⌉, ⌈W/64⌉]``: the squared error of one frame, by what it counts."""
    if weights is None:
        return squared_error_map(decoded, frames, REGION)[0]
    patches = squared_error_map(decoded, frames, PATCH) * weights
    side = REGION // PATCH
    patches = F.pad(patches[:, None], (0, -patches.shape[2] % side, 0, -patches.shape[1] % side))
    return F.avg_pool2d(patches, side)[0, 0] * side * side


def _error(decoded: Planes, frames: Planes, weights: Tensor | None) -> float:
    """The error that training weighs, 8-bit samples squared, summed; by what it counts."""
    if weights is not None:
        return float((squared_error_map(decoded, frames, PATCH) * weights).sum())
    return float(squared_error(decoded, frames).mean()) * frames.y.numel()
