"""One pass over a batch of sequences, and validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stpcodec.model.network import StpNetwork
from stpcodec.training import step
from stpcodec.training.dataset import ClipDataset, PictureDataset, Sequence
from stpcodec.training.step import Losses, balance, sequence_loss
from stpcodec.training.validate import QUALITIES, validate, validation_batch
from tests.tiny_model import tiny_network
from tests.training.material import TINY_TWO, cached_clip

CPU = torch.device("cpu")
QUALITY = torch.tensor([20.0, 70.0])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_clip(tmp_path_factory.mktemp("cache"), count=7)


@pytest.fixture
def sequence(clip: Path) -> Sequence:
    return ClipDataset([clip], frames=2, crop=64, chunks=3, seed=0).sequences(2, 3, CPU)


def loss_of(network: StpNetwork, sequence: Sequence, **changes: object) -> Losses:
    settings: dict[str, object] = {
        "chunks": 3, "cascade": False, "rate_weight": 1.0, "intra_bonus": torch.full((2,), 8.0), **changes,
    }  # fmt: skip
    return sequence_loss(network, sequence, None, QUALITY, **settings)  # type: ignore[arg-type]


def trained(network: StpNetwork) -> set[str]:
    """Which of the two networks got gradients."""
    parts = {"intra": network.intra, "inter": network.inter}
    return {
        name
        for name, part in parts.items()
        if any(parameter.grad is not None and parameter.grad.any() for parameter in part.parameters())
    }


def test_figures_are_bits_and_decibels(sequence: Sequence) -> None:
    losses = loss_of(tiny_network(config=TINY_TWO), sequence)
    assert set(losses.figures) == {"intra_bpp", "intra_psnr", "inter_bpp", "inter_psnr", "inter_z_bpp"}
    assert 0 < losses.figures["inter_z_bpp"] < losses.figures["inter_bpp"] < 8
    assert 10 < losses.figures["inter_psnr"] < 60
    assert torch.isfinite(losses.loss)


@pytest.mark.parametrize(("part", "chunks", "expected"), [
    ("both", 3, {"intra", "inter"}), ("intra", 0, {"intra"}), ("inter", 3, {"inter"}),
])  # fmt: skip
def test_each_part_trains_itself(sequence: Sequence, part: str, chunks: int, expected: set[str]) -> None:
    network = tiny_network(config=TINY_TWO)
    loss_of(network, sequence, part=part, chunks=chunks).loss.backward()
    assert trained(network) == expected


def test_a_lead_is_coded_but_does_not_count(sequence: Sequence) -> None:
    """The figures are those of the chunks behind it, and nothing is learned from it, cascade or not."""
    network = tiny_network(config=TINY_TWO)
    with torch.no_grad():
        whole, behind, first = (
            loss_of(network, sequence, chunks=chunks, lead=lead) for chunks, lead in ((3, 0), (1, 2), (1, 0))
        )
        psnr = loss_of(network, sequence, chunks=2, lead=1).figures["inter_psnr"]
    third = behind.figures["inter_psnr"]
    assert third != first.figures["inter_psnr"], "predicted from the work of two chunks"
    assert 3 * whole.figures["inter_psnr"] == pytest.approx(first.figures["inter_psnr"] + 2 * psnr, rel=1e-5)
    torch.manual_seed(0)  # the rate's noise
    loss_of(network, sequence, chunks=1, lead=2, cascade=True, part="both").loss.backward()
    torch.manual_seed(0)
    alone = tiny_network(config=TINY_TWO)
    loss_of(alone, sequence, chunks=0, lead=0, part="intra").loss.backward()
    for mixed, own in zip(network.intra.parameters(), alone.intra.parameters(), strict=True):
        if own.grad is not None:
            assert torch.allclose(mixed.grad, own.grad, atol=1e-6), "the intra frame answers for itself alone"  # type: ignore[arg-type]


def test_a_cascade_pays_for_what_came_before(sequence: Sequence) -> None:
    """Without the intra frame's own loss its network learns only through the frames predicted from it."""
    gradients = []
    for cascade in (False, True):
        network = tiny_network(config=TINY_TWO)
        losses = loss_of(network, sequence, cascade=cascade)
        losses.loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.intra.parameters() if p.grad is not None]))
    assert not torch.allclose(gradients[0], gradients[1])


def test_pictures_join_the_intra_network(clip: Path, sequence: Sequence) -> None:
    pictures = PictureDataset([clip], crop=64, seed=0).pictures(3, CPU)
    network = tiny_network(config=TINY_TWO)
    losses = sequence_loss(
        network, sequence, pictures, QUALITY, chunks=1, cascade=False, rate_weight=1.0, intra_bonus=torch.zeros(2)
    )
    losses.loss.backward()
    assert trained(network) == {"intra", "inter"}


def test_without_rate_only_distortion_counts(sequence: Sequence) -> None:
    network = tiny_network(config=TINY_TWO)
    loss_of(network, sequence, rate_weight=0.0).loss.backward()
    with_rate = network.intra.hyper_log_scale.grad
    assert with_rate is None or not with_rate.any(), "the tables' scales matter for bits alone"


@pytest.mark.parametrize("vary", [False, True])
def test_chunks_vary_in_quality_when_told_to(sequence: Sequence, vary: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intra frame keeps to its bonus; the others stray around their sequence's quality, each on its own."""
    seen: list[torch.Tensor] = []
    original = step.code_chunk

    def watched(network: object, packed: object, quality: torch.Tensor, *rest: object) -> object:
        seen.append(quality)
        return original(network, packed, quality, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "code_chunk", watched)
    torch.manual_seed(0)
    asked = torch.tensor([20.0, 98.0])
    sequence_loss(
        tiny_network(config=TINY_TWO), sequence, None, asked, chunks=3, cascade=False, rate_weight=1.0,
        intra_bonus=torch.full((2,), 8.0), vary=vary,
    )  # fmt: skip
    intra, inter = seen[0], torch.stack(seen[1:])
    assert intra.tolist() == [28.0, 100.0]
    assert inter.shape == (3, 2)
    if vary:
        assert (inter - asked).abs().max() <= step.QUALITY_SPREAD
        assert inter[:, 0].unique().numel() == 3
        assert inter.max() <= 100
    else:
        assert torch.equal(inter, asked.expand(3, 2))


def test_a_chunk_of_one_frame_trains(clip: Path) -> None:
    """Its only frame is its last one."""
    config = replace(TINY_TWO, inter=replace(TINY_TWO.inter, frames=1))
    data = ClipDataset([cached_clip(clip.parent / "single", count=5, frames=1)], frames=1, crop=64, chunks=3, seed=0)
    network = tiny_network(config=config)
    losses = loss_of(network, data.sequences(2, 3, CPU))
    losses.loss.backward()
    assert trained(network) == {"intra", "inter"}
    assert 10 < losses.figures["inter_psnr"] < 60


def test_balance_evens_out_the_qualities() -> None:
    weights = balance(torch.tensor([1.0, 50.0, 100.0]))
    assert (weights[1:] < weights[:-1]).all()
    assert weights[0] / weights[2] == pytest.approx(200**0.5, rel=1e-3)


def test_validation_is_the_same_every_time_and_leaves_randomness_alone(clip: Path) -> None:
    network = tiny_network(config=TINY_TWO)
    data = ClipDataset([clip], frames=2, crop=64, chunks=2, seed=3)
    batch = validation_batch(data, 2, 2, CPU)
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    first = validate(network, batch, 2, None)
    assert torch.equal(torch.rand(4), expected)
    assert network.training
    second = validate(network, validation_batch(data, 2, 2, CPU), 2, None)
    assert first == second
    assert len(first.figures) == 4 * len(QUALITIES)
    bpp = [first.figures[f"q{quality}_intra_bpp"] for quality in QUALITIES]
    assert bpp == sorted(bpp), "quality costs bits"
