"""The codec's loop over a batch of sequences, as the encoder runs it: what is counted and stored for later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.gop import coding_order
from stpcodec.model.chunk_io import pack_frames, unpack_frames
from stpcodec.model.layers import QUALITIES
from stpcodec.model.network import Context, StpNetwork
from stpcodec.model.rates import INTRA_BONUS, depth_bonus
from stpcodec.training.dataset import Sequence
from stpcodec.training.loss import Coded, code_chunk
from stpcodec.training.step import picture_context


@dataclass(frozen=True, eq=False)
class CodedPicture:
    """packed ``[B, 96, h, w]``, quality ``[B]`` it was coded at. context: None of an intra frame. previous: the picture
    whose latents the prior looked at, None where there is none."""

    packed: Tensor
    quality: Tensor
    context: Context | None
    coded: Coded
    previous: CodedPicture | None


@torch.no_grad()
def code_sequence(network: StpNetwork, sequence: Sequence, quality: Tensor) -> Iterator[CodedPicture]:
    """The intra frame and then every picture of every chunk, in order of coding. quality ``[B]``: of the file."""
    packed = pack_frames(sequence.frame(0), 1)
    at = (quality + INTRA_BONUS).clamp(max=QUALITIES)
    last = CodedPicture(packed, at, None, code_chunk(network.intra, packed, at, None, None), None)
    yield last
    length = sequence.chunk_frames
    for chunk in range(sequence.fields.shape[1]):
        done = {0: last}
        for number, picture in enumerate(coding_order(length)):
            target = sequence.frame(chunk * length + picture.position)
            at = (quality + depth_bonus(length, picture.depth)).clamp(1, QUALITIES)
            references = [unpack_frames(done[position].coded.packed, 1).clamp() for position in picture.references]
            guide = done[picture.guide]
            previous = None if guide.context is None else guide
            context = picture_context(network.inter, target, references, sequence.fields[:, chunk, number], at)
            packed = pack_frames(target, 1)
            coded = code_chunk(network.inter, packed, at, context, None if previous is None else previous.coded.latents)
            done[picture.position] = CodedPicture(packed, at, context, coded, previous)
            yield done[picture.position]
        last = done[length]
