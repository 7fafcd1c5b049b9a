"""The linear start: fixed bases and matching gains, so that training begins as a transform codec (DESIGN.md §5)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.quantise import SCALE_COUNT, SCALE_LARGEST, SCALE_SMALLEST
from stpcodec.model.chunk_io import pack_frames, predict
from stpcodec.model.config import LUMA_AND_CHROMA
from stpcodec.model.layers import point_qualities
from stpcodec.model.network import GREY, ChunkNetwork, StpNetwork
from stpcodec.model.prior import INDEX_PER_UNIT
from stpcodec.model.rates import CHROMA_WEIGHT, LUMA_WEIGHT, quantiser_step
from stpcodec.training.bases import INTER_SIDE, INTRA_SIDE, block_transform
from stpcodec.training.dataset import ClipDataset, PictureDataset


@torch.no_grad()
def start_linear(
    network: StpNetwork, clips: ClipDataset, pictures: PictureDataset, *, batches: int, device: torch.device
) -> dict[str, float]:
    """Sets both networks' linear paths, gains and scale biases from training patches.

    Returns the share of variance that each basis keeps.
    """
    intra, inter = _Covariance(), _Covariance()
    for _ in range(batches):
        intra.add(pack_frames(pictures.pictures(16, device), 1) - GREY)
        sequence = clips.sequences(16, 1, device)
        # The anchor of the first chunk: what lies between two references differs less, but in the same way.
        target = pack_frames(sequence.frame(sequence.chunk_frames), 1)
        prediction, _ = predict(sequence.frame(0), sequence.fields[:, 0, 0, 0])
        inter.add(target - prediction)
    return {
        "intra": _install(network.intra, intra.matrix(), INTRA_SIDE),
        "inter": _install(network.inter, inter.matrix(), INTER_SIDE),
    }


class _Covariance:
    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.count = 0

    def add(self, packed: Tensor) -> None:
        patches = F.pixel_unshuffle(packed, 2).permute(0, 2, 3, 1).flatten(0, 2).double()
        self.total = self.total + patches.T @ patches
        self.count += patches.shape[0]

    def matrix(self) -> Tensor:
        assert isinstance(self.total, Tensor)
        return (self.total / self.count).cpu()


def sample_weights(patch_channels: int) -> Tensor:
    """Float64 ``[patch_channels]``: the root of what an error of each sample of a packed patch weighs against luma's.

    The KLT drops what varies least; unweighted, that would be chroma.
    """
    luma_or_chroma = torch.arange(patch_channels) // 4 % LUMA_AND_CHROMA
    chroma = math.sqrt(4 * CHROMA_WEIGHT / LUMA_WEIGHT)
    return torch.where(luma_or_chroma < 64, 1.0, chroma).double()


def _install(network: ChunkNetwork, covariance: Tensor, side: int) -> float:
    """Block transforms where every value of a patch has a latent, otherwise the eigenvectors of largest variance.

    Steps Δ² = 6 / (ln 2 · λ) minimise λ·Δ²/12 + log2(1/Δ) per coefficient.
    """
    weights = sample_weights(network.linear.forward_matrix.in_channels)
    weighted = covariance * weights[:, None] * weights[None]
    if network.config.latents == len(weights):
        basis = block_transform(side).double()
    else:
        basis = torch.linalg.eigh(weighted)[1].flip(1)[:, : network.config.latents].T
    kept = (basis @ weighted * basis).sum(1).clamp(min=1e-9)
    network.linear.set_basis(basis.float(), weights.float())
    log_gain = -torch.log(quantiser_step(point_qualities()))[:, None].expand(-1, network.config.latents)
    network.log_gain.points.copy_(log_gain)
    network.log_inverse_gain.points.copy_(-log_gain)
    set_scales(network, torch.log(kept.sqrt()).float()[None] + log_gain)
    return float(kept.sum() / weighted.trace())


def set_scales(network: ChunkNetwork, log_deviation: Tensor) -> None:
    """What the prior says before it has learned anything: ln of the deviation of every latent, in steps,
    ``[QUALITY_POINTS, latents]``."""
    per_index = math.log(SCALE_LARGEST / SCALE_SMALLEST) / (SCALE_COUNT - 1)
    index = ((log_deviation - math.log(SCALE_SMALLEST)) / per_index).clamp(0, SCALE_COUNT - 1)
    network.prior.index_quality.points.copy_(index / INDEX_PER_UNIT)
