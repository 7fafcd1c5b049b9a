"""A learned model small enough for tests: every part of the real one, random networks, weights in 1/100 of the size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpcodec.entropy.tables import gaussian_counts
from stpcodec.latents.quantise import LARGEST_HYPER, scales
from stpcodec.model.config import ModelConfig, NetworkConfig
from stpcodec.model.dct import dct_matrix
from stpcodec.model.layers import QUALITY_POINTS
from stpcodec.model.learned import Z_CONTEXTS
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.model.planes import Planes
from stpcodec.model.rates import quantiser_step
from stpcodec.training.export import export_weights

TINY = ModelConfig(
    name="tiny",
    intra=NetworkConfig(
        frames=1, latents=24, hyper=4, width=16, wide=16, context_depth=0,
        analysis_depth=1, analysis_wide_depth=1, synthesis_depth=1, synthesis_wide_depth=1,
        prior_width=16, prior_depth=1, prior_steps=4,
    ),
    inter=NetworkConfig(
        frames=1, latents=32, hyper=4, width=16, wide=16, context_depth=1,
        analysis_depth=1, analysis_wide_depth=1, synthesis_depth=1, synthesis_wide_depth=1,
        prior_width=16, prior_depth=1, prior_steps=2,
    ),
)  # fmt: skip
DEFAULT_SEED = 5


def tiny_network(seed: int = DEFAULT_SEED, config: ModelConfig = TINY) -> StpNetwork:
    """Low frequencies as the linear path, noise where training would start at zero: every part counts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StpNetwork(config)
        with torch.no_grad():
            for part in (network.intra, network.inter):
                _low_frequencies(part)
                for name, parameter in part.named_parameters():
                    if not parameter.any():
                        parameter.normal_(std=0.005)
                    if "prior.heads" in name and name.endswith("weight"):
                        parameter.normal_(std=0.1)
                part.hyper_leave.weight.mul_(40.0)  # z takes most of its values
                # Around the middle of the scale grid: every table is used, and there are nontrivial means.
                part.prior.index_quality.points.add_(2.0)
                part.prior.join_quality.points.uniform_(-0.5, 1.5)
    return network


def _low_frequencies(part: ChunkNetwork) -> None:
    """Orthonormal rows, means over the patch and its first gradients first, with gains of the rate's own steps."""
    frames, latents = part.config.frames, part.config.latents
    d, dt = dct_matrix(16), dct_matrix(frames)
    half = dct_matrix(8)
    rows = []
    for order in range(7):
        for t in range(min(frames, order + 1)):
            for ky in range(order - t + 1):
                kx = order - t - ky
                for size, basis in ((16, d), (8, half), (8, half)):
                    plane = torch.einsum("t,y,x->tyx", dt[t], basis[ky], basis[kx])
                    rows.append((size, len(rows) % 3, plane))
    vectors = torch.stack([_packed(plane, which, frames) for _, which, plane in rows[:latents]])
    part.linear.set_basis(vectors)
    quality = 1 + 99 * torch.arange(QUALITY_POINTS) / (QUALITY_POINTS - 1)
    log_step = torch.log(quantiser_step(quality))[:, None].expand(-1, latents)
    part.log_gain.points.copy_(-log_step)
    part.log_inverse_gain.points.copy_(log_step)


def _packed(plane: Tensor, which: int, frames: int) -> Tensor:
    """A basis function of one plane in the channel order of a packed and unshuffled patch."""
    from stpcodec.model.chunk_io import pack_frames

    planes = [torch.zeros(frames, size, size) for size in (16, 8, 8)]
    planes[which] = plane
    return torch.nn.functional.pixel_unshuffle(pack_frames(Planes(*planes), frames), 2).flatten()


def tiny_tables(config: ModelConfig = TINY) -> dict[str, Tensor]:
    """Gaussians for y with a small L, so that escapes happen; gentle slopes for z, another in each context."""
    y = torch.from_numpy(np.stack([gaussian_counts(float(scale), 40) for scale in scales()])).int()
    tables = {}
    for name, part, contexts in (("intra", config.intra, 1), ("inter", config.inter, Z_CONTEXTS)):
        rows = np.stack([gaussian_counts(2.0 + number / 8, LARGEST_HYPER) for number in range(contexts)])
        tables[f"tables.{name}.y"] = y.clone()
        tables[f"tables.{name}.z"] = torch.from_numpy(rows).int().repeat(part.hyper, 1)
    return tables


def write_tiny_weights(folder: Path, seed: int = DEFAULT_SEED) -> Path:
    return export_weights(tiny_network(seed), tiny_tables(), initial_tables(), folder)


@cache
def _texture(size: int, seed: int) -> Tensor:
    """Smooth noise in [0.1, 0.9] ``[size, size]``, one grain about twenty samples wide."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 1, size // 20 + 4, size // 20 + 4, generator=random)
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
    return smooth[0, 0].clamp(0, 1) * 0.8 + 0.1


def moving_planes(count: int, height: int, width: int, *, dy: int = 0, dx: int = 0, seed: int = 0) -> Planes:
    """A texture that moves by (dy, dx) samples a frame: frame t at (y, x) is frame 0 at (y - t·dy, x - t·dx)."""
    reach = count * max(abs(dy), abs(dx), 1)
    size = max(height, width) + 2 * reach
    texture, colour = _texture(size, seed), _texture(size, seed + 1)
    rows = []
    for t in range(count):
        top, left = reach - t * dy, reach - t * dx
        rows.append((texture[top : top + height, left : left + width], colour[top : top + height, left : left + width]))
    y = torch.stack([luma for luma, _ in rows])
    chroma = torch.nn.functional.avg_pool2d(torch.stack([c for _, c in rows])[:, None], 2)[:, 0]
    return Planes(y, chroma, 1 - chroma)


def psnr_db(decoded: Planes, original: Planes) -> float:
    """YUV 6:1:1."""
    errors = [(getattr(decoded, name) - getattr(original, name)).square().mean() for name in ("y", "u", "v")]
    return float(-10 * torch.log10((6 * errors[0] + errors[1] + errors[2]) / 8))
