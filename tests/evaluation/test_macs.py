"""Counted multiplications are those of a layer's definition, and those that the model's configuration promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stpcodec.evaluation.macs import count_macs, network_macs
from stpcodec.model.layers import Block
from stpcodec.model.prior import IntegerLayer
from tests.tiny_model import TINY, tiny_network

HEIGHT, WIDTH = 5, 7


@pytest.mark.parametrize(
    ("layer", "channels", "per_position"),
    [
        (nn.Conv2d(6, 10, 1), 6, 60),
        (nn.Conv2d(6, 10, 3, padding=1), 6, 540),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), 6, 54),
        (IntegerLayer(6, 10), 6, 60),
        (IntegerLayer(6, 6, depthwise=True), 6, 54),
        # 1×1, depthwise 3×3, 1×1, then one to twice the channels and back.
        (Block(8), 8, 64 + 72 + 64 + 128 + 128),
    ],
)
def test_a_layer(layer: nn.Module, channels: int, per_position: int) -> None:
    values = torch.zeros(1, channels, HEIGHT, WIDTH)
    assert count_macs(layer, lambda: layer(values)) == per_position * HEIGHT * WIDTH


def test_what_is_counted_is_let_go_of() -> None:
    layer = IntegerLayer(6, 6, depthwise=True)
    count_macs(layer, lambda: layer(torch.zeros(1, 6, 4, 4)))
    assert not layer._forward_hooks


def test_parts_of_both_networks() -> None:
    """By hand, per position of 1/8 resolution, of 4·w² + 9·w + 2·w² a block; those at 1/16 count a quarter."""
    found = {part.name: part for part in network_macs(tiny_network(config=TINY), height=48, width=64)}
    assert list(found) == [
        *(f"intra {part}" for part in ("analysis", "hyper-analysis", "prior", "synthesis")),
        *(f"inter {part}" for part in ("context", "analysis", "hyper-analysis", "prior", "synthesis")),
    ]
    positions, width, latents = 6 * 8, TINY.inter.width, TINY.inter.latents
    block = 6 * width**2 + 9 * width
    assert found["inter context"].macs == positions * (2 * 96 * width + block)
    at_16 = latents * 384 + latents * width + block + width * 4 * width
    assert found["inter synthesis"].macs == positions * (block + 96 * width) + positions // 4 * at_16
    assert found["inter synthesis"].per_pixel == found["inter synthesis"].macs / (48 * 64)


def test_padding_is_paid_for() -> None:
    network = tiny_network()
    even, odd = (network_macs(network, height=height, width=64) for height in (48, 34))
    assert [part.macs for part in even] == [part.macs for part in odd]
    assert all(b.per_pixel == pytest.approx(a.per_pixel * 48 / 34) for a, b in zip(even, odd, strict=True))
