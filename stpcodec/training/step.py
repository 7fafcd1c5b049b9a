"""One training pass over a batch of sequences: intra frame, then chunk after chunk as the codec will run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.latents.gop import coding_order
from stpcodec.model.chunk_io import blend, pack_frames, predict, unpack_frames, warped_pair
from stpcodec.model.network import ChunkNetwork, Context, StpNetwork
from stpcodec.model.picture_motion import choose_blend
from stpcodec.model.planes import Planes, join_frames
from stpcodec.model.rates import depth_bonus, lagrange_lambda, squared_error
from stpcodec.training.dataset import Sequence
from stpcodec.training.loss import code_chunk

INTRA_WEIGHT = 2.0
"""Every later frame is predicted from the intra frame: its error counts more than its share of the frames."""
LAMBDA_MIDDLE = 0.03
QUALITY_SPREAD = 8.0
"""Chunks of a sequence are coded at qualities up to this far from each other, as the encoder may."""


@dataclass(frozen=True)
class Losses:
    """loss: scalar to minimise; figures: what the log shows, per kind: bits per pixel and frame, PSNR."""

    loss: Tensor
    figures: dict[str, float]


def sequence_loss(
    network: StpNetwork, sequence: Sequence, pictures: Planes | None, quality: Tensor, *,
    chunks: int, cascade: bool, rate_weight: float, intra_bonus: Tensor, part: str = "both",
    vary: bool = False, lead: int = 0, optimise: bool = True,
) -> Losses:  # fmt: skip
    """quality and intra_bonus ``[B]``: the intra frame is coded at quality + bonus, as the encoder does.

    cascade: gradients flow through decoded references into earlier chunks. rate_weight 0 trains distortion only.
    part: "intra" (give chunks 0), "inter" (the intra frame is coded without gradients) or "both".
    vary: every chunk at a quality of its own, near the sequence's.
    lead: chunks that are coded before those that count, without gradients: what the encoder will predict from is
    the work of a long chain, whose small errors add up unless the networks have learned to mend them.
    optimise: with the encoder's quantiser; without it, or without a rate_weight, latents are rounded.
    pictures: further frames for the intra network alone, coded at the same qualities as the first of them.
    """
    optimise = optimise and rate_weight > 0
    first = sequence.frame(0)
    pixels = first.height * first.width
    batch = sequence.batch
    quality_intra = (quality + intra_bonus).clamp(1, 100)
    extra = 0 if pictures is None else len(pictures)
    stacked, quality_stack = first, quality_intra
    if pictures is not None:
        stacked = join_frames((first, pictures))
        quality_stack = torch.cat((quality_intra, quality_intra.repeat(1 + extra // batch)[:extra]))
    with torch.set_grad_enabled(torch.is_grad_enabled() and part != "inter"):
        coded = code_chunk(network.intra, pack_frames(stacked, 1), quality_stack, None, None, optimise=optimise)
    decoded = unpack_frames(coded.packed, 1)
    error = squared_error(decoded, stacked)
    bpp = (coded.y_bits + coded.z_bits) / pixels
    weight = lagrange_lambda(quality_stack) * INTRA_WEIGHT
    intra_loss = ((weight * error + rate_weight * bpp) * balance(quality_stack)).mean()
    figures = {"intra_bpp": _mean(bpp), "intra_psnr": _psnr(error)}
    last = Decoded(decoded[slice(0, batch)].clamp(), None)
    inter_loss, inter_bpp, inter_z, inter_error = intra_loss.new_zeros(()), [], [], []
    for index in range(lead + chunks):
        counts = index >= lead
        done = {0: last}
        for number, picture in enumerate(coding_order(sequence.chunk_frames)):
            target = sequence.frame(index * sequence.chunk_frames + picture.position)
            at = quality + depth_bonus(sequence.chunk_frames, picture.depth)
            if vary:
                at = at + QUALITY_SPREAD * (2 * torch.rand_like(quality) - 1)
            at = at.clamp(1, 100)
            references = [done[position].frame for position in picture.references]
            if not cascade or not counts:
                references = [reference.map(torch.Tensor.detach) for reference in references]
            fields = sequence.fields[:, index, number]
            previous = last.latents if picture.future is None else done[picture.guide].latents
            with torch.set_grad_enabled(torch.is_grad_enabled() and counts):
                context = picture_context(network.inter, target, references, fields, at)
                coded = code_chunk(network.inter, pack_frames(target, 1), at, context, previous, optimise=optimise)
            decoded = unpack_frames(coded.packed, 1)
            done[picture.position] = Decoded(decoded.clamp(), coded.latents.detach())
            if not counts:
                continue
            error = squared_error(decoded, target)
            bpp = (coded.y_bits + coded.z_bits) / pixels
            loss = lagrange_lambda(at) * error + rate_weight * bpp
            inter_loss = inter_loss + (loss * balance(at)).mean() / (chunks * sequence.chunk_frames)
            inter_bpp.append(bpp.detach())
            inter_z.append(coded.z_bits.detach() / pixels)
            inter_error.append(error.detach())
        last = done[sequence.chunk_frames]
    if chunks:
        figures |= {"inter_bpp": _mean(torch.stack(inter_bpp)), "inter_psnr": _psnr(torch.stack(inter_error))}
        figures["inter_z_bpp"] = _mean(torch.stack(inter_z))
    return Losses(intra_loss + 2.0 * inter_loss, figures)


@dataclass(frozen=True)
class Decoded:
    """A decoded frame of every sequence, and its latents ``[B, C, h, w]`` unless it is an intra one."""

    frame: Planes
    latents: Tensor | None


def picture_context(
    network: ChunkNetwork, target: Planes, references: list[Planes], fields: Tensor, quality: Tensor
) -> Context:
    """Of B pictures with one reference each or two; fields ``[B, 2, 2, rows, columns]``, as the cache holds them."""
    if len(references) == 1:
        return network.context(*predict(references[0], fields[:, 0]))
    past, future = references
    pair = warped_pair(past, future, fields)
    # One Lagrangian for the batch: the choice is the encoder's, and need not be its best.
    lagrangian = 1 / (float(lagrange_lambda(quality.median())) * 255**2)
    with torch.no_grad():
        choice = choose_blend(target, pair, lagrangian)
    prediction, difference = blend(pair, choice)
    return network.context(prediction, None, difference)


def balance(quality: Tensor) -> Tensor:
    """Weight of a sample's loss: the optimal cost grows about as the root of λ, and every quality shall count."""
    return (lagrange_lambda(quality) / LAMBDA_MIDDLE).rsqrt()


def _mean(values: Tensor) -> float:
    return float(values.detach().mean())


def _psnr(error: Tensor) -> float:
    return float((10 * torch.log10(255**2 / error.detach().clamp(min=1e-6))).mean())
