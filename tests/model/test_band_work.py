"""The compiled work on a band against the torch modules it stands for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from stpcodec.model.band_work import CompiledWork, TorchWork
from stpcodec.model.bands import Band
from stpcodec.model.learned import LearnedTransform
from stpcodec.model.planes import Planes, empty_frame
from stpcodec.model.quality import Quality
from stpcodec.model.zoo import load_model
from tests.model.test_bands import planes

CPU = torch.device("cpu")
HEIGHT, WIDTH = 96, 80
BANDS = [Band(0, 6, 0, 6), Band(0, 3, 0, 5), Band(2, 4, 0, 6), Band(4, 6, 2, 6)]
"""With the inter network's halo of two rows; the intra network's would be five."""


def filled(fill: Callable[[list[Planes]], None], count: int, band: Band) -> list[torch.Tensor]:
    frames = [empty_frame(HEIGHT, WIDTH, CPU) for _ in range(count)]
    for frame in frames:
        frame.map(lambda plane: plane.fill_(7.0))
    fill(frames)
    for frame in frames:  # nothing but the band's own lines
        rest = torch.ones(HEIGHT, dtype=torch.bool)
        rest[band.own(16)] = False
        assert (frame.y[0][rest] == 7).all()
        assert (frame.v[0][rest[::2]] == 7).all()
        assert (frame.y[0][~rest] <= 1).all()
    return [plane for frame in frames for plane in (frame.y, frame.u, frame.v)]


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("kind", ["intra", "one", "one, shared", "two", "two, warped", "plain"])
@pytest.mark.parametrize("levelled", [False, True], ids=["one quality", "several"])
def test_compiled_and_torch_agree(kind: str, band: Band, levelled: bool) -> None:
    if kind == "intra" and band is not BANDS[0]:
        pytest.skip("needs a taller picture; test_bands.py has one")
    model = load_model("stp-s", device=CPU)
    part = model.intra if kind == "intra" else model.inter
    assert isinstance(part, LearnedTransform)
    works = CompiledWork(part.network), TorchWork(part.network, torch.float32, CPU)
    frame, past, future = (planes(HEIGHT, WIDTH, seed) for seed in range(3))
    references = (past, future) if "two" in kind else (past,)
    random = torch.Generator().manual_seed(3)
    # Torn cells, uniform ones, and vectors out of the picture.
    field = torch.randint(-40, 41, (len(references), 2, HEIGHT // 8 + 1, WIDTH // 8 + 1), generator=random).int()
    field[:, :, 4:9, 2:6] = 5
    field[:, :, 9:, :3] -= 300
    choice = torch.randint(0, 3, (HEIGHT // 16, WIDTH // 16), generator=random).int()
    share = torch.randint(0, 2, (HEIGHT // 8, WIDTH // 8), generator=random).float() if "shared" in kind else None
    warped = None
    if "warped" in kind:
        warped = tuple(torch.rand(1, 96, HEIGHT // 8, WIDTH // 8, generator=random) for _ in range(2))
    y = torch.randint(-2, 3, (1, part.latents, HEIGHT // 16, WIDTH // 16), generator=random).float()
    quality: Quality = 61
    if levelled:
        quality = torch.randint(1, 101, (HEIGHT // 16, WIDTH // 16), generator=random).int()
    found: list[list[torch.Tensor]] = []
    with torch.inference_mode():
        for work in works:
            context = None
            if kind != "intra":
                context = work.context(references, field, choice, warped, share, band, network=kind != "plain")
            results = [] if kind == "plain" else [work.analyse(frame, quality, context, band)]
            for count in (1, 2):
                results += filled(lambda frames: work.syntheses(y, quality, context, band, frames), count, band)  # noqa: B023
            if context is not None:
                results += filled(lambda frames: work.bare(context, band, frames[0]), 1, band)  # noqa: B023
            found.append(results)
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        # Samples come from positions that are rounded differently: a vector of 300 quarter samples by some 1e-5.
        torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-4)


def test_an_analysis_in_bfloat16_chooses_nearly_the_same_latents() -> None:
    """Its linear path stays in float32: what the network adds is off by a few thousandths of itself."""
    part = load_model("stp-s", device=CPU).inter
    assert isinstance(part, LearnedTransform)
    frame, past = planes(HEIGHT, WIDTH, 0), planes(HEIGHT, WIDTH, 1)
    field = torch.zeros(1, 2, HEIGHT // 8 + 1, WIDTH // 8 + 1).int()
    found = []
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            work = CompiledWork(part.network, dtype)
            context = work.context((past,), field, None, None, None, BANDS[0], network=True)
            found.append(work.analyse(frame, 50, context, BANDS[0]))
    one, other = found
    assert other.dtype == torch.float32
    assert 0 < float((one - other).abs().max()) < 0.01 * float(one.abs().max())
    assert float((one.round() != other.round()).float().mean()) < 0.03


def test_a_synthesis_that_only_helps_to_choose_is_nearly_the_same() -> None:
    part = load_model("stp-s", device=CPU).inter
    assert isinstance(part, LearnedTransform)
    work = CompiledWork(part.network, torch.bfloat16)
    past, future = planes(HEIGHT, WIDTH, 1), planes(HEIGHT, WIDTH, 2)
    field = torch.zeros(2, 2, HEIGHT // 8 + 1, WIDTH // 8 + 1).int()
    choice = torch.zeros(HEIGHT // 16, WIDTH // 16).int()
    random = torch.Generator().manual_seed(3)
    y = torch.randint(-2, 3, (1, part.latents, HEIGHT // 16, WIDTH // 16), generator=random).float()
    found, kinds = [], []
    with torch.inference_mode():
        for precise in (True, False):
            context = work.context(
                (past, future), field, choice, None, None, BANDS[0], network=True, precise=precise
            )  # fmt: skip
            assert context.features is not None
            kinds.append(context.features.dtype)
            frames = [empty_frame(HEIGHT, WIDTH, CPU) for _ in range(2)]
            work.syntheses(y, 50, context, BANDS[0], frames)
            found.append(frames)
    assert kinds == [torch.float32, torch.bfloat16]
    (precise_full, precise_plain), (full, plain) = found
    assert torch.equal(precise_plain.y, plain.y)  # the linear path is in float32 either way
    assert 0 < float((precise_full.y - full.y).abs().max()) < 0.02
    assert float((precise_full.y - full.y).abs().mean()) < 0.001
