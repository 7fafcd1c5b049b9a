"""Pictures for a model's library (model/library.py): what footage shows again and again, without what moves.

frames ─► views, spread evenly ─┬─► those that others can be told from best ─► medians of all that are alike
                                └─► (of the held-out part: none, its frames are kept to measure on)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from stpcodec.errors import StpError
from stpcodec.model.block_cost import prediction_cost, texture_cost
from stpcodec.model.config import ModelConfig
from stpcodec.model.library import LARGEST_SIDE, MOST_PICTURES, PREFIX, library_tensors
from stpcodec.model.planes import Planes
from stpcodec.patches.padding import pad_planes
from stpcodec.patches.scenes import SceneCutDetector
from stpcodec.training.cache import find_media
from stpcodec.training.export import write_weights
from stpcodec.training.footage import HELD_OUT, LEAST_HELD_OUT, MOST_PIECES, PIECE_FRAMES
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader

SPACING = 4
"""One frame of so many is a view, in a longer video one of twice or four times as many, and so on."""
MOST_HELD_OUT = 4
"""Pieces to measure on, one of a video."""
MOST_ALIKE = 15
"""Views that a picture is the median of."""
SMALLEST_SIDE = 64
LEAST_GAIN = 0.05
"""Of what all views cost without a library: a further picture has to save so much."""
_SMALL_WIDTH = 320


@dataclass
class Scenery:
    """views: frames to learn from, as a library has its pictures. held_out: pieces of 8-bit frames."""

    views: list[Planes] = field(default_factory=list)
    held_out: list[list[Frame]] = field(default_factory=list)


def gather(
    sources: Sequence[Path], *, hold_out: bool, say: Callable[[str], None] = print,
    poll: Callable[[], None] = lambda: None,
) -> Scenery:  # fmt: skip
    """hold_out: keep the last part of every video out of the views, and frames of some of them to measure on;
    otherwise there are no such pieces. poll: called at every frame, may raise. What cannot be read is left out."""
    media = find_media(list(sources))
    chosen = media[:: -(-len(media) // MOST_PIECES)]
    found = Scenery()
    measured = set(chosen[:: -(-len(chosen) // MOST_HELD_OUT)])
    for source in chosen:
        try:
            views, last, total = _views(source, max(2, MOST_PIECES // len(chosen)), poll)
        except StpError as error:
            say(f"{source}: no library pictures of it ({error})")
            continue
        held = max(LEAST_HELD_OUT, int(total * HELD_OUT)) if hold_out and total >= 3 * LEAST_HELD_OUT else 0
        found.views += [planes for index, planes in views if index < total - held]
        if held and source in measured and len(last[-held:]) >= LEAST_HELD_OUT:
            found.held_out.append(last[-held:])
    return found


def first_pieces(sources: Sequence[Path], poll: Callable[[], None] = lambda: None) -> list[list[Frame]]:
    """The first frames of some videos, to measure on."""
    media = find_media(list(sources))
    pieces = []
    for source in media[:: -(-len(media) // MOST_HELD_OUT)]:
        with VideoReader(source, warn=lambda message: None) as reader:
            frames: list[Frame] = []
            for frame in reader:
                poll()
                frames.append(_eight_bits(frame, reader.info.bit_depth))
                if len(frames) == PIECE_FRAMES:
                    break
        pieces.append(frames)
    return pieces


def choose_library(views: Sequence[Planes], most: int = MOST_PICTURES) -> list[Planes]:
    """Pictures for a library (uint8, as the views) that other views can be told from; of those alike, the median.

    Greedy: the picture that saves most beside those that are there, until it is less than LEAST_GAIN of all.
    """
    if len(views) < 2:
        return []
    small = [_small(planes.y[0]) for planes in views]
    alone = torch.tensor([texture_cost(picture) for picture in small])
    costs = torch.full((len(views), len(views)), float("inf"))
    for number, picture in enumerate(small):
        for other, reference in enumerate(small):
            if number != other and views[number].y.shape == views[other].y.shape:
                costs[number, other] = prediction_cost(picture, reference)
    current, chosen = alone.clone(), list[int]()
    while len(chosen) < most:
        gains = (current[:, None] - costs).clamp(min=0).sum(0)
        best = int(gains.argmax())
        if float(gains[best]) < LEAST_GAIN * float(alone.sum()):
            break
        chosen.append(best)
        current = torch.minimum(current, costs[:, best])
        current[best] = 0  # no other has to be like it
    return [_joined(views, number, _alike(costs, alone, chosen, number)) for number in chosen]


def with_library(weights: Path, library: Sequence[Planes], folder: Path, name: str | None = None) -> Path:
    """The same weights with this library in place of the one they had, written into `folder`; returns their path.

    name: of the model, None for what it is called.
    """
    with safe_open(weights, "pt") as file:
        keys = [key for key in file.keys() if not key.startswith(PREFIX)]  # noqa: SIM118 - not a dict
        tensors, metadata = {key: file.get_tensor(key) for key in keys}, file.metadata()
    config = ModelConfig.from_json(metadata["config"])
    return write_weights(tensors | library_tensors(library), replace(config, name=name or config.name), folder)


def _views(
    source: Path, most: int, poll: Callable[[], None]
) -> tuple[list[tuple[int, Planes]], list[Frame], int]:
    """(number, frame) of frames spread evenly over a video, its last frames, and how many frames it has."""
    kept: list[tuple[int, Planes]] = []
    last: deque[Frame] = deque(maxlen=PIECE_FRAMES)
    spacing, total = SPACING, 0
    cuts = SceneCutDetector()
    with VideoReader(source, warn=lambda message: None) as reader:
        sides = reader.info.height, reader.info.width
        usable = min(sides) >= SMALLEST_SIDE and max(sides) <= LARGEST_SIDE
        for frame in reader:
            poll()
            eight = _eight_bits(frame, reader.info.bit_depth)
            if cuts.push(frame.y):
                last.clear()
            last.append(eight)
            if usable and total % spacing == 0:
                kept.append((total, _planes(eight)))
                if len(kept) > most:
                    spacing *= 2
                    kept = [view for view in kept if view[0] % spacing == 0]
            total += 1
    return kept, list(last), total


def _eight_bits(frame: Frame, bit_depth: int) -> Frame:
    if bit_depth == 8:
        return frame
    y, u, v = (np.right_shift(plane, bit_depth - 8).astype(np.uint8) for plane in (frame.y, frame.u, frame.v))
    return Frame(y=y, u=u, v=v, pts=frame.pts, duration=frame.duration)


def _planes(frame: Frame) -> Planes:
    """Of an 8-bit frame, padded as the codec pads it."""
    y, u, v = (torch.from_numpy(plane)[None] for plane in (frame.y, frame.u, frame.v))
    return Planes(*pad_planes(y, u, v, 16))


def _joined(views: Sequence[Planes], number: int, alike: Sequence[int]) -> Planes:
    """The median of views that are alike: what passed is gone."""
    if len(alike) < 3:
        return views[number]
    parts = [views[member] for member in alike]
    planes = (torch.cat([getattr(part, name) for part in parts]) for name in ("y", "u", "v"))
    return Planes(*(plane.median(0, keepdim=True).values for plane in planes))


def _alike(costs: Tensor, alone: Tensor, chosen: Sequence[int], number: int) -> list[int]:
    """The views that are told from this picture rather than from another or from none, the nearest first: itself."""
    found = [number]
    for view in range(len(alone)):
        if view not in chosen:
            best = min(chosen, key=lambda other: float(costs[view, other]))
            if best == number and float(costs[view, best]) < float(alone[view]):
                found.append(view)
    return sorted(found, key=lambda view: -1.0 if view == number else float(costs[view, number]))[:MOST_ALIKE]


def _small(luma: Tensor) -> Tensor:
    factor = max(1, luma.shape[1] // _SMALL_WIDTH)
    return F.avg_pool2d(luma[None, None].float() / 255, factor, ceil_mode=True)[0, 0]
