"""Products with few latents that are not zero."""

from __future__ import annotations

import numpy as np
import pytest

from stpcodec.model.sparse_kernels import SPARSE, add_product


@pytest.mark.parametrize("share", [0.0, 0.01, 0.7 * SPARSE])
@pytest.mark.parametrize("shape", [(1, 40, 8), (7, 33, 5), (60, 384, 256)])
def test_is_the_product(share: float, shape: tuple[int, int, int]) -> None:
    positions, channels, outputs = shape
    random = np.random.default_rng(0)
    x, weight = (random.normal(size=size).astype(np.float32) for size in ((positions, channels), (channels, outputs)))
    places = random.permutation(x.size)[int(share * x.size) :]
    x.reshape(-1)[places] = 0
    out = random.normal(size=(positions, outputs)).astype(np.float32)
    expected = out + x @ weight
    assert add_product(x, weight, out)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_leaves_the_rest_to_others() -> None:
    x, weight = np.ones((3, 20), np.float32), np.ones((20, 4), np.float32)
    out = np.zeros((3, 4), np.float32)
    assert not add_product(x, weight, out)
    assert not out.any()
