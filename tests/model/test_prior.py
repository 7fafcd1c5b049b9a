"""The integer prior against an independent int64 reference, and against itself in every way it is run."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.errors import ModelError
from stpcodec.latents.quantise import LARGEST_MEAN, LIMIT, SCALE_COUNT
from stpcodec.model.prior import IntegerLayer, IntegerPrior, power_of_two

Integers = np.ndarray


class Reference:
    """The prior once more, in numpy's int64 from the float weights: slow, obvious, no torch arithmetic."""

    def __init__(self, prior: IntegerPrior):
        self.prior = prior
        self.quality = {name: table.numpy().astype(np.int64) for name, table in prior.quality_integers().items()}

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


def inputs(kind: str, batch: int, size: tuple[int, int], seed: int = 0) -> dict[str, torch.Tensor]:
    """z, previous, known and quality; "extreme" is ±the largest value everywhere, "loud" the largest alone."""
    random = torch.Generator().manual_seed(seed)
    shapes = {"z": (batch, 5, -(-size[0] // 4), -(-size[1] // 4)), "previous": (batch, 10, *size)}
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


@pytest.mark.parametrize("gain", [0.2, 1.0, 40.0], ids=["quiet", "usual", "saturated"])
@pytest.mark.parametrize("kind", ["random", "extreme", "loud", "silent"])
@pytest.mark.parametrize(("steps", "previous"), [(2, True), (4, False)])
def test_equals_the_int64_reference(steps: int, previous: bool, kind: str, gain: float) -> None:
    prior = make_prior(steps=steps, previous=previous, seed=steps, gain=gain)
    size, given_ = (7, 6), inputs(kind, 2, (7, 6))
    results = list(run(frozen(prior), given_, size))
    for result, expected in zip(results, reference_run(prior, given_, size), strict=True):
        np.testing.assert_array_equal(result.numpy().astype(np.int64), expected)
        assert torch.equal(result, result.round())


@given(seed=st.integers(0, 10**6), height=st.integers(1, 9), width=st.integers(1, 9))
def test_equals_the_reference_on_any_size(seed: int, height: int, width: int) -> None:
    prior = make_prior(steps=2, previous=True, seed=seed)
    given_ = inputs("random", 1, (height, width), seed)
    for result, expected in zip(
        run(frozen(prior), given_, (height, width)), reference_run(prior, given_, (height, width)), strict=True
    ):
        np.testing.assert_array_equal(result.numpy().astype(np.int64), expected)


@pytest.mark.parametrize("kind", ["random", "extreme"])
def test_trained_and_frozen_are_one_network(kind: str) -> None:
    prior = make_prior(steps=4, previous=True, seed=1)
    given_ = inputs(kind, 3, (5, 9))
    for trained, inferred in zip(run(prior, given_, (5, 9)), run(frozen(prior), given_, (5, 9)), strict=True):
        assert trained.requires_grad
        assert torch.equal(trained.detach(), inferred)


def test_a_frozen_prior_no_longer_follows_its_weights() -> None:
    prior = frozen(make_prior(steps=2, previous=False, seed=2))
    given_ = inputs("random", 1, (4, 4))
    before = list(run(prior, given_, (4, 4)))
    for parameter in prior.parameters():
        parameter.fill_(3.0)
    for was, now in zip(before, run(prior, given_, (4, 4)), strict=True):
        assert torch.equal(was, now)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_equal_with_one_thread_and_two() -> None:
    prior = frozen(make_prior(steps=4, previous=True, seed=3))
    size = (24, 40)
    given_ = inputs("random", 2, size)
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(list(run(prior, given_, size)))
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["random", "extreme"])
@pytest.mark.parametrize("tf32", [False, True])
def test_equal_on_a_gpu(kind: str, tf32: bool) -> None:
    """Also where another library has allowed TF32: eight-bit factors fit its eleven bits."""
    prior, size = make_prior(steps=4, previous=True, seed=3), (24, 40)
    given_ = inputs(kind, 2, size)
    expected = list(run(frozen(prior), given_, size))
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        there = copy.deepcopy(prior).cuda().eval().requires_grad_(False)
        there.freeze({name: table.cuda() for name, table in prior.quality_integers().items()})
        found = [result.cpu() for result in run(there, {n: v.cuda() for n, v in given_.items()}, size)]
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


def test_equal_alone_and_in_a_batch() -> None:
    prior = frozen(make_prior(steps=4, previous=True, seed=4))
    size = (9, 7)
    together = inputs("random", 5, size)
    batch = list(run(prior, together, size))
    for number in range(5):
        alone = run(prior, {name: value[number : number + 1] for name, value in together.items()}, size)
        for result, expected in zip(alone, batch, strict=True):
            assert torch.equal(result, expected[number : number + 1])


def test_equal_in_any_memory_format() -> None:
    """The zoo puts networks in channels-last."""
    prior = frozen(make_prior(steps=2, previous=True, seed=6))
    given_ = inputs("random", 2, (8, 8))
    strided = {
        name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        for name, value in given_.items()
    }
    for one, two in zip(run(prior, given_, (8, 8)), run(prior, strided, (8, 8)), strict=True):
        assert torch.equal(one, two)


def test_gradients_reach_every_parameter() -> None:
    prior = make_prior(steps=4, previous=True, seed=7, gain=0.5)
    sum(result.sum() for result in run(prior, inputs("random", 4, (8, 8)), (8, 8))).backward()  # type: ignore[union-attr]
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("steps", [2, 4])
@given(height=st.integers(1, 13), width=st.integers(1, 13))
def test_masks_partition_the_grid(steps: int, height: int, width: int) -> None:
    prior = IntegerPrior(latents=9, hyper=2, width=4, depth=0, steps=steps, previous=False)
    masks = [prior.mask(number, height, width) for number in range(steps)]
    assert all(mask.shape == (9, height, width) for mask in masks)
    assert torch.equal(sum(mask.int() for mask in masks), torch.ones(9, height, width, dtype=torch.int32))
    if height >= 2 and width >= 2:
        cell = torch.stack([mask[:, :2, :2].sum((1, 2)) for mask in masks])
        assert (cell == 4 // steps).all(), "every step codes its share of every 2×2 cell"


def test_neighbours_are_coded_in_different_steps() -> None:
    for steps in (2, 4):
        prior = IntegerPrior(latents=4, hyper=2, width=4, depth=0, steps=steps, previous=False)
        order = sum(number * prior.mask(number, 6, 6).int() for number in range(steps))
        assert isinstance(order, torch.Tensor)
        assert (order[:, 1:] != order[:, :-1]).all()
        assert (order[:, :, 1:] != order[:, :, :-1]).all()


@pytest.mark.parametrize("steps", [0, 1, 3, 8])
def test_other_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="2 or 4 steps"):
        IntegerPrior(latents=4, hyper=2, width=4, depth=0, steps=steps, previous=False)


def test_a_usual_prior_is_exact() -> None:
    make_prior(steps=4, previous=True, seed=8).check_exact("here")


@pytest.mark.parametrize("value", [2.0**17, -(2.0**30), float("nan"), float("inf")])
def test_check_exact_names_the_layer_that_overflows(value: float) -> None:
    prior = make_prior(steps=4, previous=True, seed=8)
    with torch.no_grad():
        prior.join.bias[3] = value
    with pytest.raises(ModelError, match=r"here\.join: .*2\*\*24"):
        prior.check_exact("here")


def test_check_exact_counts_a_wide_layer() -> None:
    """1041 weights of 127 times inputs of 127 are the first to pass 2**24."""
    narrow, wide = IntegerLayer(1040, 1), IntegerLayer(1041, 1)
    for layer in (narrow, wide):
        torch.nn.init.constant_(layer.weight, 127.0)
    narrow.check_exact("narrow")
    with pytest.raises(ModelError, match="wide"):
        wide.check_exact("wide")


def test_largest_sum_that_is_allowed_is_exact() -> None:
    """The bound of check_exact, reached: float32 still equals Python's integers."""
    layer = IntegerLayer(1040, 1)
    torch.nn.init.constant_(layer.weight, 127.0)
    layer.freeze()
    for sign in (1, -1):
        x = torch.full((1, 1040, 1, 1), float(sign * 127))
        assert layer(x).item() == sign * 1040 * 127 * 127


def test_power_of_two() -> None:
    exponents = torch.arange(-126, 128).float()
    expected = torch.tensor([math.ldexp(1.0, int(e)) for e in exponents])
    assert torch.equal(power_of_two(exponents), expected)
