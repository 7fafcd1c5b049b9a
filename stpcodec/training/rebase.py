"""Another linear basis for a trained network: what it has learned stays, its latents say something else.

Analysis and synthesis are carried over by linear algebra: before rounding, the network decodes what it decoded. Its
prior and its hyper-analysis know the old latents, so they start anew and learn alone, on stored outputs of the new
analysis: several times as many patches a second as in whole training steps, which come afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.latents.chunk import PATCH
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.config import PATCH_AREA
from stpcodec.model.layers import QUALITIES, QUALITY_POINTS, point_qualities
from stpcodec.model.network import ChunkNetwork, Context, StpNetwork
from stpcodec.model.rates import INTRA_BONUS, LUMA_WEIGHT, lagrange_lambda, quantiser_step
from stpcodec.training.bases import INTER_SIDE, INTRA_SIDE, block_transform
from stpcodec.training.coding_loop import CodedPicture, code_sequence
from stpcodec.training.dataset import ClipDataset, MixedLengths, PictureDataset
from stpcodec.training.initialise import sample_weights, set_scales
from stpcodec.training.loss import code_latents
from stpcodec.training.optimiser import MuonAdam, scheduled_rate
from stpcodec.training.step import balance

FINEST = 0.92
"""Gain times the theory's step, at quality 100: where training of the first bases had gone."""
COARSEST = {"intra": 1.3, "inter": 0.65}
"""The same at quality 1. An intra frame serves all that follow it; the others' small residuals are left out."""
SHRINK = (0.92, 0.98)
"""What is decoded of a latent, at quality 1 and 100: most that is sent is a rounded-up ±1."""
RATE, WARM_UP, LAST_RATE = 2.5e-3, 30, 0.03
SPREAD = 6.0
"""Stored latents are learned from at qualities up to this far from the one they were made at."""


@dataclass(frozen=True)
class Stored:
    """What an analysis made, before any gain: ``[N, 384, h, w]``, float16; weighted samples of patches, or in a basis.

    before: of the picture whose latents the prior looks at, zero where there is none; None: an intra network's.
    """

    latents: Tensor
    before: Tensor | None
    quality: Tensor

    def turned(self, basis: Tensor) -> Stored:
        """In an orthonormal basis ``[384, 384]``."""

        def turn(samples: Tensor) -> Tensor:
            turned = [torch.einsum("ij,njhw->nihw", basis, part.float()).half() for part in samples.split(256)]
            return torch.cat(turned)

        return Stored(turn(self.latents), None if self.before is None else turn(self.before), self.quality)


def rebase(
    network: StpNetwork, clips: ClipDataset | MixedLengths, pictures: PictureDataset, *, minutes: float, batches: int,
    device: torch.device, say: Callable[[str], None] = print, poll: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Gives both networks the bases of bases.py, in place. minutes: of each one's prior alone; batches: of 8 sequences
    and 24 pictures, what it learns from.

    Raises ModelError for networks with fewer latents than a patch has values: grow them first (grow.py).
    """
    network.eval()
    # Both before either changes: the inter network predicts from what the intra network codes.
    stored = {
        "intra": (_stored_intra(network.intra, pictures, batches, device), INTRA_SIDE),
        "inter": (_stored_inter(network, clips, batches, device), INTER_SIDE),
    }
    for name, (samples, side) in stored.items():
        part: ChunkNetwork = getattr(network, name)
        basis = block_transform(side).to(device)
        change_basis(part, basis, COARSEST[name])
        _learn_prior(part, samples.turned(basis), minutes, say, poll, name)
    network.train()


@torch.no_grad()
def change_basis(network: ChunkNetwork, basis: Tensor, coarsest: float) -> None:
    """basis ``[384, 384]``, orthonormal over weighted samples of a packed patch (initialise.sample_weights).

    What goes through the network without rounding stays what it was, but for SHRINK. The prior and the hyper-analysis
    start anew.
    """
    config = network.config
    if config.latents != PATCH_AREA:
        raise ModelError(
            f"a network of {config.latents} latents cannot be rebased: it takes {PATCH_AREA}, grow it first"
        )
    basis = basis.double()
    weights = sample_weights(PATCH_AREA).to(basis.device)
    synthesis = network.linear.inverse_matrix.weight[:, :, 0, 0].double()
    change = basis @ (weights[:, None] * synthesis)
    analysis = change @ network.linear.forward_matrix.weight[:, :, 0, 0].double()
    network.linear.forward_matrix.weight.copy_(analysis[:, :, None, None])
    network.linear.inverse_matrix.weight.copy_((basis / weights).T[:, :, None, None])
    leave, enter = network.analysis_leave, network.synthesis_enter
    assert leave.bias is not None
    leave.weight.copy_((change @ leave.weight[:, :, 0, 0].double())[:, :, None, None])
    leave.bias.copy_(change @ leave.bias.double())
    enter.weight.copy_((enter.weight[:, :, 0, 0].double() @ torch.linalg.inv(change))[:, :, None, None])
    fresh = ChunkNetwork(config, inter=network.inter).to(basis.device)
    network.prior = fresh.prior
    for name in ("hyper_enter", "hyper_mix", "hyper_down", "hyper_mix_down", "hyper_leave"):
        setattr(network, name, getattr(fresh, name))
    network.hyper_mean.zero_()
    network.hyper_log_scale.zero_()
    gain = torch.linspace(coarsest, FINEST, QUALITY_POINTS) / quantiser_step(point_qualities())
    network.log_gain.points.copy_(torch.log(gain)[:, None].expand(-1, PATCH_AREA))
    kept = torch.linspace(*SHRINK, QUALITY_POINTS)
    network.log_inverse_gain.points.copy_(torch.log(kept / gain)[:, None].expand(-1, PATCH_AREA))


@torch.no_grad()
def _samples(network: ChunkNetwork, packed: Tensor, quality: Tensor, context: Context | None) -> Tensor:
    """What the linear synthesis makes of the analysis, before rounding: weighted samples ``[B, 384, h, w]``."""
    y = network.analyse(packed, quality, context) * torch.exp(-network.log_gain(quality))
    weights = sample_weights(PATCH_AREA).float().to(y.device)[:, None, None]
    return (network.linear.synthesise(y) * weights).half()


def _stored_intra(
    network: ChunkNetwork, pictures: PictureDataset, batches: int, device: torch.device
) -> Stored:
    samples, qualities = [], []
    for _ in range(batches):
        quality = (1 + INTRA_BONUS + (QUALITIES - 1) * torch.rand(24, device=device)).clamp(max=QUALITIES)
        samples.append(_samples(network, pack_frames(pictures.pictures(24, device), 1), quality, None))
        qualities.append(quality)
    return Stored(torch.cat(samples), None, torch.cat(qualities))


def _stored_inter(
    network: StpNetwork, clips: ClipDataset | MixedLengths, batches: int, device: torch.device
) -> Stored:
    """Of the first chunk behind an intra frame, or of as many chunks of one frame, as the codec would code them."""
    samples, before, qualities = [], [], []
    for _ in range(batches):
        sequence = clips.sequences(8, 1, device)
        made: dict[CodedPicture, Tensor] = {}
        for picture in code_sequence(network, sequence, 1 + (QUALITIES - 1) * torch.rand(8, device=device)):
            if picture.context is None:
                continue
            made[picture] = _samples(network.inter, picture.packed, picture.quality, picture.context)
            samples.append(made[picture])
            known = None if picture.previous is None else made[picture.previous]
            before.append(torch.zeros_like(made[picture]) if known is None else known)
            qualities.append(picture.quality)
    return Stored(torch.cat(samples), torch.cat(before), torch.cat(qualities))


def _learn_prior(
    network: ChunkNetwork, stored: Stored, minutes: float,
    say: Callable[[str], None], poll: Callable[[], None], name: str,
) -> None:  # fmt: skip
    """Trains prior, hyper-analysis and what belongs to them; the transform stays as it is. 48 crops a step.

    Muon moves the prior's matrices here, which whole steps leave to Adam (optimiser.is_matrix goes by the names of a
    whole model's): that is how it was measured, and Adam was not compared.
    """
    _start_scales(network, stored)
    learning = [(key, p) for key, p in network.named_parameters() if key.startswith(("prior.", "hyper_"))]
    optimiser = MuonAdam(learning, RATE)
    begin, step = time.monotonic(), 0
    while (elapsed := (time.monotonic() - begin) / 60) < minutes:
        poll()
        rate = scheduled_rate(RATE, LAST_RATE, WARM_UP, step, elapsed / minutes)
        for group in optimiser.param_groups:
            group["lr"] = group["scale"] * rate
        loss = prior_loss(network, stored, torch.randint(0, len(stored.quality), (48,)))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in learning], 1.0)
        optimiser.step()
        step += 1
        if step % 100 == 0:
            say(f"prior of the {name} network: step {step}, {elapsed:.1f} of {minutes:.1f} min, loss {float(loss):.4f}")


def prior_loss(network: ChunkNetwork, stored: Stored, chosen: Tensor) -> Tensor:
    """Cost of stored latents, as a whole training step counts it, but for what the synthesis network would add."""
    quality = stored.quality[chosen]
    quality = (quality + SPREAD * (2 * torch.rand_like(quality) - 1)).clamp(1, QUALITIES)
    gain = torch.exp(network.log_gain(quality)).detach()
    y = stored.latents[chosen].float() * gain
    before = None if stored.before is None else (stored.before[chosen].float() * gain).round()
    coded = code_latents(network, y, quality, before)
    error = ((coded.latents - y) / gain).square().sum((1, 2, 3))
    pixels = PATCH * PATCH * y.shape[2] * y.shape[3]
    weight = lagrange_lambda(quality) * 255**2 * LUMA_WEIGHT / 8
    cost = (coded.y_bits + coded.z_bits + weight * error) / pixels
    return (cost * balance(quality)).mean()


@torch.no_grad()
def _start_scales(network: ChunkNetwork, stored: Stored) -> None:
    """Scale indices of every latent and quality from the sizes of those stored near that quality."""
    power = torch.cat([part.float().square().mean((2, 3)) for part in stored.latents.split(256)])
    deviations = []
    for at in point_qualities().tolist():
        near = torch.exp(-(((stored.quality - at) / 12) ** 2))
        deviations.append(((power * near[:, None]).sum(0) / near.sum().clamp(min=1e-6)).clamp(min=1e-12).sqrt())
    # Most places are quieter than the mean.
    set_scales(network, torch.log(0.6 * torch.stack(deviations)) + network.log_gain.points)
