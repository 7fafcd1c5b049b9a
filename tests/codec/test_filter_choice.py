"""None, the one that holds, or one of its own: what is chosen is what leaves least error and bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpcodec.codec.filter_choice import LEAST_GAIN, choose_filter
from stpcodec.codec.filter_coder import encode_filter
from stpcodec.entropy.coder import SymbolEncoder
from stpcodec.entropy.tables import TableSet
from stpcodec.latents.loop_filter import FILTER_SIZE, LUMA_TERMS, SHIFTS, filter_counts
from stpcodec.model.loop_filter import filtered
from stpcodec.model.loop_filter_fit import Fit, fit
from stpcodec.model.planes import Planes
from stpcodec.model.rates import squared_error
from tests.tiny_model import moving_planes

TABLES = TableSet(filter_counts().numpy())
UNITS = np.array([2.0**-shift for shift in SHIFTS])


def blurred(frame: Planes, seed: int = 0) -> Planes:
    generator = torch.Generator().manual_seed(seed)

    def worse(plane: torch.Tensor) -> torch.Tensor:
        soft = torch.nn.functional.avg_pool2d(plane[None], 3, 1, 1, count_include_pad=False)[0]
        return (0.4 * plane + 0.6 * soft + 0.004 * torch.randn(plane.shape, generator=generator)).clamp(0, 1)

    return frame.map(worse)


def saved(found: Fit, loop_filter: torch.Tensor) -> float:
    """Squared errors."""
    weights = loop_filter.numpy() * UNITS
    parts = zip((weights[: 2 * LUMA_TERMS], weights[2 * LUMA_TERMS :]), found.grams, found.slopes, strict=True)
    return sum(float(2 * slope @ part - part @ gram @ part) for part, gram, slope in parts)


def bits(loop_filter: torch.Tensor, before: torch.Tensor | None) -> int:
    coder = SymbolEncoder()
    encode_filter(coder, loop_filter, TABLES, before=before)
    return 8 * len(coder.finish())


def blur_of(seed: int = 0) -> Fit:
    frame = moving_planes(1, 96, 128, seed=seed)
    return fit(blurred(frame, seed), frame, None)


def test_a_picture_that_is_right_gets_none() -> None:
    frame = moving_planes(1, 48, 64)
    assert choose_filter(fit(frame, frame, None), None, 10.0, TABLES) == (None, False)
    held = torch.ones(FILTER_SIZE, dtype=torch.int32)
    assert choose_filter(fit(frame, frame, None), held, 10.0, TABLES) == (None, False)


def test_a_blurred_one_gets_its_own_and_the_next_keeps_it() -> None:
    frame = moving_planes(1, 96, 128)
    decoded = blurred(frame)
    found = fit(decoded, frame, None)
    own, said = choose_filter(found, None, 0.05, TABLES)
    assert own is not None
    assert said
    assert float(squared_error(filtered(decoded, own), frame)[0]) < 0.6 * float(squared_error(decoded, frame)[0])
    again, said = choose_filter(found, own, 0.05, TABLES)
    assert again is not None
    assert not said
    assert again.tolist() == own.tolist()


def test_where_errors_are_worth_little_nothing_is_sent() -> None:
    found = blur_of()
    assert choose_filter(found, None, 1e-6, TABLES) == (None, False)
    held, _ = choose_filter(found, None, 0.05, TABLES)
    assert held is not None
    kept, said = choose_filter(found, held, 1e-6, TABLES)  # it costs nothing
    assert kept is held
    assert not said


@pytest.mark.parametrize("worth", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("follows", [False, True])
def test_what_is_sent_saves_more_than_it_costs(worth: float, follows: bool) -> None:
    """And nearly what the best could, were it for nothing, where errors are worth much."""
    found = blur_of()
    held = choose_filter(blur_of(1), None, worth, TABLES)[0] if follows else None
    own, said = choose_filter(found, held, worth, TABLES)
    known = 0.0 if held is None else max(0.0, worth * saved(found, held))
    if not said:
        assert own is None or own is held
        return
    assert own is not None
    gain = worth * saved(found, own) - bits(own, held)
    assert gain > known - 32  # a stream's own bytes
    ideal = [np.linalg.solve(gram + 1e-6 * np.diag(np.diag(gram)), slope) @ slope
             for gram, slope in zip(found.grams, found.slopes, strict=True)]  # fmt: skip
    assert worth * sum(ideal) > known + LEAST_GAIN
    if worth == 0.2:
        assert saved(found, own) > 0.9 * sum(ideal)
