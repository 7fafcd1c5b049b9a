"""The integer prior once more, in int64; priors and inputs to compare it on."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch

from stpcodec.latents.quantise import LARGEST_MEAN, LIMIT, SCALE_COUNT
from stpcodec.model.prior import IntegerLayer, IntegerPrior

Integers = np.ndarray


class Reference:
    """The prior once more, in numpy's int64 from the float weights: slow, obvious, no torch arithmetic."""

    def __init__(self, prior: IntegerPrior):
        self.prior = prior
        # Of a frozen prior those that came with its weights: what is interpolated here may round differently.
        quality = prior.frozen or prior.quality_integers()
        self.quality = {name: table.numpy().astype(np.int64) for name, table in quality.items()}

    def layer(self, layer: IntegerLayer, x: Integers) -> Integers:
        floats = layer.weight.detach().numpy().astype(np.float64)
        biases = layer.bias.detach().numpy().astype(np.float64)
        batch, _, height, width = x.shape
        out = np.zeros((batch, len(floats), height, width), np.int64)
        for channel, (row, bias) in enumerate(zip(floats, biases, strict=True)):
            shift = min(12, max(0, 7 - math.frexp(max(np.abs(row).max(), 2.0**-20))[1]))
            weight = np.rint(row * 2**shift).astype(np.int64).clip(-LIMIT, LIMIT)
            total = np.full((batch, height, width), int(np.rint(bias * 16 * 2**shift)), np.int64)
            if layer.depthwise:
                padded = np.pad(x[:, channel], ((0, 0), (1, 1), (1, 1)))
                for tap in range(9):
                    dy, dx = tap // 3, tap % 3
                    total += weight[tap] * padded[:, dy : dy + height, dx : dx + width]
            else:
                total += np.einsum("k,bkyx->byx", weight, x)
            half = 2**shift // 2
            out[:, channel] = (total + half) >> shift
        return out

    def block(self, block: torch.nn.Module, x: Integers) -> Integers:
        inner = activate(self.layer(block.depthwise, x))  # type: ignore[arg-type]
        return activate(x + self.layer(block.pointwise, inner))  # type: ignore[arg-type]

    def begin(self, z: Integers, previous: Integers | None, quality: list[int], size: tuple[int, int]) -> Integers:
        p = self.prior
        x = self.block(p.mix_64, activate(self.layer(p.from_hyper, z.clip(-7, 7) * 16)))
        x = self.block(p.mix_32, activate(shuffle(self.layer(p.up_32, x))))
        x = activate(shuffle(self.layer(p.up_16, x)))[:, :, : size[0], : size[1]]
        if p.previous:
            seen = np.zeros((len(x), p.latents, *size), np.int64) if previous is None else previous
            x = np.concatenate((x, seen), 1)
        x = activate(self.layer(p.join, x) + self.offsets("join_quality", quality))
        for block in p.trunk:
            x = self.block(block, x)
        return x

    def step(self, number: int, x: Integers, known: Integers | None, quality: list[int]) -> tuple[Integers, Integers]:
        p = self.prior
        x = x if known is None else np.concatenate((x, known), 1)
        x = self.block(p.mix[number], activate(self.layer(p.enter[number], x)))  # type: ignore[arg-type]
        index, mean = np.split(self.layer(p.heads[number], x), 2, axis=1)  # type: ignore[arg-type]
        index = ((index + self.offsets("index_quality", quality)) // 2).clip(0, SCALE_COUNT - 1)
        mean = np.where((abs(mean) <= 1) & (index <= 6), 0, mean)
        return index, mean.clip(-LARGEST_MEAN, LARGEST_MEAN)

    def offsets(self, name: str, quality: list[int]) -> Integers:
        return self.quality[name][np.array(quality) - 1][:, :, None, None]


def activate(x: Integers) -> Integers:
    return x.clip(0, 127)


def shuffle(x: Integers) -> Integers:
    """[B, 4C, h, w] to [B, C, 2h, 2w], channel 4c + 2i + j at (2y + i, 2x + j)."""
    batch, channels, h, w = x.shape
    return x.reshape(batch, channels // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(batch, -1, 2 * h, 2 * w)


def make_prior(*, steps: int, previous: bool, seed: int, gain: float = 1.0) -> IntegerPrior:
    """gain far above 1 drives every activation into saturation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prior = IntegerPrior(latents=10, hyper=5, width=12, depth=2, steps=steps, previous=previous)
        with torch.no_grad():
            for parameter in prior.parameters():
                if parameter.ndim == 1:
                    parameter.normal_()
                parameter.mul_(gain)
            for head in prior.heads:
                assert isinstance(head, IntegerLayer)
                head.weight.mul_(20.0)
            prior.join_quality.points.normal_()
            prior.index_quality.points.uniform_(0, 6)
    return prior


def frozen(prior: IntegerPrior) -> IntegerPrior:
    other = copy.deepcopy(prior).eval().requires_grad_(False)
    other.freeze(other.quality_integers())
    return other


def inputs(
    kind: str, batch: int, size: tuple[int, int], seed: int = 0, *, hyper: int = 5, latents: int = 10
) -> dict[str, torch.Tensor]:
    """z, previous, known and quality; "extreme" is ±the largest value everywhere, "loud" the largest alone."""
    random = torch.Generator().manual_seed(seed)
    shapes = {"z": (batch, hyper, -(-size[0] // 4), -(-size[1] // 4)), "previous": (batch, latents, *size)}
    found = {}
    for name, shape in {**shapes, "known": shapes["previous"]}.items():
        limit = 7 if name == "z" else LIMIT
        if kind == "random":
            value = torch.randint(-limit, limit + 1, shape, generator=random)
        elif kind == "extreme":
            value = (torch.randint(0, 2, shape, generator=random) * 2 - 1) * limit
        else:
            value = torch.full(shape, limit if kind == "loud" else 0)
        found[name] = value.float()
    found["quality"] = torch.randint(1, 101, (batch,), generator=random)
    return found


def run(prior: IntegerPrior, given_: dict[str, torch.Tensor], size: tuple[int, int]) -> Iterator[torch.Tensor]:
    previous = given_["previous"] if prior.previous else None
    features = prior.begin(given_["z"], previous, given_["quality"], size)
    yield features
    for number in range(prior.steps):
        yield from prior.step(number, features, given_["known"] if number else None, given_["quality"])


def reference_run(prior: IntegerPrior, given_: dict[str, torch.Tensor], size: tuple[int, int]) -> Iterator[np.ndarray]:
    reference = Reference(prior)
    z, previous, known = (given_[name].numpy().astype(np.int64) for name in ("z", "previous", "known"))
    quality = given_["quality"].tolist()
    features = reference.begin(z, previous if prior.previous else None, quality, size)
    yield features
    for number in range(prior.steps):
        yield from reference.step(number, features, known if number else None, quality)
