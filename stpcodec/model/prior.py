"""The integer prior: scale index and mean of every latent, by arithmetic that is exact on every device.

All weights and activations are 8-bit integers held in float32, and every sum stays below 2**24, so float32
products and sums are exact in any order: no library convolution (Winograd, FFT), no transcendental function,
no reduced-precision matrix product takes part (DESIGN.md §5). Training runs the very same arithmetic with
straight-through gradients, so there is no second, "quantised" network that could differ.

Activations count sixteenths: integer 16 means 1.0; hidden ones lie in 0..127.
"""

from __future__ import annotations

from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpcodec.errors import ModelError
from stpcodec.latents.quantise import (
    LARGEST_HYPER,
    LARGEST_MEAN,
    LIMIT,
    SCALE_COUNT,
    SIXTEENTHS,
    floor_through,
    round_through,
)
from stpcodec.model.layers import QUALITIES, QualityTable

EXACT = 2**24
INDEX_PER_UNIT = 8
"""Scale indices per 1.0 of the prior's output: sixteen integer steps are eight indices."""
QUIET_MEAN, QUIET_INDEX = 1, 6
"""A mean of at most so many sixteenths is none where the scale index is at most the other: it is rounding, and in a
still scene it would be added to the picture again with every frame. Measured: docs/ablations.md."""


def power_of_two(exponent: Tensor) -> Tensor:
    """2**exponent for integer-valued floats from -126 to 127, from the bits of a float32: exact on every device.

    torch.exp2 may be off by two units in the last place on a GPU, which the floors below would turn into integers.
    """
    return ((exponent.int() + 127) << 23).view(torch.float32)


class IntegerLayer(nn.Module):
    """A 1×1 or depthwise 3×3 layer: integers in sixteenths to integers in sixteenths, unclamped.

    Each output channel has a power-of-two weight scale 2**shift, the largest at which its weights fit 8 bits.
    """

    def __init__(self, inputs: int, outputs: int, *, depthwise: bool = False):
        super().__init__()
        if depthwise and inputs != outputs:
            raise ValueError(f"a depthwise layer keeps its channels: {inputs} != {outputs}")
        self.depthwise = depthwise
        fan_in = 9 if depthwise else inputs
        self.weight = nn.Parameter(torch.empty(outputs, fan_in))
        _initialise(self.weight, (2.0 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.frozen: tuple[Tensor, Tensor, Tensor] | None = None

    def freeze(self) -> None:
        """Keeps the integers for inference; the layer no longer follows its weights."""
        self.frozen = tuple(part.detach() for part in self.integers())  # type: ignore[assignment]

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """(weight ``[O, K]``, bias ``[O, 1]``, shift ``[O, 1]``) as integer-valued floats, with gradients."""
        largest = self.weight.detach().abs().amax(1, keepdim=True).clamp(min=2.0**-20)
        # frexp is exact: largest < 2**exponent, so weight·2**(7 - exponent) < 128.
        shift = (7 - torch.frexp(largest).exponent).clamp(0, 12).float()
        factor = power_of_two(shift)
        weight = round_through(self.weight * factor).clamp(-LIMIT, LIMIT)
        bias = round_through(self.bias[:, None] * (SIXTEENTHS * factor))
        return weight, bias, shift

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, shift = self.frozen or self.integers()
        batch, _, height, width = x.shape
        if self.depthwise:
            padded = F.pad(x, (1, 1, 1, 1))
            total = torch.zeros_like(x)
            for tap in range(9):
                dy, dx = divmod(tap, 3)
                window = padded[:, :, dy : dy + height, dx : dx + width]
                total = total + weight[:, tap].view(1, -1, 1, 1) * window
            total = total.flatten(2)
        else:
            total = weight @ x.flatten(2)
        half = power_of_two(shift - 1).floor()
        result = floor_through((total + bias + half) * power_of_two(-shift))
        return result.view(batch, -1, height, width)

    def check_exact(self, name: str) -> None:
        """Raises ModelError when the largest possible sum could reach 2**24."""
        weight, bias, shift = self.integers()
        largest = weight.abs().sum(1, keepdim=True) * LIMIT + bias.abs() + power_of_two(shift)
        if not bool((largest < EXACT).all()):
            found = float(largest.detach().max())
            raise ModelError(f"{name}: a sum of the integer prior can reach {found:.0f}, 2**24 is too much; retrain it")


def activate(x: Tensor) -> Tensor:
    """ReLU and saturation to 0..127."""
    return x.clamp(0, LIMIT)


def _initialise(weight: Tensor, deviation: float) -> None:
    """Uniform, since a normal distribution on the meta device, where models are loaded, takes three seconds: PyTorch
    loads its compiler for it."""
    nn.init.uniform_(weight, -(3**0.5) * deviation, 3**0.5 * deviation)


class IntegerBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = IntegerLayer(channels, channels, depthwise=True)
        self.pointwise = IntegerLayer(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return activate(x + self.pointwise(activate(self.depthwise(x))))


class IntegerPrior(nn.Module):
    """From z, the previous chunk's latents, the quality and the latents of earlier steps to scale and mean.

    The latents are split in `steps` parts by position and channel group (two: the dual checkerboard of
    DCVC-HEM, Li et al. 2022; four: the quadtree of DCVC-DC, Li et al. 2023): each part is coded knowing those
    before it, with its own small head.
    """

    def __init__(self, *, latents: int, hyper: int, width: int, depth: int, steps: int, previous: bool):
        super().__init__()
        if steps not in (2, 4):
            raise ValueError(f"the prior codes in 2 or 4 steps, not {steps}")
        self.latents, self.hyper, self.steps, self.previous = latents, hyper, steps, previous
        self.from_hyper = IntegerLayer(hyper, width)
        self.mix_64 = IntegerBlock(width)
        self.up_32 = IntegerLayer(width, 4 * width)
        self.mix_32 = IntegerBlock(width)
        self.up_16 = IntegerLayer(width, 4 * width)
        self.join = IntegerLayer(width + (latents if previous else 0), width)
        self.join_quality = QualityTable(width)
        self.trunk = nn.ModuleList(IntegerBlock(width) for _ in range(depth))
        self.enter = nn.ModuleList(IntegerLayer(width + (latents if s else 0), width) for s in range(steps))
        self.mix = nn.ModuleList(IntegerBlock(width) for _ in range(steps))
        self.heads = nn.ModuleList(IntegerLayer(width, 2 * latents) for _ in range(steps))
        self.index_quality = QualityTable(latents)
        self.frozen: dict[str, Tensor] | None = None
        for head in self.heads:
            assert isinstance(head, IntegerLayer)
            _initialise(head.weight, 0.01)

    def begin(self, z: Tensor, previous: Tensor | None, quality: Tensor, size: tuple[int, int]) -> Tensor:
        """z ``[B, hyper, h', w']`` integers; previous: companded ``[B, latents, h, w]`` or None; quality ``[B]``, or
        ``[B, h, w]`` where it differs from patch to patch.

        Returns features ``[B, width, h, w]`` for `step`; size is (h, w).
        """
        x = self.mix_64(activate(self.from_hyper(z.clamp(-LARGEST_HYPER, LARGEST_HYPER) * SIXTEENTHS)))
        x = self.mix_32(activate(F.pixel_shuffle(self.up_32(x), 2)))
        x = activate(F.pixel_shuffle(self.up_16(x), 2))[:, :, : size[0], : size[1]]
        if self.previous:
            if previous is None:
                previous = x.new_zeros(x.shape[0], self.latents, *size)
            x = torch.cat((x, previous), 1)
        x = activate(self.join(x) + self._quality_integers("join_quality", quality))
        for block in self.trunk:
            x = block(x)
        return x

    def step(self, number: int, features: Tensor, known: Tensor | None, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Scale index 0..63 and mean in sixteenths, each ``[B, latents, h, w]``; only `mask(number)` counts.

        known: companded latents of earlier steps, zero elsewhere (None in step 0).
        """
        x = features if known is None else torch.cat((features, known), 1)
        x = self.mix[number](activate(self.enter[number](x)))
        index, mean = self.heads[number](x).chunk(2, 1)
        index = index + self._quality_integers("index_quality", quality)
        index = floor_through(index * (INDEX_PER_UNIT / SIXTEENTHS)).clamp(0, SCALE_COUNT - 1)
        quiet = (mean.abs() <= QUIET_MEAN) & (index <= QUIET_INDEX)
        # With the gradient of a mean that is not cut: it may yet become one that counts.
        mean = mean - torch.where(quiet, mean, 0.0).detach()
        return index, mean.clamp(-LARGEST_MEAN, LARGEST_MEAN)

    def _quality_integers(self, name: str, quality: Tensor) -> Tensor:
        if self.frozen is not None:
            found = self.frozen[name][quality.long() - 1]
            return found[:, :, None, None] if quality.dim() == 1 else found.permute(0, 3, 1, 2)
        return round_through(getattr(self, name)(quality) * SIXTEENTHS)

    def quality_integers(self) -> dict[str, Tensor]:
        """What `freeze` takes: int32 ``[100, channels]`` per quality table, rounded once for all devices."""
        every = torch.arange(1, QUALITIES + 1, device=self.join_quality.points.device)
        return {
            name: (getattr(self, name)(every) * SIXTEENTHS).round()[:, :, 0, 0].int()
            for name in ("join_quality", "index_quality")
        }

    def freeze(self, quality_integers: dict[str, Tensor]) -> None:
        """For inference: integer weights from the float ones (exact), quality offsets as stored integers.

        Those are interpolated, which may round differently on another device, so they come from the file.
        """
        for layer in self.modules():
            if isinstance(layer, IntegerLayer):
                layer.freeze()
        self.frozen = {name: table.float() for name, table in quality_integers.items()}

    def tilted(self, offsets: Tensor) -> IntegerPrior:
        """The same frozen prior, each latent with the scales of the quality + offsets int32 ``[latents]``."""
        assert self.frozen is not None
        other, table = copy(self), self.frozen["index_quality"]
        rows = torch.arange(QUALITIES, device=table.device)[:, None] + offsets.to(table.device)[None]
        shifted = torch.gather(table, 0, rows.clamp(0, QUALITIES - 1).long())
        other.frozen = self.frozen | {"index_quality": shifted}
        return other

    def mask(self, number: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Bool ``[latents, h, w]``: which latents step `number` codes. The masks of all steps partition the grid."""
        group = torch.arange(self.latents, device=device) % self.steps
        return coding_groups(self.steps, height, width, device)[group] == number

    def check_exact(self, name: str) -> None:
        for part, layer in self.named_modules():
            if isinstance(layer, IntegerLayer):
                layer.check_exact(f"{name}.{part}")


def coding_groups(steps: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """``[steps, height, width]``: the step that codes each position, for channels 0, 1, ... modulo `steps`."""
    y = torch.arange(height, device=device)[:, None]
    x = torch.arange(width, device=device)[None]
    if steps == 2:
        return torch.stack(((y + x) % 2, (y + x + 1) % 2))
    # Each group walks the 2×2 cell in another order: diagonal neighbours first, then the rest.
    order = torch.tensor([[0, 2, 3, 1], [3, 1, 0, 2], [1, 3, 2, 0], [2, 0, 1, 3]], device=device)
    return order[:, (y % 2) * 2 + x % 2]
