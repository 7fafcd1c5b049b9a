"""More latents for a trained model: the complement of its linear basis, so that nothing it has learned is lost.

A basis that ends short of its patch (192 of 384 values) cannot say what lies outside it, however fine its steps are:
the picture stops getting better at some quality. The new latents carry what is missing, in the order of its variance,
with an analysis fitted by least squares to what the trained networks leave out.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.latents.quantise import SCALE_COUNT, SCALE_LARGEST, SCALE_SMALLEST
from stpcodec.model.chunk_io import pack_frames, unpack_frames
from stpcodec.model.config import ModelConfig
from stpcodec.model.network import GREY, ChunkNetwork, Context, StpNetwork
from stpcodec.model.prior import INDEX_PER_UNIT, IntegerLayer
from stpcodec.training.dataset import ClipDataset, MixedLengths, PictureDataset
from stpcodec.training.initialise import sample_weights
from stpcodec.training.loss import Coded, code_chunk
from stpcodec.training.step import picture_context

LOWEST_QUALITY = 60
"""Of the pictures that the new latents are fitted to: below, most of them are zero."""
RIDGE = 1e-4
ALIKE = 32
"""Old latents, the last ones, whose steps new ones take."""
MEAN_LOG_NORMAL = -0.635
"""Mean of ln|x| of a normal variable of deviation 1."""


def can_grow(given: ModelConfig, config: ModelConfig) -> bool:
    """Whether the two differ in nothing but names and latents, of which `config` has more in one network at least."""
    parts = [(given.intra, config.intra), (given.inter, config.inter)]
    alike = all(replace(small, latents=large.latents) == large for small, large in parts)
    more = [large.latents - small.latents for small, large in parts]
    return alike and min(more) >= 0 and max(more) > 0


@torch.no_grad()
def grow(
    given: StpNetwork, config: ModelConfig, clips: ClipDataset | MixedLengths, pictures: PictureDataset, *,
    batches: int, device: torch.device,
) -> StpNetwork:  # fmt: skip
    """A network of `config`, which has more latents than `given` and is the same otherwise.

    At every quality it decodes what `given` decodes as long as its new latents are zero. Raises ModelError where the
    two differ in more than latents.
    """
    grown = StpNetwork(config).to(device)
    for name in ("intra", "inter"):
        _copy(getattr(given, name), getattr(grown, name), name)
    intra, inter = _Missing(grown.intra, given.config.intra.latents), _Missing(grown.inter, given.config.inter.latents)
    for _ in range(batches):
        quality = LOWEST_QUALITY + (100 - LOWEST_QUALITY) * torch.rand(8, device=device)
        intra.add(pack_frames(pictures.pictures(8, device), 1), quality, None)
        sequence = clips.sequences(8, 1, device)
        coded = intra.add(pack_frames(sequence.frame(0), 1), quality, None)
        target = sequence.frame(sequence.chunk_frames)
        reference = unpack_frames(coded.packed, 1).clamp()
        context = picture_context(grown.inter, target, [reference], sequence.fields[:, 0, 0], quality)
        inter.add(pack_frames(target, 1), quality, context)
    for missing in (intra, inter):
        if missing.old < missing.network.config.latents:
            missing.install()
    return grown


def _copy(given: ChunkNetwork, grown: ChunkNetwork, name: str) -> None:
    """What both have; new channels are zero on every side."""
    old, new = given.config.latents, grown.config.latents
    source = given.state_dict()
    for key, target in grown.state_dict().items():
        value = source[key]
        target.zero_()
        if ".heads." in key:  # indices, then means
            target[:old], target[new : new + old] = value[:old], value[old:]
            continue
        grows = [a == b or a - b == new - old for a, b in zip(target.shape, value.shape, strict=True)]
        if not all(grows):
            raise ModelError(f"{name}.{key}: {tuple(value.shape)} does not grow into {tuple(target.shape)}")
        target[tuple(slice(0, size) for size in value.shape)] = value


class _Missing:
    """What a network leaves out of its pictures, and what the new latents are made from. Sums over patches, float64.

    Inputs of the fit: the patch's residual, the features behind `analysis_wide`, and 1.
    """

    def __init__(self, network: ChunkNetwork, old: int):
        self.network, self.old = network, old
        packed = network.linear.forward_matrix.in_channels
        self.weights = sample_weights(packed)
        inverse = network.linear.inverse_matrix.weight[:, :old, 0, 0].double().cpu()
        full, _ = torch.linalg.qr(inverse * self.weights[:, None], mode="complete")
        self.complement = full[:, old:]
        self.inputs: Tensor | float = 0.0
        self.cross: Tensor | float = 0.0
        self.covariance: Tensor | float = 0.0
        self.kept: list[tuple[Tensor, Tensor, Tensor]] = []
        self.count = 0

    def add(self, packed: Tensor, quality: Tensor, context: Context | None) -> Coded:
        """Codes frames, takes in what is missing from them, and returns how they were coded."""
        network = self.network
        features: list[Tensor] = []
        hook = network.analysis_leave.register_forward_pre_hook(lambda _, args: features.append(args[0]))
        try:
            coded = code_chunk(network, packed, quality, context, None)
            y = network.analyse(packed, quality, context)
        finally:
            hook.remove()
        error = packed - network.synthesise(y, quality, context)
        residual = packed - (GREY if context is None else context.prediction)

        def patches(x: Tensor) -> Tensor:
            return x.permute(0, 2, 3, 1).flatten(0, 2).double().cpu()

        wanted = patches(F.pixel_unshuffle(error, 2)) * self.weights @ self.complement
        given = torch.cat((patches(F.pixel_unshuffle(residual, 2)), patches(features[-1])), 1)
        given = F.pad(given, (0, 1), value=1.0)
        self.inputs = self.inputs + given.T @ given
        self.cross = self.cross + given.T @ wanted
        self.covariance = self.covariance + wanted.T @ wanted
        self.count += len(wanted)
        if len(self.kept) < 24:
            positions = quality[:, None].expand(-1, y.shape[2] * y.shape[3]).flatten()
            self.kept.append((given.float(), patches(coded.index[:, : self.old]).float(), positions.cpu()))
        return coded

    def install(self) -> None:
        assert isinstance(self.inputs, Tensor)
        assert isinstance(self.cross, Tensor)
        assert isinstance(self.covariance, Tensor)
        network, old, new = self.network, self.old, self.network.config.latents
        _, rotation = torch.linalg.eigh(self.covariance / self.count)
        rotation = rotation.flip(1)[:, : new - old]
        basis = self.complement @ rotation  # [P, new - old], orthonormal in weighted samples
        system = self.inputs / self.count
        system = system + RIDGE * system.diagonal().mean() * torch.eye(len(system), dtype=torch.float64)
        fit = torch.linalg.solve(system, self.cross @ rotation / self.count)  # [inputs, new - old]
        patch = basis.shape[0]
        device = network.log_gain.points.device
        network.linear.inverse_matrix.weight[:, old:, 0, 0] = (basis / self.weights[:, None]).float().to(device)
        network.linear.forward_matrix.weight[old:, :, 0, 0] = fit[:patch].T.float().to(device)
        network.analysis_leave.weight[old:, :, 0, 0] = fit[patch:-1].T.float().to(device)
        assert network.analysis_leave.bias is not None
        network.analysis_leave.bias[old:] = fit[-1].float().to(device)
        # Training has moved the steps from where the theory puts them: those of the last latents are the most alike.
        steps = network.log_inverse_gain.points[:, max(0, old - ALIKE) : old].mean(1, keepdim=True)
        network.log_gain.points[:, old:] = -steps
        network.log_inverse_gain.points[:, old:] = steps
        self._install_scales(fit)

    def _install_scales(self, fit: Tensor) -> None:
        """Scale indices of a new latent are those of the old one whose scales go with its sizes best, and an offset."""
        old, prior = self.old, self.network.prior
        given, index, quality = (torch.cat([part[i] for part in self.kept]) for i in range(3))
        gain = torch.exp(self.network.log_gain(quality.to(prior.index_quality.points.device)))[:, old:, 0, 0].cpu()
        y = given.double() @ fit * gain
        per_index = math.log(SCALE_LARGEST / SCALE_SMALLEST) / (SCALE_COUNT - 1)
        size = (torch.log(y.abs().clamp(min=1e-3)) - MEAN_LOG_NORMAL - math.log(SCALE_SMALLEST)) / per_index
        like = _correlation(size, index.double()).argmax(1)
        offset = (size - index[:, like]).mean(0).float() / INDEX_PER_UNIT
        device = prior.index_quality.points.device
        prior.index_quality.points[:, old:] = prior.index_quality.points[:, like] + offset.to(device)
        for head in prior.heads:
            assert isinstance(head, IntegerLayer)
            head.weight[old : self.network.config.latents] = head.weight[like]
            head.bias[old : self.network.config.latents] = head.bias[like]


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """``[columns of a, columns of b]``."""
    a, b = ((x - x.mean(0)) / x.std(0).clamp(min=1e-6) for x in (a, b))
    return a.T @ b / len(a)
