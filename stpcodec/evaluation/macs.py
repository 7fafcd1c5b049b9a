"""Multiplications of the networks, counted while they run on one frame of the clip's size.

Matrix products and convolutions are counted by PyTorch's own counter; the depthwise layers of the integer prior, which
are sums of shifted products, are counted here. Counted are the networks as they are written (model/network.py,
model/prior.py): bands of rows add their halos to it, and the compiled prior leaves out what a step does not code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stpcodec.latents.chunk import PATCH
from stpcodec.model.config import LUMA_AND_CHROMA
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.model.prior import IntegerLayer


@dataclass(frozen=True)
class NetworkMacs:
    """macs: multiply-accumulates for one frame. per_pixel: of them for each luma sample that is shown."""

    name: str
    macs: int
    per_pixel: float


def count_macs(network: nn.Module, run: Callable[[], object]) -> int:
    """Multiply-accumulates of convolutions and matrix products in `run`, which uses `network`."""
    depthwise = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal depthwise
        assert isinstance(layer, IntegerLayer)
        depthwise += output.numel() * layer.weight.shape[1]

    layers = [part for part in network.modules() if isinstance(part, IntegerLayer) and part.depthwise]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops() // 2 + depthwise


def network_macs(network: StpNetwork, *, height: int, width: int) -> list[NetworkMacs]:
    """Of every part of both networks, for a frame of height × width, padded to whole patches. network: on the CPU."""
    return [
        NetworkMacs(f"{name} {part}", macs, macs / (height * width))
        for name, chunk in (("intra", network.intra), ("inter", network.inter))
        for part, macs in _parts(chunk, -(-height // PATCH), -(-width // PATCH)).items()
    ]


def _parts(network: ChunkNetwork, rows: int, columns: int) -> dict[str, int]:
    """rows, columns: of latents."""
    config, quality = network.config, torch.tensor([50])
    frame = torch.zeros(1, LUMA_AND_CHROMA * config.frames, 2 * rows, 2 * columns)
    y = torch.zeros(1, config.latents, rows, columns)
    z = torch.zeros(1, config.hyper, -(-rows // 4), -(-columns // 4))
    context = None
    counted = {}
    if network.inter:
        counted["context"] = count_macs(network, lambda: network.context(frame, frame))
        with torch.inference_mode():
            context = network.context(frame, frame)

    def run_prior() -> None:
        features = network.prior.begin(z, y if network.inter else None, quality, (rows, columns))
        for step in range(network.prior.steps):
            network.prior.step(step, features, y if step else None, quality)

    counted["analysis"] = count_macs(network, lambda: network.analyse(frame, quality, context))
    counted["hyper-analysis"] = count_macs(network, lambda: network.hyper_analyse(y))
    counted["prior"] = count_macs(network, run_prior)
    counted["synthesis"] = count_macs(network, lambda: network.synthesise(y, quality, context))
    return counted
