"""The integer prior of the shipped weights against int64, and the worst sums that a layer may be given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpcodec.codec.models import thread_limit
from stpcodec.latents.quantise import LIMIT
from stpcodec.model.learned import LearnedTransform
from stpcodec.model.prior import IntegerLayer, IntegerPrior
from stpcodec.model.zoo import DEFAULT_MODEL, load_model
from tests.model.prior_reference import Reference, inputs, make_prior, reference_run, run

SIZE = (5, 7)
WIDEST = 1040
"""Inputs of a layer whose weights and inputs are all ±127: one more is refused (check_exact)."""


@pytest.fixture(scope="module")
def shipped() -> dict[str, IntegerPrior]:
    model = load_model(DEFAULT_MODEL, device=torch.device("cpu"))
    found = {}
    for name in ("intra", "inter"):
        transform = getattr(model, name)
        assert isinstance(transform, LearnedTransform)
        found[name] = transform.prior
    return found


@pytest.mark.parametrize("kind", ["random", "extreme", "loud", "silent"])
@pytest.mark.parametrize("part", ["intra", "inter"])
def test_the_shipped_weights_equal_the_int64_reference(shipped: dict[str, IntegerPrior], part: str, kind: str) -> None:
    prior = shipped[part]
    given = inputs(kind, 2, SIZE, hyper=prior.hyper, latents=prior.latents)
    for result, expected in zip(run(prior, given, SIZE), reference_run(prior, given, SIZE), strict=True):
        np.testing.assert_array_equal(result.numpy().astype(np.int64), expected)


@pytest.mark.parametrize("part", ["intra", "inter"])
def test_the_shipped_weights_with_any_threads_and_batch(shipped: dict[str, IntegerPrior], part: str) -> None:
    """Sizes at which the matrix library divides its work among threads."""
    prior, size = shipped[part], (24, 40)
    given = inputs("random", 3, size, hyper=prior.hyper, latents=prior.latents)
    with thread_limit(1):
        together = list(run(prior, given, size))
    for threads in (2, 3):
        with thread_limit(threads):
            assert all(torch.equal(a, b) for a, b in zip(run(prior, given, size), together, strict=True))
    with thread_limit(2):
        for number in range(3):
            alone = run(prior, {name: value[number : number + 1] for name, value in given.items()}, size)
            assert all(torch.equal(a, b[number : number + 1]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("part", ["intra", "inter"])
def test_the_dtype_of_the_networks_is_not_the_prior_s(shipped: dict[str, IntegerPrior], part: str) -> None:
    model = load_model(DEFAULT_MODEL, device=torch.device("cpu"), dtype=torch.bfloat16)
    other = getattr(model, part).prior
    given = inputs("random", 1, SIZE, hyper=other.hyper, latents=other.latents)
    for one, two in zip(run(other, given, SIZE), run(shipped[part], given, SIZE), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, two)


def test_float64_gives_the_same() -> None:
    """Exact integers in either type: nothing was rounded in the narrower one."""
    prior = make_prior(steps=4, previous=True, seed=9, gain=40.0).eval().requires_grad_(False)
    tables = prior.quality_integers()
    given = inputs("extreme", 2, SIZE)
    prior.freeze(tables)
    narrow = list(run(prior, given, SIZE))
    for layer in prior.modules():
        if isinstance(layer, IntegerLayer):
            assert layer.frozen is not None
            layer.frozen = tuple(part.double() for part in layer.frozen)  # type: ignore[assignment]
    wide = run(prior, {name: value.double() if name != "quality" else value for name, value in given.items()}, SIZE)
    for one, two in zip(narrow, wide, strict=True):
        assert torch.equal(one.double(), two.double())


def worst_layer(outputs: int, seed: int) -> IntegerLayer:
    """Weights of ±127 alone, as many as are allowed."""
    layer = IntegerLayer(WIDEST, outputs)
    signs = np.random.default_rng(seed).choice([-127.0, 127.0], (outputs, WIDEST)).astype(np.float32)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(signs))
    layer.check_exact("worst")
    layer.requires_grad_(False).freeze()
    return layer


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", ["aligned", "mountain", "random signs"])
def test_the_longest_sums_of_127_are_exact(kind: str, threads: int) -> None:
    """aligned: every product has one sign, so that the sum is the bound itself. mountain: half up, then half down to
    zero, where a rounding on the way would be all that is left. In any order that a matrix library may add them."""
    layer = worst_layer(8, seed=1)
    weight = layer.weight.numpy()
    random = np.random.default_rng(2)
    x = np.empty((3, WIDEST, 5, 9), np.float32)
    for place in np.ndindex(3, 5, 9):
        batch, row, column = place
        signs = np.sign(weight[random.integers(8)])
        if kind == "mountain":
            signs[WIDEST // 2 :] *= -1
        elif kind == "random signs":
            signs = random.choice([-1.0, 1.0], WIDEST)
        x[batch, :, row, column] = LIMIT * signs * random.choice([-1, 1])
    reference = Reference(make_prior(steps=2, previous=False, seed=0))
    expected = reference.layer(layer, x.astype(np.int64))
    if kind == "aligned":
        assert abs(expected).max() == WIDEST * LIMIT**2
    with thread_limit(threads):
        np.testing.assert_array_equal(layer(torch.from_numpy(x)).numpy().astype(np.int64), expected)
        alone = torch.cat([layer(torch.from_numpy(x[n : n + 1])) for n in range(3)])
        np.testing.assert_array_equal(alone.numpy().astype(np.int64), expected)
