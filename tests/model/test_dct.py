"""The fixed model: an orthonormal transform, a prior of exact integers, and nothing that may ever change silently."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.latents.motion_field import KIND_CONTEXTS
from stpcodec.latents.quantise import SCALE_COUNT, scales
from stpcodec.model.dct import CLASSES, DctTransform, dct_matrix, dct_model
from stpcodec.model.planes import Planes
from tests.tiny_model import moving_planes

CPU = torch.device("cpu")
MODEL = dct_model(CPU)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_matrix_is_orthonormal_with_rising_frequencies(size: int) -> None:
    matrix = dct_matrix(size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size), atol=1e-6, rtol=0)
    changes = (matrix[:, 1:].sign() != matrix[:, :-1].sign()).sum(1)
    assert changes.tolist() == list(range(size))


def noise(frames: int, height: int, width: int, seed: int = 0) -> Planes:
    random = torch.Generator().manual_seed(seed)
    shapes = ((frames, height, width), (frames, height // 2, width // 2), (frames, height // 2, width // 2))
    return Planes(*(torch.rand(shape, generator=random) for shape in shapes))


@pytest.mark.parametrize("transform", [MODEL.intra, MODEL.inter], ids=["intra", "inter"])
@pytest.mark.parametrize("mode", [0, 1])
@given(rows=st.integers(1, 4), columns=st.integers(1, 4), quality=st.sampled_from([1, 50, 100]))
def test_without_rounding_nothing_is_lost(
    transform: DctTransform, mode: int, rows: int, columns: int, quality: int
) -> None:
    frames = noise(transform.frames, 16 * rows, 16 * columns)
    reference = noise(1, 16 * rows, 16 * columns, seed=1)
    context = transform.context((reference,), None, None, quality, mode)
    y, z = transform.analyse(frames, quality, context)
    assert y.shape == (1, transform.latents, rows, columns)
    assert z.shape == (1, *transform.hyper_shape(rows, columns))
    decoded = transform.synthesise(y, quality, context)
    for name in ("y", "u", "v"):
        torch.testing.assert_close(getattr(decoded, name), getattr(frames, name), atol=1e-5, rtol=0)


@pytest.mark.parametrize("transform", [MODEL.intra, MODEL.inter], ids=["intra", "inter"])
def test_transform_keeps_energy(transform: DctTransform) -> None:
    """Parseval, plane by plane: an error in latents is the same error in pixels."""
    frames = noise(transform.frames, 32, 48)
    y, _ = transform.analyse(frames, 50, None)
    luma = 256 * transform.frames
    step = transform._step(50)
    parts = (y * step).split((luma, luma // 4, luma // 4), 1)
    for part, plane in zip(parts, (frames.y, frames.u, frames.v), strict=True):
        assert part.square().sum().item() == pytest.approx((plane - 0.5).square().sum().item(), rel=1e-4)


def test_synthesis_clamps_to_what_a_picture_can_be() -> None:
    y = torch.full((1, MODEL.intra.latents, 2, 2), 300.0)
    decoded = MODEL.intra.synthesise(y, 1, None)
    for plane in (decoded.y, decoded.u, decoded.v):
        assert plane.min() >= 0
        assert plane.max() <= 1


def test_mode_follows_what_is_smaller() -> None:
    still = moving_planes(1, 48, 64)
    four = Planes(*(plane.expand(4, -1, -1) for plane in (still.y, still.u, still.v)))
    assert MODEL.inter.choose_mode(four, still) == 1
    unrelated = Planes(1 - still.y, still.u, still.v)
    assert MODEL.inter.choose_mode(four, unrelated) == 0
    assert MODEL.intra.choose_mode(still, None) == 0


def test_a_silent_patch_is_class_zero_and_codes_nothing() -> None:
    grey = Planes(torch.full((4, 32, 48), 0.5), torch.full((4, 16, 24), 0.5), torch.full((4, 16, 24), 0.5))
    y, z = MODEL.inter.analyse(grey, 50, None)
    assert not z.any()
    prior = MODEL.inter.prior
    index, mean = prior.step(0, prior.begin(z, None, torch.tensor([50]), (2, 3)), None, torch.tensor([50]))
    assert not index.any()
    assert not mean.any()
    assert not y.round().any()


@given(st.integers(0, 10**6))
def test_scale_indices_are_integers_in_range(seed: int) -> None:
    """Also for the classes only a damaged file holds."""
    z = torch.randint(-(2**20), 2**20, (1, 3, 2, 3), generator=torch.Generator().manual_seed(seed)).float()
    z[0, :, 0, 0] = torch.randint(0, CLASSES, (3,), generator=torch.Generator().manual_seed(seed)).float()
    index = MODEL.inter.prior.begin(z, None, torch.tensor([50]), (2, 3))
    assert index.shape == (1, MODEL.inter.latents, 2, 3)
    assert torch.equal(index, index.round())
    assert index.min() >= 0
    assert index.max() < SCALE_COUNT
    assert not index[:, (z <= 0).squeeze(0)[MODEL.inter.prior.plane].reshape(MODEL.inter.latents, 2, 3)].any()


def test_louder_patches_get_higher_classes() -> None:
    classes = []
    for amplitude in (0.001, 0.01, 0.1, 0.5):
        loud = noise(1, 16, 16)
        frame = Planes(*((plane - 0.5) * amplitude + 0.5 for plane in (loud.y, loud.u, loud.v)))
        classes.append(MODEL.intra.analyse(frame, 70, None)[1][0, 0, 0, 0].item())
    assert classes == sorted(classes)
    assert classes[0] < classes[-1]


def test_everything_that_decides_a_probability_is_pinned() -> None:
    """dct has no weights file whose hash would notice: these numbers are its weights."""
    assert MODEL.weights_sha256 == "429a66809e9517c260ca991d4cbe9603a3229789beffacb91e80f31728a8f23d"
    digest = hashlib.sha256()
    for transform in (MODEL.intra, MODEL.inter):
        for array in (transform.prior.decay.int().numpy(), transform.prior.plane.int().numpy()):
            digest.update(array.astype("<i4").tobytes())
        for tables in (transform.y_tables, transform.z_tables):
            digest.update(tables.counts.astype("<i8").tobytes())
    # dct sends no motion: of the tables that other models start from, those of an anchor have been pinned with it.
    digest.update(MODEL.motion_tables.counts[:KIND_CONTEXTS].numpy().astype("<i4").tobytes())
    assert digest.hexdigest() == "b50906aa89a395c1d77be837acf1bee9b492f8373162a3aad8df92c6719732c8"


def test_tables_are_far_from_a_tie() -> None:
    """Counts are rounded from erfc: so are they."""
    for scale in scales().tolist():
        edges = [0.5 * math.erfc(-(k - 0.5) / (scale * math.sqrt(2))) for k in range(-127, 129)]
        exact = np.diff(edges) * (1 << 22)
        assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-7


def test_frequency_law_is_far_from_a_tie() -> None:
    """The law is rounded from floats: no entry may hang on the last bit of a mathematics library."""
    for frames in (1, 4):
        for size in (16, 8):
            for t in range(frames):
                for y in range(size):
                    for x in range(size):
                        frequency = math.hypot(y * 16 / size, x * 16 / size, 2.0 * t)
                        value = 6.0 * math.log2(1 + frequency / 2)
                        assert abs(value - math.floor(value) - 0.5) > 1e-5
