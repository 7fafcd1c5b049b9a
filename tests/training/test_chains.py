"""Encodes as training material: on disk once, drawn as crops, learned from by the inter network alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stpcodec.errors import InputError, OutputError, UsageError
from stpcodec.model.network import StpNetwork
from stpcodec.model.transform import Model
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training import chains
from stpcodec.training.chain_step import chain_losses, hold_out_chains
from stpcodec.training.chains import ChainDataset, Place, drawn_quality, ensure_chain
from stpcodec.training.checkpoint import load_checkpoint
from stpcodec.training.options import TrainOptions
from stpcodec.training.train import train
from tests.training.material import cached_clip, write_clip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> Model:
    return load_model(tiny_weights, device=CPU)


@pytest.fixture(scope="module")
def folders(model: Model, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two encodes of different clips; the second of a much lower quality."""
    cache = tmp_path_factory.mktemp("chains")
    clips = [cached_clip(cache, count=10, height=96, width=112, seed=seed) for seed in (0, 5)]
    found = [ensure_chain(clip, quality, model, cache) for clip, quality in zip(clips, (80, 20), strict=True)]
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.fixture
def network(tiny_weights: Path) -> StpNetwork:
    return load_network(str(tiny_weights))


class TestEncodes:
    def test_arrays(self, folders: list[Path], model: Model) -> None:
        arrays = {path.stem: np.load(path) for path in folders[0].iterdir()}
        assert set(arrays) == {*chains.ARRAYS, "facts"}
        assert arrays["target"].shape == arrays["prediction"].shape == arrays["other"].shape == (9, 96, 12, 14)
        assert arrays["previous"].shape == (9, model.inter.latents, 6, 7)
        assert arrays["facts"].shape == (9, 5)
        assert arrays["target"].dtype == np.uint8
        # Predictions are near their targets, and not the targets.
        off = np.abs(arrays["prediction"].astype(np.float32) - arrays["target"] / 255.0).mean()
        assert 0 < off < 0.2

    def test_made_once(self, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clip = cached_clip(tmp_path, count=10, height=64, width=64)
        folder = ensure_chain(clip, 50, model, tmp_path)
        assert folder is not None
        assert model.weights_sha256[:8] in folder.parent.name, "another model's encodes are others"
        monkeypatch.setattr(chains, "predicted_pictures", None)
        assert ensure_chain(clip, 50, model, tmp_path) == folder

    def test_a_cache_that_cannot_be_written(
        self, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = cached_clip(tmp_path, count=10, height=64, width=64)
        real, calls = np.save, []

        def full(*args: object) -> None:
            calls.append(1)
            if len(calls) == 3:
                raise OSError(28, "No space left on device")
            real(*args)  # type: ignore[call-overload]

        monkeypatch.setattr(np, "save", full)
        with pytest.raises(OutputError, match="No space left on device"):
            ensure_chain(clip, 50, model, tmp_path)
        assert not list((tmp_path / f"chains-{model.weights_sha256[:8]}").iterdir())

    def test_short_clips_are_left_out(self, model: Model, tmp_path: Path) -> None:
        assert ensure_chain(cached_clip(tmp_path, count=8), 50, model, tmp_path) is None

    def test_a_clip_has_its_quality(self) -> None:
        drawn = [drawn_quality(Path(f"clip-{number}.npy")) for number in range(200)]
        assert drawn == [drawn_quality(Path(f"elsewhere/clip-{number}.npy")) for number in range(200)]
        assert (min(drawn) < 10, max(drawn) > 90, all(1 <= quality <= 100 for quality in drawn)) == (True, True, True)


class TestBatches:
    def test_crops_are_of_one_place(self, folders: list[Path]) -> None:
        data = ChainDataset(folders, crop=64, seed=0)
        batch = data.batch([Place(folders[0], 4, 1, 2), Place(folders[1], 0, 2, 3)], CPU)
        arrays = {name: np.load(folders[0] / f"{name}.npy")[4].astype(np.float32) for name in chains.ARRAYS}
        crop = (slice(None), slice(2, 10), slice(4, 12))
        assert np.allclose(batch.target[0], arrays["target"][crop] / 255)
        assert np.array_equal(batch.prediction[0], arrays["prediction"][crop])
        assert np.array_equal(batch.previous[0], arrays["previous"][:, 1:5, 2:6] / 16)
        references, quality = np.load(folders[0] / "facts.npy")[4, :2]
        assert batch.quality[0] == quality
        if references == 1:
            assert np.array_equal(batch.reference[0], arrays["other"][crop])
            assert not batch.difference[0].any()
        else:
            assert torch.equal(batch.reference[0], batch.prediction[0])
            assert np.array_equal(batch.difference[0], arrays["other"][crop])
        assert not batch.previous[1].any(), "behind the intra frame there is nothing to look at"

    def test_cheap_clips_weigh_more(self, folders: list[Path]) -> None:
        data = ChainDataset(folders, crop=64, seed=0)
        weights = data.batch([Place(folder, 3, 0, 0) for folder in folders], CPU).weight
        costs = [chains._cost(np.load(folder / "facts.npy")) for folder in folders]
        assert weights[0] / weights[1] == pytest.approx(costs[1] / costs[0])
        assert float(weights.prod()) == pytest.approx(1)

    def test_draws_are_everywhere_and_follow_the_seed(self, folders: list[Path]) -> None:
        data = ChainDataset(folders, crop=64, seed=3)
        places = [data.place(folders[0], 1) for _ in range(100)]
        assert {place.top for place in places} == {0, 1, 2}
        assert {place.left for place in places} == {0, 1, 2, 3}
        one, two, other = (ChainDataset(folders, crop=64, seed=seed).draw(4, CPU) for seed in (1, 1, 2))
        assert torch.equal(one.target, two.target)
        assert not torch.equal(one.target, other.target)

    def test_skipped_pictures_come_less_often(self, folders: list[Path], tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        copy.mkdir()
        for path in folders[0].iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        facts = np.load(copy / "facts.npy")
        facts[:, 1], facts[:, 2] = np.arange(9), np.arange(9) < 5
        np.save(copy / "facts.npy", facts)
        drawn = ChainDataset([copy], crop=64, seed=0).draw(600, CPU).quality
        share = float((drawn < 5).float().mean())
        assert share == pytest.approx(5 * 0.3 / (5 * 0.3 + 4), abs=0.06)

    def test_nothing_large_enough(self, folders: list[Path]) -> None:
        with pytest.raises(InputError, match="128×128"):
            ChainDataset(folders, crop=128, seed=0)


class TestSteps:
    def test_one_network_learns(self, folders: list[Path], network: StpNetwork) -> None:
        losses = chain_losses(network.inter, ChainDataset(folders, crop=64, seed=0).draw(4, CPU), vary=True)
        losses.loss.backward()
        assert any(part.grad is not None and part.grad.any() for part in network.inter.parameters())
        assert all(part.grad is None for part in network.intra.parameters())
        assert 0 < losses.figures["inter_bpp"] < 20
        assert 5 < losses.figures["inter_psnr"] < 60

    def test_validation_is_the_same_every_time(self, folders: list[Path], network: StpNetwork) -> None:
        held_out = hold_out_chains(folders, 64, CPU, None)
        assert all(place.number >= 4 for place in held_out.places)
        first, second = (held_out.validate(network) for _ in range(2))
        assert first == second
        assert hold_out_chains(folders, 64, CPU, None).validate(network) == first
        with torch.no_grad():
            for parameter in network.inter.synthesis_leave.parameters():
                parameter.add_(1.0)
        assert held_out.validate(network).score > first.score

    def test_steps_lower_the_loss(self, folders: list[Path], network: StpNetwork) -> None:
        batch = ChainDataset(folders, crop=64, seed=0).draw(4, CPU)
        network.inter.requires_grad_(True)
        optimiser = torch.optim.Adam(network.inter.parameters(), 1e-3)
        values = []
        for _ in range(12):
            torch.manual_seed(0)
            loss = chain_losses(network.inter, batch, vary=False).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            values.append(float(loss.detach()))
        assert values[-1] < 0.95 * values[0]


@pytest.fixture
def long_videos(tmp_path: Path) -> Path:
    write_clip(tmp_path / "train/a.mp4", count=10, height=80, width=112, seed=0)
    write_clip(tmp_path / "train/b.mp4", count=5, seed=3)
    write_clip(tmp_path / "held-out/c.mp4", count=10, height=64, width=80, seed=20)
    return tmp_path


def chained(options: TrainOptions, tiny_weights: Path, tmp_path: Path) -> TrainOptions:
    return replace(options, part="inter", chains=3, start=str(tiny_weights), cache=tmp_path / "cache")


@pytest.mark.usefixtures("small")
def test_a_run(long_videos: Path, options: TrainOptions, tiny_weights: Path, tmp_path: Path) -> None:
    options = chained(options, tiny_weights, tmp_path)
    said: list[str] = []
    for _ in range(2):
        train([long_videos / "train"], [long_videos / "held-out"], options, say=said.append)
    state, start = load_checkpoint(options.run / "last.pt", CPU), load_network(str(tiny_weights))
    assert state is not None
    assert state.step >= 4
    assert state.skipped == 0
    assert any(line.startswith("continuing") for line in said)
    with pytest.raises(UsageError, match="was begun with --chains"):
        train([long_videos / "train"], [long_videos / "held-out"], replace(options, chains=0), say=said.append)
    kept = zip(state.network.intra.parameters(), start.intra.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in kept)
    pairs = zip(state.network.inter.parameters(), start.inter.parameters(), strict=True)
    assert sum(not torch.equal(a, b) for a, b in pairs) > 10
    assert not list((tmp_path / "cache").glob("*.motion*")), "no motion is searched that nobody asks for"
    assert len(list((tmp_path / "cache").glob("chains-*/*"))) == 2


@pytest.mark.usefixtures("small")
def test_what_cannot_be(long_videos: Path, options: TrainOptions, tiny_weights: Path, tmp_path: Path) -> None:
    options = chained(options, tiny_weights, tmp_path)
    for changes in ({"part": "both"}, {"rebase": 1.0}, {"rate_weight": 0.0}):
        with pytest.raises(UsageError, match="--chains 3"):
            replace(options, **changes)  # type: ignore[arg-type]

    def start(**changes: object) -> None:
        other = replace(options, run=tmp_path / "other", **changes)  # type: ignore[arg-type]
        train([long_videos / "train"], [long_videos / "held-out"], other, say=lambda line: None)

    for name in ("linear", "mine.pt"):
        with pytest.raises(UsageError, match=f"--start {name} --chains 3"):
            start(start=name)
    with pytest.raises(UsageError, match="--start dct"):
        start(start="dct")
    (long_videos / "train/a.mp4").unlink()
    with pytest.raises(InputError, match="no training clip has the 9 frames"):
        start()
