"""Fixed bases for the linear path: block cosine transforms of a 16×16 luma patch with its chroma.

The KLT of patches packs their variance, and that is not what costs bits: how many coefficients of a patch are worth
sending does. Residuals of motion compensation lie along edges, where a 4×4 transform needs a third fewer than one of
16×16; intra patches are served best by 16×16 (docs/ablations.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpcodec.latents.chunk import PATCH
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.config import PATCH_AREA
from stpcodec.model.dct import dct_matrix
from stpcodec.model.planes import Planes

INTRA_SIDE, INTER_SIDE = 16, 4
GROUPS = 4
"""Coding groups that the rows are dealt out to: channel c is of group c % 4, in a prior of two steps c % 2."""


def block_transform(side: int) -> Tensor:
    """Orthonormal rows ``[384, 384]`` over a packed and unshuffled patch: the DCT of its blocks of side × side luma.

    Chroma blocks are as large, or 8×8 where that is all there is. Low frequencies come first. Of four neighbouring
    blocks, or where there is one of its frequencies, each goes to a coding group of its own, so that every step of
    the prior knows a part of every place from the second on. Raises ValueError for sides that do not divide 16.
    """
    if side < 2 or PATCH % side:
        raise ValueError(f"a patch of {PATCH}×{PATCH} is not made of blocks of side {side}")
    groups: list[list[tuple[tuple[int, ...], Tensor]]] = [[] for _ in range(GROUPS)]
    for plane, length in enumerate((PATCH, PATCH // 2, PATCH // 2)):
        block = min(side, length)
        across = length // block
        basis = dct_matrix(block)
        for top in range(across):
            for left in range(across):
                for down in range(block):
                    for right in range(block):
                        samples = torch.zeros(length, length)
                        rows, columns = slice(top * block, (top + 1) * block), slice(left * block, (left + 1) * block)
                        samples[rows, columns] = torch.outer(basis[down], basis[right])
                        y, x = (top, left) if across > 1 else (down, right)
                        key = (down + right, plane, top, left, down)
                        groups[2 * (y % 2) + x % 2].append((key, _packed(samples, plane)))
    ordered = [[row for _, row in sorted(group, key=lambda entry: entry[0])] for group in groups]
    return torch.stack([ordered[channel % GROUPS][channel // GROUPS] for channel in range(PATCH_AREA)])


def _packed(samples: Tensor, plane: int) -> Tensor:
    """One plane's samples, the others zero, in the channel order of a packed and unshuffled patch ``[384]``."""
    planes = [torch.zeros(1, side, side) for side in (PATCH, PATCH // 2, PATCH // 2)]
    planes[plane] = samples[None]
    return torch.nn.functional.pixel_unshuffle(pack_frames(Planes(*planes), 1), 2).flatten()
