"""One pass over a batch of sequences, and validation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.model.chunk_io import unpack_frames, warped_pair
from stpcodec.model.network import StpNetwork
from stpcodec.model.picture_motion import choose_blend
from stpcodec.model.planes import Planes
from stpcodec.model.rates import depth_bonus, lagrange_lambda
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training import step
from stpcodec.training.dataset import ClipDataset, PictureDataset, Sequence
from stpcodec.training.loss import Coded
from stpcodec.training.step import Losses, balance, picture_context, sequence_loss
from stpcodec.training.validate import QUALITIES, validate, validation_batch
from tests.tiny_model import moving_planes, tiny_network
from tests.training.material import cached_clip

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
    losses = loss_of(tiny_network(), sequence)
    assert set(losses.figures) == {"intra_bpp", "intra_psnr", "inter_bpp", "inter_psnr", "inter_z_bpp"}
    assert 0 < losses.figures["inter_z_bpp"] < losses.figures["inter_bpp"] < 8
    assert 10 < losses.figures["inter_psnr"] < 60
    assert torch.isfinite(losses.loss)


@pytest.mark.parametrize(("part", "chunks", "expected"), [
    ("both", 3, {"intra", "inter"}), ("intra", 0, {"intra"}), ("inter", 3, {"inter"}),
])  # fmt: skip
def test_each_part_trains_itself(sequence: Sequence, part: str, chunks: int, expected: set[str]) -> None:
    network = tiny_network()
    loss_of(network, sequence, part=part, chunks=chunks).loss.backward()
    assert trained(network) == expected


def test_a_lead_is_coded_but_does_not_count(sequence: Sequence) -> None:
    """The figures are those of the chunks behind it, and nothing is learned from it, cascade or not."""
    network = tiny_network()
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
    alone = tiny_network()
    loss_of(alone, sequence, chunks=0, lead=0, part="intra").loss.backward()
    for mixed, own in zip(network.intra.parameters(), alone.intra.parameters(), strict=True):
        if own.grad is not None:
            assert torch.allclose(mixed.grad, own.grad, atol=1e-6), "the intra frame answers for itself alone"  # type: ignore[arg-type]


def test_a_cascade_pays_for_what_came_before(sequence: Sequence) -> None:
    """Without the intra frame's own loss its network learns only through the frames predicted from it."""
    gradients = []
    for cascade in (False, True):
        network = tiny_network()
        losses = loss_of(network, sequence, cascade=cascade)
        losses.loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.intra.parameters() if p.grad is not None]))
    assert not torch.allclose(gradients[0], gradients[1])


def test_pictures_join_the_intra_network(clip: Path, sequence: Sequence) -> None:
    pictures = PictureDataset([clip], crop=64, seed=0).pictures(3, CPU)
    network = tiny_network()
    losses = sequence_loss(
        network, sequence, pictures, QUALITY, chunks=1, cascade=False, rate_weight=1.0, intra_bonus=torch.zeros(2)
    )
    losses.loss.backward()
    assert trained(network) == {"intra", "inter"}


def test_without_rate_only_distortion_counts(sequence: Sequence) -> None:
    network = tiny_network()
    loss_of(network, sequence, rate_weight=0.0).loss.backward()
    with_rate = network.intra.hyper_log_scale.grad
    assert with_rate is None or not with_rate.any(), "the tables' scales matter for bits alone"


@pytest.mark.parametrize("vary", [False, True])
def test_pictures_vary_in_quality_when_told_to(sequence: Sequence, vary: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intra frame keeps to its bonus; the others stray around their depth's quality, each on its own."""
    seen: list[torch.Tensor] = []
    original = step.code_chunk

    def watched(network: object, packed: object, quality: torch.Tensor, *rest: object, **options: bool) -> object:
        seen.append(quality)
        return original(network, packed, quality, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "code_chunk", watched)
    torch.manual_seed(0)
    asked = torch.tensor([20.0, 98.0])
    sequence_loss(
        tiny_network(), sequence, None, asked, chunks=3, cascade=False, rate_weight=1.0,
        intra_bonus=torch.full((2,), 8.0), vary=vary,
    )  # fmt: skip
    intra, inter = seen[0], torch.stack(seen[1:])
    assert intra.tolist() == [28.0, 100.0]
    assert inter.shape == (6, 2), "an anchor and a frame between in each of three chunks"
    bonus = torch.tensor([float(depth_bonus(2, depth)) for depth in (0, 1)] * 3)[:, None]
    if vary:
        assert (inter - asked - bonus)[:, 0].abs().max() <= step.QUALITY_SPREAD
        assert inter[:, 0].unique().numel() == 6
        assert inter.max() <= 100
    else:
        assert torch.equal(inter, (asked + bonus).clamp(1, 100))


@pytest.mark.parametrize("frames", [1, 4])
def test_chunks_of_any_length_train(clip: Path, frames: int) -> None:
    """One frame is an anchor alone; four have pictures that others between them are predicted from."""
    path = cached_clip(clip.parent / f"chunks-of-{frames}", count=9, frames=frames)
    chunks = 2
    data = ClipDataset([path], frames=frames, crop=64, chunks=chunks, seed=0)
    network = tiny_network()
    losses = loss_of(network, data.sequences(2, chunks, CPU), chunks=chunks)
    losses.loss.backward()
    assert trained(network) == {"intra", "inter"}
    assert 10 < losses.figures["inter_psnr"] < 60
    between = network.inter.context_between.weight.grad
    assert (between is not None and bool(between.any())) == (frames > 1)


def test_every_picture_is_predicted_from_what_was_decoded(sequence: Sequence, monkeypatch: pytest.MonkeyPatch) -> None:
    """References in the order of the codec, and the latents that the prior looks at: the guide's."""
    given: list[tuple[list[Planes], torch.Tensor]] = []
    coded: list[tuple[torch.Tensor | None, Coded]] = []
    original_context, original_code = step.picture_context, step.code_chunk

    def context(
        network: object, target: object, references: list[Planes], fields: torch.Tensor, *rest: object
    ) -> object:  # fmt: skip
        given.append((references, fields))
        return original_context(network, target, references, fields, *rest)  # type: ignore[arg-type]

    def code(
        network: object, packed: object, quality: object, context: object, previous: torch.Tensor | None,
        **options: bool,
    ) -> Coded:  # fmt: skip
        coded.append((previous, original_code(network, packed, quality, context, previous, **options)))  # type: ignore[arg-type]
        return coded[-1][1]

    monkeypatch.setattr(step, "picture_context", context)
    monkeypatch.setattr(step, "code_chunk", code)
    with torch.no_grad():
        loss_of(tiny_network(), sequence, chunks=2)
    frames = [unpack_frames(part.packed, 1).clamp() for _, part in coded]
    # Decoded in the order: intra, anchor, between, anchor, between.
    wanted = [(0,), (0, 1), (1,), (1, 3)]
    for (references, fields), numbers in zip(given, wanted, strict=True):
        for reference, number in zip(references, numbers, strict=True):
            assert torch.equal(reference.y, frames[number].y)
        assert fields.shape[1:3] == (2, 2)
    for number, guide in ((1, None), (2, 1), (3, 1), (4, 3)):
        previous = coded[number][0]
        if guide is None:
            assert previous is None, "inter latents say nothing about intra ones"
        else:
            assert torch.equal(previous, coded[guide][1].latents)  # type: ignore[arg-type]


def test_training_predicts_as_the_codec_does(tiny_weights: Path) -> None:
    """The same context from the same references, fields and choices."""
    model, network = load_model(tiny_weights, device=CPU), load_network(str(tiny_weights))
    frames = moving_planes(3, 64, 80, dx=2)
    random = torch.Generator().manual_seed(0)
    fields = torch.randint(-20, 21, (2, 2, 9, 11), generator=random, dtype=torch.int32)
    quality = torch.tensor([50.0])
    with torch.no_grad():
        one = picture_context(network.inter, frames[1:2], [frames[:1]], fields[None], quality)
        two = picture_context(network.inter, frames[1:2], [frames[:1], frames[2:]], fields[None], quality)
        pair = warped_pair(frames[:1], frames[2:], fields[None])
        choice = choose_blend(frames[1:2], pair, 1 / (float(lagrange_lambda(quality)) * 255**2))
        anchor = model.inter.context((frames[:1],), fields[:1], None, 50, 0)
        between = model.inter.context((frames[:1], frames[2:]), fields, choice[0], 50, 0)
    assert choice.any(), "else all choices are alike"
    for ours, theirs in ((one, anchor), (two, between)):
        ((_, band),) = theirs  # so small a picture is one band
        torch.testing.assert_close(ours.prediction, band.prediction, atol=2e-4, rtol=0)
        by_position = ours.features[0].permute(1, 2, 0).reshape(band.features.shape)
        torch.testing.assert_close(by_position, band.features, atol=2e-4, rtol=0)


def test_balance_evens_out_the_qualities() -> None:
    weights = balance(torch.tensor([1.0, 50.0, 100.0]))
    assert (weights[1:] < weights[:-1]).all()
    assert weights[0] / weights[2] == pytest.approx(200**0.5, rel=1e-3)


def test_validation_is_the_same_every_time_and_leaves_randomness_alone(clip: Path) -> None:
    network = tiny_network()
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
