"""Linear start, counted tables, and the weights file they end in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.entropy.tables import TableSet
from stpcodec.errors import ModelError
from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES, ONLY_PAST
from stpcodec.latents.motion_field import (
    ANCHOR,
    CONTEXTS,
    FUTURE,
    KIND_CONTEXTS,
    LIKE_CLASSES,
    PAST,
    POINT_CONTEXTS,
    Hierarchy,
    zero_levels,
)
from stpcodec.latents.quantise import LARGEST_HYPER, SCALE_COUNT
from stpcodec.model.chunk_io import pack_frames
from stpcodec.model.learned import Z_CONTEXTS
from stpcodec.model.motion_tables import SYMBOLS, initial_tables, tables_from_counts
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.model.picture_motion import PictureMotion
from stpcodec.model.planes import Planes
from stpcodec.model.rates import LUMA_WEIGHT, squared_error
from stpcodec.model.zoo import load_model
from stpcodec.training.bases import block_transform
from stpcodec.training.dataset import ClipDataset, PictureDataset
from stpcodec.training.export import Y_LARGEST, count_motion, count_picture, count_symbols, export_weights
from stpcodec.training.initialise import _install, sample_weights, start_linear
from tests.tiny_model import TINY, tiny_network, tiny_tables
from tests.training.material import cached_clip

CPU = torch.device("cpu")
NOTHING = (
    torch.zeros(CONTEXTS, SYMBOLS, dtype=torch.float64),
    torch.zeros(BLEND_CONTEXTS, CHOICES + 1, dtype=torch.float64),
)  # fmt: skip
"""Counts of residuals and of choices."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cache")
    return [cached_clip(folder, count=7, seed=seed) for seed in (0, 10)]


@pytest.fixture(scope="module")
def data(clips: list[Path]) -> ClipDataset:
    return ClipDataset(clips, frames=2, crop=64, chunks=2, seed=0)


@pytest.fixture(scope="module")
def pictures(clips: list[Path]) -> PictureDataset:
    return PictureDataset(clips, crop=64, seed=1)


def test_linear_start_is_a_transform_codec(data: ClipDataset, pictures: PictureDataset) -> None:
    """Orthonormal rows of weighted samples that keep nearly all of smooth pictures; gains that undo each other."""
    torch.manual_seed(0)
    network = StpNetwork(TINY)
    kept = start_linear(network, data, pictures, batches=2, device=CPU)
    assert 0.9 < kept["intra"] <= 1
    assert 0.5 < kept["inter"] <= 1
    for part in (network.intra, network.inter):
        forward, inverse = (m.weight[:, :, 0, 0] for m in (part.linear.forward_matrix, part.linear.inverse_matrix))
        weights = sample_weights(forward.shape[1]).float()
        basis = forward / weights
        torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)), atol=1e-4, rtol=0)
        torch.testing.assert_close(inverse, (basis / weights).T)
        torch.testing.assert_close(forward @ inverse, torch.eye(len(basis)), atol=1e-4, rtol=0)
        assert torch.equal(part.log_gain.points, -part.log_inverse_gain.points)
        assert (part.log_gain.points.diff(dim=0) > 0).all(), "finer steps at higher quality"
        part.prior.check_exact("here")
    frames = pictures.pictures(4, CPU)
    packed = pack_frames(frames, 1)
    with torch.no_grad():
        y = network.intra.analyse(packed, torch.full((4,), 90.0), None)
        decoded = network.intra.synthesise(y.round(), torch.full((4,), 90.0), None)
    assert (decoded - packed).square().mean() < 0.2 * (packed - 0.5).square().mean()


@pytest.mark.parametrize("frames", [1, 2])
def test_samples_weigh_in_a_patch_what_the_loss_makes_of_them(frames: int) -> None:
    """So the variance that the basis keeps is loss that it saves, whatever plane it is in."""
    random = torch.Generator().manual_seed(0)
    sides = ((16, 0.1), (8, 0.2), (8, 0.4))
    error = Planes(*(torch.randn(frames, side, side, generator=random) * scale for side, scale in sides))
    patch = torch.nn.functional.pixel_unshuffle(pack_frames(error, frames), 2).flatten().double()
    weights = sample_weights(len(patch))
    assert weights.dtype == torch.float64
    assert weights.unique().tolist() == pytest.approx([1.0, 2**0.5]), "a chroma sample twice as much as a luma one"
    loss = squared_error(error, error.map(torch.zeros_like)).sum()
    of_a_luma_sample = LUMA_WEIGHT / 8 * 255**2 / 256
    assert (weights * patch).square().sum().item() * of_a_luma_sample == pytest.approx(loss.item(), rel=1e-5)


def test_colour_is_not_the_first_thing_to_go() -> None:
    """Of two coefficients of nearly one variance the one whose error weighs more is kept."""
    channels = 4 * 96
    luma, chroma = 5, 4 * 70 + 1
    covariance = torch.eye(channels, dtype=torch.float64) * 1e-6
    covariance[luma, luma], covariance[chroma, chroma] = 1.0, 0.6
    network = ChunkNetwork(replace(TINY.intra, latents=1), inter=False)
    with torch.no_grad():
        assert 0.5 < _install(network, covariance, 16) < 1
    assert network.linear.forward_matrix.weight.flatten().abs().argmax() == chroma
    covariance[chroma, chroma] = 0.4
    with torch.no_grad():
        _install(network, covariance, 16)
    assert network.linear.forward_matrix.weight.flatten().abs().argmax() == luma


def test_a_network_of_all_latents_starts_with_block_transforms() -> None:
    """Whatever the patches vary in; only its scales follow them."""
    covariance = torch.diag(torch.linspace(1e-4, 1e-2, 384).double())
    network = ChunkNetwork(replace(TINY.intra, latents=384), inter=False)
    with torch.no_grad():
        assert _install(network, covariance, 4) == pytest.approx(1)
    found = network.linear.forward_matrix.weight[:, :, 0, 0] / sample_weights(384).float()
    torch.testing.assert_close(found, block_transform(4), atol=1e-5, rtol=0)
    assert network.prior.index_quality.points.std(1).min() > 0.01


@pytest.mark.cuda
def test_linear_start_on_a_gpu_is_that_of_the_cpu(clips: list[Path]) -> None:
    networks = []
    for device in (CPU, torch.device("cuda")):
        data = ClipDataset(clips, frames=2, crop=64, chunks=2, seed=0)
        pictures = PictureDataset(clips, crop=64, seed=1)
        networks.append(StpNetwork(TINY).to(device))
        start_linear(networks[-1], data, pictures, batches=2, device=device)
    for part in ("intra", "inter"):
        gains = [getattr(network, part).log_gain.points.cpu() for network in networks]
        torch.testing.assert_close(gains[0], gains[1], atol=1e-3, rtol=0)


def test_counted_tables_are_tables(data: ClipDataset, pictures: PictureDataset) -> None:
    torch.manual_seed(0)
    tables = count_symbols(tiny_network(), data, pictures, chunks=2, batches=2, device=CPU)
    assert set(tables) == {"tables.intra.y", "tables.intra.z", "tables.inter.y", "tables.inter.z"}
    for name, table in tables.items():
        assert table.dtype == torch.int32
        z_tables = 4 * Z_CONTEXTS if "inter" in name else 4
        wanted = (SCALE_COUNT, 2 * Y_LARGEST + 2) if name.endswith("y") else (z_tables, 2 * LARGEST_HYPER + 2)
        assert table.shape == wanted
        TableSet(table.long().numpy())
    widths = (tables["tables.intra.y"][:, Y_LARGEST]).tolist()
    assert widths[5] > widths[30] > widths[-1], "larger scales say zero more rarely"


def test_counting_sharpens_the_tables(data: ClipDataset, pictures: PictureDataset) -> None:
    """z of a network that always says zero becomes nearly free."""
    network = tiny_network()
    for part in (network.intra, network.inter):
        torch.nn.init.zeros_(part.hyper_leave.weight)
        torch.nn.init.zeros_(part.hyper_leave.bias)  # type: ignore[arg-type]
    table = count_symbols(network, data, pictures, chunks=1, batches=3, device=CPU)["tables.intra.z"].double()
    zero = table[:, LARGEST_HYPER] / table.sum(1)
    assert (zero > 2 / 15).all(), "two dozen zeros against 300 pseudo-counts over fifteen symbols"
    assert (table[:, -1] == 1).all(), "z is clamped: its escape never comes"


def test_motion_tables_come_from_the_clips(clips: list[Path], tmp_path: Path) -> None:
    tables = count_motion(clips, 2)
    for found, initial in ((tables.counts, initial_tables().counts), (tables.blend, initial_tables().blend)):
        assert found.shape == initial.shape
        assert not torch.equal(found, initial)
        TableSet(found.long().numpy())
    single = tmp_path / "photo.npy"
    np.save(single, np.load(clips[0])[:1])
    assert (count_motion([single], 2).counts - initial_tables().counts).abs().max() <= SYMBOLS, "a photo says nothing"


@pytest.mark.parametrize("frames", [1, 2])
def test_motion_is_counted_as_the_coder_codes_it(frames: int, clips: list[Path], tmp_path: Path) -> None:
    """All contexts come up that it uses: of the first anchor, of those after it, of fields between two references,
    which always have a like field."""
    np.save(tmp_path / "jerky.npy", np.load(clips[0])[[0, 4, 1, 5, 2, 6, 3]])  # nothing goes on as it was
    tables, silent = count_motion([tmp_path / "jerky.npy"], frames, rounds=1), tables_from_counts(*NOTHING)
    changed = (tables.counts != silent.counts).any(1).view(3, KIND_CONTEXTS)
    for kind in (ANCHOR, PAST, FUTURE):
        first, second = changed[kind, :POINT_CONTEXTS], changed[kind, POINT_CONTEXTS:].view(-1, POINT_CONTEXTS).any(0)
        for component in (first, second):
            alone, *liked = component.view(1 + LIKE_CLASSES, -1).any(1).tolist()
            assert alone == (kind == ANCHOR)
            assert any(liked) == (kind == ANCHOR or frames == 2)
    assert bool((tables.blend != silent.blend).any()) == (frames == 2)


def test_absent_motion_is_not_counted() -> None:
    """Its stream says nothing: it must not make zeros look likelier."""
    levels = zero_levels(Hierarchy.of(48, 80), 1)
    choice = torch.zeros(3, 5, dtype=torch.int32)
    motion = PictureMotion((levels, levels), torch.zeros(2, 2, 9, 17, dtype=torch.int32), choice, (None, None))
    counts, blend = (part.clone() for part in NOTHING)
    count_picture(counts, blend, motion, 48, 80)
    assert not counts.any()
    assert not blend.any()
    choice[1, 1] = ONLY_PAST
    count_picture(counts, blend, motion, 48, 80)
    kinds = counts.view(3, -1).sum(1)
    assert kinds[ANCHOR] == 0
    assert kinds[PAST] == kinds[FUTURE] > 0
    assert blend.sum() == 15


def test_the_file_is_named_with_its_hash_and_nothing_is_left_over(tmp_path: Path) -> None:
    network, tables = tiny_network(), tiny_tables()
    path = export_weights(network, tables, initial_tables(), tmp_path / "new/folder")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f"tiny-{digest[:8]}.safetensors"
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    assert load_model(path, device=CPU).weights_sha256 == digest


def test_a_prior_that_could_overflow_is_not_exported(tmp_path: Path) -> None:
    network = tiny_network()
    torch.nn.init.constant_(network.inter.prior.join.bias, 1e9)
    with pytest.raises(ModelError, match=r"inter\.join"):
        export_weights(network, tiny_tables(), initial_tables(), tmp_path)
    assert not list(tmp_path.iterdir())
