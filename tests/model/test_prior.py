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
from stpcodec.model.prior import IntegerLayer, IntegerPrior, power_of_two
from tests.model.prior_reference import frozen, inputs, make_prior, reference_run, run


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
