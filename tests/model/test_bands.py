"""Bands cover a picture once, and a picture cut into them is the picture computed whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.model import learned
from stpcodec.model.bands import BAND_ROWS, Band, cut, halo_rows, halves
from stpcodec.model.config import STP_S
from stpcodec.model.learned import MIXED, LearnedTransform
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model

CPU = torch.device("cpu")


@given(rows=st.integers(1, 300), halo=st.integers(0, 6))
def test_bands_cover_all_rows_once(rows: int, halo: int) -> None:
    bands = cut(rows, halo)
    assert [row for band in bands for row in range(band.start, band.stop)] == list(range(rows))
    for band in bands:
        assert band.first == max(0, band.start - halo)
        assert band.last == min(rows, band.stop + halo)
        assert len(bands) == 1 or BAND_ROWS / 2 < band.stop - band.start < 2 * BAND_ROWS
        assert band.margin(1) == (halo * (band.start > 0), halo * (band.stop < rows))
        own = list(range(rows * 8))[band.computed(8)][band.inner(8)]
        assert own == list(range(rows * 8))[band.own(8)]


@given(rows=st.integers(1, 99))
def test_halves(rows: int) -> None:
    assert [row for start, stop in halves(rows) for row in range(start, stop)] == list(range(rows))


def planes(height: int, width: int, seed: int) -> Planes:
    random = torch.Generator().manual_seed(seed)
    return Planes(*(torch.rand(1, height // part, width // part, generator=random) for part in (1, 2, 2)))


@pytest.mark.parametrize("kind", ["intra", "one reference", "two references", "mixed"])
def test_a_picture_in_bands_is_the_picture_computed_whole(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the package's own depths: a halo one row too narrow shows."""
    model = load_model("stp-s", device=CPU)
    part = model.intra if kind == "intra" else model.inter
    assert isinstance(part, LearnedTransform)
    height, width, quality = 30 * 16, 64, 55
    frame, past, future = (planes(height, width, seed) for seed in range(3))
    random = torch.Generator().manual_seed(5)
    references = () if kind == "intra" else (past, future) if kind == "two references" else (past,)
    field = torch.randint(-9, 10, (len(references), 2, height // 8 + 1, width // 8 + 1), generator=random).int()
    choice = torch.randint(0, 3, (height // 16, width // 16), generator=random).int()
    regions = (torch.arange(8)[:, None] % 2).int() if kind == "mixed" else None
    y = torch.randint(-2, 3, (1, part.latents, height // 16, width // 16), generator=random).float()

    def results() -> list[torch.Tensor]:
        context = part.context(
            references, field if references else None, choice, quality, MIXED if kind == "mixed" else 0,
            regions=regions,
        )  # fmt: skip
        frames = [found for found, _ in part.alternatives(y, quality, context, 0)]
        bare = part.bare(context)
        frames += [part.synthesise(y, quality, context), *([] if bare is None else [bare])]
        return [part.analyse(frame, quality, context)[0], *(p for f in frames for p in (f.y, f.u, f.v))]

    with torch.inference_mode():
        assert len(cut(height // 16, 1)) > 1
        banded = results()
        monkeypatch.setattr(learned, "cut", lambda rows, halo: (Band(0, rows, 0, rows),))
        whole = results()
        for one, other in zip(banded, whole, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)
        if kind == "intra":
            return
        # One row less is not enough: the test above could not fail otherwise.
        monkeypatch.setattr(learned, "cut", lambda rows, halo: cut(rows, 0))
        assert any(not torch.allclose(a, b, atol=2e-5) for a, b in zip(results(), whole, strict=True))


@given(rows=st.integers(1, 300), halo=st.integers(7, 40))
def test_bands_are_as_wide_as_the_halo(rows: int, halo: int) -> None:
    bands = cut(rows, halo)
    assert len(bands) == 1 or min(band.stop - band.start for band in bands) >= halo


def test_halo_of_the_default_model() -> None:
    assert (halo_rows(STP_S.intra), halo_rows(STP_S.inter)) == (5, 2)
