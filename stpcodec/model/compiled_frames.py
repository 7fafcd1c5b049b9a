"""Between planes and packed frames on the CPU, by the kernels of frame_kernels.py: one frame at a time, no gradients.

Packed frames are ``[1, 96, h, w]`` in channels-last order, so that they serve where those of chunk_io.py do.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpcodec.model.frame_kernels import pack_into, unpack_clamped, warp_packed
from stpcodec.model.planes import Planes
from stpcodec.patches.packing import CHANNELS


def predicted(reference: Planes, field: Tensor, lines: slice = slice(None)) -> Tensor:
    """A frame (N = 1) moved by a field int32 ``[2, rows, columns]`` in quarter samples; lines: of luma, in multiples
    of 8."""
    out, first = _room(reference, lines)
    warp_packed(*_arrays(reference), np.ascontiguousarray(field.numpy()), first, out)
    return _view(out)


def packed(frame: Planes, lines: slice = slice(None)) -> Tensor:
    """A frame (N = 1), or some of its luma lines, in multiples of 8."""
    out, first = _room(frame, lines)
    pack_into(*_arrays(frame), first, out)
    return _view(out)


def predicted_pair(past: Planes, future: Planes, fields: Tensor, lines: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """chunk_io.warped_pair of one frame; fields ``[2, 2, rows, columns]``."""
    return predicted(past, fields[0], lines), predicted(future, fields[1], lines)


def unpack_into(packed: Tensor, frame: Planes, first_line: int) -> None:
    """Packed lines ``[h, w, 96]`` into a frame from its luma line `first_line` on, clamped to [0, 1]."""
    lines = frame.lines(slice(first_line, first_line + 8 * packed.shape[0]))
    unpack_clamped(packed.numpy(), *_arrays(lines))


def _room(frame: Planes, lines: slice) -> tuple[np.ndarray, int]:
    start, stop, _ = lines.indices(frame.height)
    return np.empty(((stop - start) // 8, frame.width // 8, CHANNELS), np.float32), start // 8


def _arrays(frame: Planes) -> tuple[np.ndarray, ...]:
    return tuple(plane[0].contiguous().numpy() for plane in (frame.y, frame.u, frame.v))


def _view(out: np.ndarray) -> Tensor:
    return torch.from_numpy(out).permute(2, 0, 1)[None]
