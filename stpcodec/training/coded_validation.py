"""What a run is worth in files: held-out pieces coded for real at every validation, as BD-rate against x264.

The score of `validate.py` is of estimated bits on short sequences. Here pieces are coded as `encode` codes them,
entropy coder and all, and read back, by weights made of the network as it is at that moment:

    network ─► tables counted on crops that are learned from ─► weights file ─► model ─► pieces at QUALITIES ─┐
    x264's curves of the pieces, from the cache ─────────────────────────────────────────────► bd_rate ◄──────┘
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch

from stpcodec.errors import ModelError, OutputError, UsageError
from stpcodec.evaluation.anchors import ANCHORS
from stpcodec.evaluation.bd_rate import NoOverlap, bd_rate, load_pchip
from stpcodec.evaluation.held_out import code_pieces
from stpcodec.evaluation.pictures import cut, window_of
from stpcodec.evaluation.points import PointFile
from stpcodec.evaluation.stored_curves import stored_curve
from stpcodec.model.network import StpNetwork
from stpcodec.model.zoo import load_model, weights_path
from stpcodec.training.cache import HALF, frames_of, split_planes
from stpcodec.training.dataset import MixedLengths, PictureDataset
from stpcodec.training.export import count_motion, count_symbols, export_weights, tables_of
from stpcodec.training.options import TrainOptions, names_model
from stpcodec.training.run_log import BD_MEAN, BD_MEDIAN, BD_PIECES
from stpcodec.training.validate import Validation, Validator
from stpcodec.video.frames import Frame

ANCHOR = ANCHORS["x264"]
TABLE = "x264.csv"
"""In the cache: the curves, measured once for all runs."""
QUALITIES = 1, 25, 50, 75
"""Over what x264 covers, as far as that goes: 1 is the lowest there is, and better than its crf 38."""
FRAMES, SIDE = 17, 256
"""Of a piece: its first frames, in the middle of the clip. Enough to tell runs apart, and seconds to code."""
BATCHES, MOTION_CLIPS = 12, 8
"""What tables are counted on: less than a tenth of what `export` takes."""
Write = Callable[[StpNetwork, Path], Path]


@dataclass(frozen=True)
class Piece:
    """Frames, and x264's (bytes, PSNR 6:1:1) of them."""

    name: str
    frames: tuple[Frame, ...]
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class CodedValidation:
    """`inner`, with the BD-rate of `pieces` in its figures. write: the network's weights into a folder, with tables.

    Nothing that is drawn here is missing elsewhere: a run makes the same steps with and without.
    """

    inner: Validator
    pieces: tuple[Piece, ...]
    write: Write
    run: Path
    device: torch.device
    say: Callable[[str], None]
    poll: Callable[[], None]

    def validate(self, network: StpNetwork) -> Validation:
        result = self.inner.validate(network)
        try:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                torch.manual_seed(0)  # tables are counted at the same qualities every time
                figures = self._coded(network)
        except ModelError as error:  # a prior that cannot be coded with now may be one later
            self.say(f"no BD-rate at this validation: {error}")
            return result
        except OSError as error:
            raise OutputError(f"{self.run}: cannot be written ({error.strerror or error}); free space") from error
        finally:
            network.train()
        return replace(result, figures={**result.figures, **figures})

    def _coded(self, network: StpNetwork) -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="coded-", dir=self.run) as folder:
            model = load_model(self.write(network.eval(), Path(folder)), device=torch.device("cpu"))
            found = []
            for piece in self.pieces:
                points = []
                for quality in QUALITIES:
                    self.poll()
                    coded = code_pieces(model, [piece.frames], quality)
                    points.append((coded.coded_bytes, coded.psnr_db))
                try:
                    found.append(bd_rate(piece.curve, points).percent)
                except NoOverlap:
                    continue
        if not found:  # a curve that shares no quality with x264's has no BD-rate
            return {BD_PIECES: 0.0}
        return {BD_MEAN: fmean(found), BD_MEDIAN: median(found), BD_PIECES: float(len(found))}


def coded_validation(
    inner: Validator, clips: list[Path], validation_clips: Sequence[Path], options: TrainOptions, frames: int, *,
    say: Callable[[str], None], poll: Callable[[], None],
) -> Validator:  # fmt: skip
    """`inner` with BD-rate, or as it is: options ask for no pieces, or there can be none, which is said.

    clips: what is learned from. frames: of the long chunks that networks learn on.
    """
    if not options.bd_pieces:
        return inner
    pieces = held_out_pieces(validation_clips, options.bd_pieces, options.cache, say, poll)
    if not pieces:
        return inner
    write = _with_tables_of(options.start) if options.chains else _with_counted_tables(clips, options, frames)
    return CodedValidation(inner, pieces, write, options.run, options.device, say, poll)


def _with_counted_tables(clips: list[Path], options: TrainOptions, frames: int) -> Write:
    """As `export_average` does, on less. Motion's tables, on which the network has no say, are those of a model to
    start from, and counted once where there is none."""
    if names_model(options.start):
        motion = tables_of(weights_path(options.start))[1]
    else:
        motion = count_motion(clips, frames, limit=MOTION_CLIPS)

    def write(network: StpNetwork, folder: Path) -> Path:
        data = MixedLengths(clips, frames=frames, crop=options.crop, chunks=1, seed=options.seed + 7)
        pictures = PictureDataset(clips, crop=options.crop, seed=options.seed + 8)
        tables = count_symbols(network, data, pictures, chunks=1, batches=BATCHES, device=options.device)
        return export_weights(network, tables, motion, folder)

    return write


def _with_tables_of(start: str) -> Write:
    """For networks that stay near a model's: its tables are theirs."""
    tables, motion = tables_of(weights_path(start))

    def write(network: StpNetwork, folder: Path) -> Path:
        return export_weights(network, tables, motion, folder)

    return write


def held_out_pieces(
    clips: Sequence[Path], count: int, cache: Path, say: Callable[[str], None], poll: Callable[[], None]
) -> tuple[Piece, ...]:
    """Pieces of up to `count` cached clips, spread evenly over them, with their curves from the cache.

    None of them where this installation cannot tell BD-rate: scipy or libx264 are missing, which is said.
    Raises InputError, OutputError: the table of curves is damaged, cannot be read or written.
    """
    try:
        load_pchip()
        whole = [clip for clip in clips if not clip.stem.endswith(HALF)]
        moving = [clip for clip in whole if len(np.load(clip, mmap_mode="r")) > 1] or whole
        table = PointFile(cache / TABLE)
        pieces = []
        count = min(count, len(moving))
        for clip in (moving[number * len(moving) // count] for number in range(count)):
            poll()
            frames = middle_of(clip)
            pieces.append(Piece(clip.stem, frames, tuple(stored_curve(ANCHOR, clip.stem, frames, table))))
    except UsageError as error:
        say(f"validation is without BD-rate against x264: {error}")
        return ()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{cache / TABLE}: cannot be kept ({reason}); choose another --cache") from error
    return tuple(pieces)


def middle_of(clip: Path) -> tuple[Frame, ...]:
    """The first FRAMES frames of a cached clip, of SIDE×SIDE samples in its middle where it is larger."""
    stacked = np.load(clip, mmap_mode="r")[:FRAMES]
    height, width = split_planes(stacked)[0].shape[1:]
    window = window_of(width, height, (SIDE, SIDE))
    return tuple(replace(cut(frame, window), pts=frame.pts, duration=1) for frame in frames_of(stacked))
